//! `plain-loop`: what one thread reaches that does nothing but pass MIP frames on. It has no limits, no rights, no sessions.

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsFd as _,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::problem::Problem;

const HEADER: usize = 24;
const READ: usize = 256 * 1024;
/// What may wait for a subscriber, in bytes; beyond it is cut.
const MOST: usize = 64 << 20;
const LISTENER: u64 = u64::MAX;

/// Where to listen.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PlainLoopJob {
    #[arg(long)]
    port: u16,
}

/// Passes frames on until it is killed.
pub(crate) fn plain_loop(job: &PlainLoopJob) -> Result<(), Problem> {
    Loop::new(job.port)
        .and_then(|mut all| all.run())
        .map_err(Problem::Process)
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    out: Vec<u8>,
    /// How much of it is written.
    written: usize,
    is_waiting: bool,
}

struct Loop {
    epoll: Epoll,
    listener: TcpListener,
    connections: HashMap<u64, Connection>,
    topics: HashMap<Vec<u8>, Vec<u64>>,
    next: u64,
    buffer: Vec<u8>,
}

impl Loop {
    fn new(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(
            listener.as_fd(),
            EpollEvent::new(EpollFlags::EPOLLIN, LISTENER),
        )?;
        Ok(Self {
            epoll,
            listener,
            connections: HashMap::new(),
            topics: HashMap::new(),
            next: 0,
            buffer: vec![0; READ],
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); 256];
        let mut touched = Vec::new();
        loop {
            let count = self.epoll.wait(&mut events, EpollTimeout::NONE)?;
            for event in events.iter().take(count) {
                match event.data() {
                    LISTENER => self.accept()?,
                    number => {
                        if event.events().contains(EpollFlags::EPOLLOUT) {
                            touched.push(number);
                        }
                        if !self.read(number, &mut touched) {
                            self.remove(number);
                        }
                    }
                }
            }
            touched.sort_unstable();
            touched.dedup();
            for number in touched.drain(..) {
                if !self.write(number)? {
                    self.remove(number);
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let number = self.next;
            self.next += 1;
            self.epoll
                .add(stream.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, number))?;
            self.connections.insert(
                number,
                Connection {
                    stream,
                    received: Vec::new(),
                    out: Vec::new(),
                    written: 0,
                    is_waiting: false,
                },
            );
        }
    }

    fn remove(&mut self, number: u64) {
        // The descriptor leaves the epoll with its last reference.
        self.connections.remove(&number);
        for subscribers in self.topics.values_mut() {
            subscribers.retain(|subscriber| *subscriber != number);
        }
    }

    /// Reads once, and passes on what came. Whether the connection goes on.
    fn read(&mut self, number: u64, touched: &mut Vec<u64>) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else {
            return true;
        };
        let count = match connection.stream.read(&mut self.buffer) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let mut received = std::mem::take(&mut connection.received);
        received.extend_from_slice(self.buffer.get(..count).unwrap_or_default());
        let mut at = 0;
        while let Some(rest) = received.get(at..) {
            let Some(len) = self.frame(number, rest, touched) else {
                break;
            };
            at += len;
        }
        received.drain(..at);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.received = received;
        }
        true
    }

    /// Acts on the first frame. Its length; `None` where it has not all come.
    fn frame(&mut self, number: u64, rest: &[u8], touched: &mut Vec<u64>) -> Option<usize> {
        let header: &[u8; HEADER] = rest.get(..HEADER)?.try_into().ok()?;
        let [.., l0, l1, l2, l3, _, _, _, _, _, _, _, _] = *header;
        let end = HEADER + usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
        let frame = rest.get(..end)?;
        let payload = rest.get(HEADER..end)?;
        let mut answer = *header;
        match header.get(6..8)? {
            [0, 1] => {
                answer.get_mut(5..8)?.copy_from_slice(&[0, 0, 6]);
                answer.get_mut(12..16)?.copy_from_slice(&[0, 0, 0, 8]);
                let out = &mut self.connections.get_mut(&number)?.out;
                out.extend_from_slice(&answer);
                out.extend_from_slice(&number.to_be_bytes());
            }
            [0, kind @ (2 | 4)] => {
                if *kind == 2 {
                    let topic = self.topics.entry(payload.to_vec()).or_default();
                    topic.push(number);
                } else {
                    let [high, low] = *payload.first_chunk()?;
                    let len = usize::from(u16::from_be_bytes([high, low]));
                    let mut event = *header;
                    event.get_mut(6..8)?.copy_from_slice(&[0, 5]);
                    for subscriber in self
                        .topics
                        .get(payload.get(2..2 + len)?)
                        .into_iter()
                        .flatten()
                    {
                        if let Some(connection) = self.connections.get_mut(subscriber) {
                            connection.out.extend_from_slice(&event);
                            connection.out.extend_from_slice(frame.get(HEADER..)?);
                            if touched.last() != Some(subscriber) {
                                touched.push(*subscriber);
                            }
                        }
                    }
                }
                answer.get_mut(5..8)?.copy_from_slice(&[0, 0, 6]);
                answer.get_mut(12..16)?.copy_from_slice(&[0; 4]);
                self.connections
                    .get_mut(&number)?
                    .out
                    .extend_from_slice(&answer);
            }
            _ => {}
        }
        touched.push(number);
        Some(end)
    }

    /// Writes once. Whether the connection goes on.
    fn write(&mut self, number: u64) -> io::Result<bool> {
        let Some(connection) = self.connections.get_mut(&number) else {
            return Ok(true);
        };
        let rest = connection.out.get(connection.written..).unwrap_or_default();
        if !rest.is_empty() {
            match connection.stream.write(rest) {
                Ok(count) => connection.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Ok(false),
            }
        }
        let left = connection.out.len() - connection.written;
        if left == 0 {
            connection.out.clear();
            connection.written = 0;
        } else if connection.written > left {
            connection.out.drain(..connection.written);
            connection.written = 0;
        }
        if left > MOST {
            return Ok(false);
        }
        if connection.is_waiting != (left > 0) {
            connection.is_waiting = left > 0;
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, connection.is_waiting);
            self.epoll.modify(
                connection.stream.as_fd(),
                &mut EpollEvent::new(flags, number),
            )?;
        }
        Ok(true)
    }
}
