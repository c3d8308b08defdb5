//! The echo server.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use msip_load::data_of;
use msip_runtime::{Peer, Status, Stream};

use crate::bench::{self, Bench, BroadcastServerToClient as _, HandleClientToServer};

/// A server's handler, as a user would write it.
#[derive(Debug, Default)]
pub struct Echo {
    count: AtomicU64,
    sum: AtomicU64,
}

impl HandleClientToServer for Echo {
    async fn on_echo_req(
        &self,
        _: &Peer<Bench>,
        request: bench::Note,
    ) -> Result<bench::Note, Status> {
        Ok(request)
    }

    async fn on_ping_req(
        &self,
        _: &Peer<Bench>,
        request: bench::Note,
    ) -> Result<bench::Note, Status> {
        Ok(request)
    }

    async fn on_note_ind(&self, _: &Peer<Bench>, message: bench::Note) {
        // One client sends notes, and its messages are handled one after the other: there is no other writer.
        let add = |total: &AtomicU64, more: u64| {
            let before = total.load(Ordering::Relaxed);
            total.store(before.wrapping_add(more), Ordering::Relaxed);
        };
        add(&self.count, 1);
        add(&self.sum, message.number);
    }

    async fn on_tally_req(
        &self,
        _: &Peer<Bench>,
        _: bench::TallyReq,
    ) -> Result<bench::Tally, Status> {
        Ok(bench::Tally {
            count: self.count.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
        })
    }

    async fn on_feed_req(
        &self,
        _: &Peer<Bench>,
        request: bench::FeedReq,
    ) -> Result<impl Stream<Item = Result<bench::Note, Status>> + Send + 'static, Status> {
        let data = data_of(request.size as usize);
        Ok(Feed {
            notes: 0..request.count,
            data,
        })
    }

    async fn on_shout_req(
        &self,
        peer: &Peer<Bench>,
        request: bench::Note,
    ) -> Result<bench::Tally, Status> {
        let number = request.number;
        let told = peer.everyone().note_ind(request);
        Ok(bench::Tally {
            count: told as u64,
            sum: number,
        })
    }
}

/// A stream of notes.
struct Feed {
    notes: std::ops::Range<u64>,
    data: Bytes,
}

impl Stream for Feed {
    type Item = Result<bench::Note, Status>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = self.notes.next().map(|number| {
            Ok(bench::Note {
                number,
                data: self.data.clone(),
            })
        });
        std::task::Poll::Ready(next)
    }
}
