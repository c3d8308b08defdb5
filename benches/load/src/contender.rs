//! The contender: a server and a client of one protocol.

use crate::{Arrivals, Failure, Hold, Job, Outcome};

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
    /// The same as a URL, for contenders that have some.
    pub url: String,
    /// What counts messages that the server tells all of its clients.
    pub arrivals: Option<Arrivals>,
}

impl Target {
    /// A server at this port.
    #[must_use]
    pub fn new(port: u16, url: impl Into<String>) -> Self {
        Self {
            port,
            url: url.into(),
            arrivals: None,
        }
    }
}
