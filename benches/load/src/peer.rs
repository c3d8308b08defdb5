//! The client of a contender, with a method for each kind of exchange.

use std::time::{Duration, Instant};

use crate::{Failure, Note, Outcome, Stop, Tally, Target, check_tally, data_of};

/// The client's end of a connection, cloned for each task that makes calls.
///
/// Methods that a contender does not implement fail with [`Failure::NotOffered`], which skips the load.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Connects.
    fn connect(target: &Target) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Asks for the same note back.
    fn call(&self, note: Note) -> impl Future<Output = Result<Note, Failure>> + Send;

    /// Asks for the same note back, ahead of what is not urgent.
    fn call_urgently(&self, note: Note) -> impl Future<Output = Result<Note, Failure>> + Send {
        let _ = note;
        async { Err(Failure::NotOffered) }
    }

    /// Tells a note, which is not answered.
    fn tell(&self, note: Note) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = note;
        async { Err(Failure::NotOffered) }
    }

    /// Asks for the sum of the notes sent.
    fn tally(&self) -> impl Future<Output = Result<Tally, Failure>> + Send {
        async { Err(Failure::NotOffered) }
    }

    /// Tells notes as fast as they are taken.
    fn one_way(
        &self,
        size: usize,
        time: Duration,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send {
        one_way(self, size, time)
    }

    /// Asks for `count` notes, and takes them all.
    fn take_answers(
        &self,
        size: usize,
        count: u64,
    ) -> impl Future<Output = Result<Tally, Failure>> + Send {
        let _ = (size, count);
        async { Err(Failure::NotOffered) }
    }

    /// Asks the server to tell everyone.
    fn shout(&self, note: Note) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = note;
        async { Err(Failure::NotOffered) }
    }

    /// Closes the connection, as the contender would have it.
    fn close(self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Sends one-way messages as fast as they are taken, then asks how many have arrived.
async fn one_way<P: Peer>(peer: &P, size: usize, time: Duration) -> Result<Outcome, Failure> {
    let data = data_of(size);
    let mut sent = Tally::default();
    let started = Instant::now();
    let stop = Stop::after(time);
    while !stop.is_over() {
        let number = sent.count;
        let data = data.clone();
        peer.tell(Note { number, data }).await?;
        sent.add(number);
    }
    check_tally(sent, peer.tally().await?)?;
    Ok(Outcome::since(started, sent.count))
}
