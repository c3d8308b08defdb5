//! What a contender is.

use crate::{Failure, Job, Note, Outcome, Tally};

/// The contenders of one program, each by its name.
pub trait Contender: Copy + Send + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// What this one is called in tables.
    fn name(self) -> &'static str;

    /// Listens at a free port of the loopback, hands it to `announce`, and serves until the future is dropped.
    fn serve(self, announce: impl FnOnce(u16) + Send) -> impl Future<Output = Result<(), Failure>>;

    /// Puts a load on the server at this port.
    fn drive(self, port: u16, job: Job) -> impl Future<Output = Result<Outcome, Failure>>;
}

/// A client's end of a connection, of which as many tasks as there are calls in flight have a clone.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Asks for the same note back.
    fn call(&self, note: Note) -> impl Future<Output = Result<Note, Failure>> + Send;
}

/// A client's end that tells what is not answered.
pub trait Teller: Send {
    /// Tells a note.
    fn tell(&mut self, note: Note) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Sees that all is sent, and asks what has come of it.
    fn tally(&mut self) -> impl Future<Output = Result<Tally, Failure>> + Send;
}
