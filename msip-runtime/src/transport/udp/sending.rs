//! Sending datagrams: one socket, which may belong to many connections.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::net::UdpSocket;

use super::datagram::Sealer;

/// Where datagrams go.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) socket: Arc<UdpSocket>,
    /// `None` where the socket is connected.
    pub(super) to: Option<SocketAddr>,
}

impl Path {
    fn try_send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self.to {
            Some(to) => self.socket.try_send_to(datagram, to),
            None => self.socket.try_send(datagram),
        }
    }
}

type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Sends the datagrams of one connection. One that the system does not take now waits, and no other is taken meanwhile.
pub(super) struct DatagramSender {
    sealer: Sealer,
    waiting: Option<(Path, Vec<u8>)>,
    writable: Option<Writable>,
}

impl DatagramSender {
    pub(super) fn new(sealer: Sealer) -> Self {
        Self {
            sealer,
            waiting: None,
            writable: None,
        }
    }

    /// Whether a datagram is taken now.
    pub(super) fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        while let Some((path, datagram)) = &self.waiting {
            let writable = self.writable.get_or_insert_with(|| {
                // Not by its poll methods: those know one task of each socket only.
                let socket = Arc::clone(&path.socket);
                Box::pin(async move { socket.writable().await })
            });
            let _ = ready!(writable.as_mut().poll(task));
            self.writable = None;
            if !is_full(&path.try_send(datagram)) {
                self.waiting = None;
            }
        }
        Poll::Ready(())
    }

    /// Sends a frame, or nothing but that we are here. Returns whether it was taken.
    pub(super) fn send(&mut self, path: &Path, frame: &[u8]) -> bool {
        if self.waiting.is_some() {
            return false;
        }
        let Some(datagram) = self.sealer.seal(frame) else {
            return false;
        };
        let sent = path.try_send(&datagram);
        if is_full(&sent) {
            self.waiting = Some((path.clone(), datagram));
            return true;
        }
        sent.is_ok()
    }
}

fn is_full(sent: &io::Result<usize>) -> bool {
    sent.as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
