//! The datagram lane of a connection: what some transports have beside their stream.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;
use msip_session::MsgKind;

/// Datagrams between the ends of a connection: some are lost, and they come in any order. Where the connection is lost its
/// stream says so.
pub(crate) trait Datagrams: Send {
    /// The longest datagram that it takes now; 0 where the peer takes none.
    fn max_len(&self) -> usize;

    /// Whether it takes a datagram now.
    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()>;

    /// Takes a datagram, where it is ready. Returns whether it could: one that is too long is not sent.
    fn send(&mut self, datagram: Bytes) -> bool;

    /// The next datagram that was received.
    fn poll_receive(&mut self, task: &mut Context<'_>) -> Poll<Bytes>;

    /// How many were received and dropped since this was asked last, for others that came later.
    fn take_dropped(&mut self) -> u64;
}

/// Which messages go by datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneKinds {
    pub(crate) logs: bool,
    pub(crate) metrics: bool,
}

impl LaneKinds {
    #[cfg(any(feature = "datagram", feature = "quic"))]
    pub(crate) const ALL: Self = Self {
        logs: true,
        metrics: true,
    };

    /// Reads the value of the extension `udp-datagrams` in a HELLO: the numbers of kinds, of which those that no datagram has are
    /// ignored.
    #[cfg(feature = "datagram")]
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let has = |kind: MsgKind| {
            value
                .iter()
                .any(|number| u16::from(*number) == kind.number())
        };
        let kinds = Self {
            logs: has(MsgKind::Log),
            metrics: has(MsgKind::Metric),
        };
        (kinds.logs || kinds.metrics).then_some(kinds)
    }

    /// The value of the extension in a HELLO.
    #[cfg(feature = "datagram")]
    pub(crate) fn encode(self) -> Vec<u8> {
        let excluded: Vec<_> = self.excluded().collect();
        let kinds = [MsgKind::Log, MsgKind::Metric].into_iter();
        let kinds = kinds.filter(|kind| !excluded.contains(kind));
        kinds
            .filter_map(|kind| u8::try_from(kind.number()).ok())
            .collect()
    }

    /// The kinds that could go by datagrams and do not.
    pub(crate) fn excluded(self) -> impl Iterator<Item = MsgKind> {
        let logs = (!self.logs).then_some(MsgKind::Log);
        let metrics = (!self.metrics).then_some(MsgKind::Metric);
        logs.into_iter().chain(metrics)
    }
}

/// The lane of a connection, as its driver has it.
pub(crate) struct Lane {
    pub(crate) datagrams: Box<dyn Datagrams>,
    pub(crate) kinds: LaneKinds,
    /// It is full, and wakes the driver when it is not.
    pub(crate) is_full: bool,
    /// The session takes nothing now, so that nothing is read.
    pub(crate) is_held_back: bool,
}

#[cfg(any(feature = "datagram", feature = "quic"))]
impl Lane {
    pub(crate) fn new(datagrams: impl Datagrams + 'static) -> Self {
        Self {
            datagrams: Box::new(datagrams),
            kinds: LaneKinds::ALL,
            is_full: false,
            is_held_back: false,
        }
    }

    /// The same for these kinds alone.
    #[cfg(feature = "datagram")]
    pub(crate) fn of(mut self, kinds: LaneKinds) -> Self {
        self.kinds = kinds;
        self
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
