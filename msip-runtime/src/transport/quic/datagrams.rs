//! The datagrams of a connection, as its lane.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use quinn::{Connection, ConnectionError, SendDatagramError};

use super::super::lane::Datagrams;

type Waiting<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// The datagrams of one connection.
pub(super) struct QuicDatagrams {
    connection: Connection,
    /// A datagram that waits for capacity.
    sending: Option<Waiting<(), SendDatagramError>>,
    receiving: Option<Waiting<Bytes, ConnectionError>>,
    /// How many were read, and how many of those that came were dropped.
    read: u64,
    dropped: u64,
    /// Some were read since it was looked how many were dropped.
    is_check_due: bool,
}

impl QuicDatagrams {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            sending: None,
            receiving: None,
            read: 0,
            dropped: 0,
            is_check_due: false,
        }
    }

    fn poll_read(&mut self, task: &mut Context<'_>) -> Poll<Bytes> {
        let receiving = self.receiving.get_or_insert_with(|| {
            let connection = self.connection.clone();
            Box::pin(async move { connection.read_datagram().await })
        });
        let Poll::Ready(received) = receiving.as_mut().poll(task) else {
            return Poll::Pending;
        };
        match received {
            Ok(datagram) => {
                self.receiving = None;
                self.read += 1;
                self.is_check_due = true;
                Poll::Ready(datagram)
            }
            Err(_) => {
                // The stream tells of it.
                self.receiving = Some(Box::pin(std::future::pending()));
                Poll::Pending
            }
        }
    }
}

impl Datagrams for QuicDatagrams {
    fn max_len(&self) -> usize {
        self.connection.max_datagram_size().unwrap_or(0)
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if let Some(sending) = &mut self.sending {
            if sending.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
            self.sending = None;
        }
        Poll::Ready(())
    }

    fn send(&mut self, datagram: Bytes) -> bool {
        if datagram.len() > self.max_len() {
            return false;
        }
        // `send_datagram` alone would drop others for it, and not say how many.
        if self.connection.datagram_send_buffer_space() >= datagram.len() {
            return self.connection.send_datagram(datagram).is_ok();
        }
        let connection = self.connection.clone();
        self.sending = Some(Box::pin(async move {
            connection.send_datagram_wait(datagram).await
        }));
        true
    }

    fn poll_receive(&mut self, task: &mut Context<'_>) -> Poll<Bytes> {
        if let Poll::Ready(datagram) = self.poll_read(task) {
            return Poll::Ready(datagram);
        }
        if std::mem::take(&mut self.is_check_due) {
            // What had come by now and is not there below was dropped.
            let came = self.connection.stats().frame_rx.datagram;
            if let Poll::Ready(datagram) = self.poll_read(task) {
                return Poll::Ready(datagram);
            }
            self.dropped = came.saturating_sub(self.read);
        }
        Poll::Pending
    }

    fn take_dropped(&mut self) -> u64 {
        // They count as read from here on.
        let dropped = std::mem::take(&mut self.dropped);
        self.read += dropped;
        dropped
    }
}
