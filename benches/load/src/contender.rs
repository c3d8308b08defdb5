//! What a contender is.

use std::time::Duration;

use crate::{Arrivals, Failure, Hold, Job, Note, Outcome, Tally, loops};

/// The contenders of one program, each by its name.
pub trait Contender: Copy + Send + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// What this one is called in tables.
    fn name(self) -> &'static str;

    /// Listens at a free port of the loopback, hands it to `announce`, and serves until the future is dropped.
    fn serve(self, announce: impl FnOnce(u16) + Send) -> impl Future<Output = Result<(), Failure>>;

    /// Puts a load on the server at this port.
    fn drive(
        self,
        port: u16,
        job: Job,
        hold: &mut Hold,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;
}

/// Where a client connects to.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where the server listens.
    pub port: u16,
    /// What the contender needs beside that.
    pub settings: &'static str,
    /// What counts messages that the server tells all of its clients.
    pub arrivals: Option<Arrivals>,
}

impl Target {
    /// A server at this port.
    #[must_use]
    pub fn new(port: u16, settings: &'static str) -> Self {
        Self {
            port,
            settings,
            arrivals: None,
        }
    }
}

/// A client's end of a connection, of which as many tasks as there are calls in flight have a clone.
///
/// What a contender has not is left out, and the load is not put on it.
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

    /// Asks what has come of the notes told.
    fn tally(&self) -> impl Future<Output = Result<Tally, Failure>> + Send {
        async { Err(Failure::NotOffered) }
    }

    /// Tells notes as fast as they are taken.
    fn one_way(
        &self,
        size: usize,
        time: Duration,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send {
        loops::one_way(self, size, time)
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
