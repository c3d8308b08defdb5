//! The connections of a server that have datagrams over UDP, by their tags.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use msip_session::wire::Side;
use tokio::net::UdpSocket;

use super::{
    super::lane::{Datagrams, Lane, LaneKinds},
    datagram::{MAX_FRAME_LEN, Opener, RefusedDatagram, tag_of},
    grant::LaneGrant,
    replay_window::ReplayWindow,
    sending::{DatagramSender, Path},
};

/// How many bytes wait to be read by one connection, each frame counted as its length + 64; then the oldest are dropped.
const QUEUE_LEN: usize = 128 * 1024;

/// What a frame counts besides its bytes.
const FRAME_COST: usize = 64;

/// The connections that have a lane. An entry goes with its lane.
#[derive(Debug, Default)]
pub(crate) struct LaneTable {
    by_tag: Mutex<HashMap<u64, Arc<Entry>>>,
}

/// One connection.
struct Entry {
    opener: Opener,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    window: ReplayWindow,
    /// Where the newest datagram came from.
    path: Option<Path>,
    waiting: VecDeque<Bytes>,
    cost: usize,
    /// How many were dropped for others that came later, and are not counted yet.
    dropped: u64,
    reader: Option<Waker>,
}

impl LaneTable {
    /// Gives a connection a lane of its own: what its Welcome says of it, and the lane. `port` is where the datagrams are to be
    /// sent.
    pub(crate) fn open(
        self: &Arc<Self>,
        port: u16,
        kinds: LaneKinds,
    ) -> Result<(Vec<u8>, Lane), getrandom::Error> {
        let mut by_tag = self.lock();
        // A tag that is taken is drawn once in 2^64 times.
        let grant = loop {
            let grant = LaneGrant::draw(port)?;
            if !by_tag.contains_key(&grant.tag()) {
                break grant;
            }
        };
        let entry = Arc::new(Entry {
            opener: grant.opener(Side::Accepting),
            state: Mutex::default(),
        });
        by_tag.insert(grant.tag(), Arc::clone(&entry));
        drop(by_tag);
        let datagrams = ServerDatagrams {
            tag: grant.tag(),
            table: Arc::clone(self),
            entry,
            sender: DatagramSender::new(grant.sealer(Side::Accepting)),
        };
        Ok((grant.encode(), Lane::new(datagrams).of(kinds)))
    }

    /// A datagram has come. What is not authentic leaves no trace.
    pub(super) fn receive(
        &self,
        datagram: &[u8],
        from: SocketAddr,
        socket: &Arc<UdpSocket>,
    ) -> Result<(), RefusedDatagram> {
        let tag = tag_of(datagram)?;
        let entry = self.lock().get(&tag).map(Arc::clone);
        let entry = entry.ok_or(RefusedDatagram::UnknownTag)?;
        let authentic = entry.opener.verify(datagram)?;
        let mut state = entry.lock();
        let (frame, is_newest) = authentic.accept(&mut state.window)?;
        if is_newest {
            state.comes_from(from, socket);
        }
        if !frame.is_empty() {
            state.push(Bytes::copy_from_slice(frame));
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        self.by_tag.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").finish_non_exhaustive()
    }
}

impl State {
    fn comes_from(&mut self, from: SocketAddr, socket: &Arc<UdpSocket>) {
        let is_known = self
            .path
            .as_ref()
            .is_some_and(|path| path.to == Some(from) && Arc::ptr_eq(&path.socket, socket));
        if !is_known {
            self.path = Some(Path {
                socket: Arc::clone(socket),
                to: Some(from),
            });
        }
    }

    fn push(&mut self, frame: Bytes) {
        self.cost += frame.len() + FRAME_COST;
        self.waiting.push_back(frame);
        while self.cost > QUEUE_LEN && self.pop().is_some() {
            self.dropped += 1;
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.waiting.pop_front()?;
        self.cost = self.cost.saturating_sub(frame.len() + FRAME_COST);
        Some(frame)
    }
}

/// The datagrams of one connection of a server.
struct ServerDatagrams {
    tag: u64,
    table: Arc<LaneTable>,
    entry: Arc<Entry>,
    sender: DatagramSender,
}

/// From here on the tag and the keys are worth nothing.
impl Drop for ServerDatagrams {
    fn drop(&mut self) {
        self.table.lock().remove(&self.tag);
    }
}

impl Datagrams for ServerDatagrams {
    /// None may be sent before the client has proved where it is.
    fn max_len(&self) -> usize {
        match self.entry.lock().path {
            Some(_) => MAX_FRAME_LEN,
            None => 0,
        }
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.sender.poll_ready(task)
    }

    fn send(&mut self, datagram: Bytes) -> bool {
        let path = self.entry.lock().path.clone();
        path.is_some_and(|path| self.sender.send(&path, &datagram))
    }

    fn poll_receive(&mut self, task: &mut Context<'_>) -> Poll<Bytes> {
        let mut state = self.entry.lock();
        if let Some(frame) = state.pop() {
            return Poll::Ready(frame);
        }
        match &mut state.reader {
            Some(known) => known.clone_from(task.waker()),
            unknown => *unknown = Some(task.waker().clone()),
        }
        Poll::Pending
    }

    fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.entry.lock().dropped)
    }
}
