//! Instruments: what the runtime counts and measures through the facade [`metrics`] (docs/operations.md, "Metrics").
//!
//! Without the feature `metrics` all of this is empty, and is compiled to nothing. What happens once per connection looks its
//! instrument up each time; what happens once per message or exchange keeps it.

/// Which end of connections this is: the label `side`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

#[cfg(feature = "metrics")]
impl Side {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Why a server has refused a connection before its session began: the label `reason`. Where it has answered with a status,
/// that is the status' code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedHandshake {
    /// There are `max_connections`.
    TooManyConnections,
    /// The transport's own handshake failed.
    Transport,
    /// No HELLO came in time.
    TimedOut,
    /// It was closed before a HELLO.
    Closed,
    /// What came is no HELLO, or more than one.
    Protocol,
    Status(crate::Code),
}

impl RefusedHandshake {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::Transport => "transport",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Status(code) => code.name(),
        }
    }
}

/// What a log line is about that was left out: the label `about`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OmittedLine {
    /// A client that was refused.
    Refused,
    /// A client that is served, or was.
    Served,
    /// A handler that panicked.
    Panic,
    /// Handlers that did not end after their session.
    Handlers,
    /// An accept that failed.
    Accept,
    /// A message that cannot be encoded for some clients.
    Encoding,
    /// A peer with another version of the schema.
    Schema,
}

impl OmittedLine {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Served => "served",
            Self::Panic => "panic",
            Self::Handlers => "handlers",
            Self::Accept => "accept",
            Self::Encoding => "encoding",
            Self::Schema => "schema",
        }
    }
}

/// A log line was left out, since peers cause too many.
pub(crate) fn log_line_omitted(about: OmittedLine) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!("msip_log_lines_omitted_total", "about" => about.name()).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = about.name();
}

/// A session that is there as long as this lives.
#[derive(Debug)]
pub(crate) struct SessionCount {
    #[cfg_attr(
        not(feature = "metrics"),
        expect(dead_code, reason = "nothing is counted")
    )]
    side: Side,
}

impl SessionCount {
    pub(crate) fn new(side: Side) -> Self {
        #[cfg(feature = "metrics")]
        sessions(side).increment(1.0);
        Self { side }
    }
}

#[cfg(feature = "metrics")]
impl Drop for SessionCount {
    fn drop(&mut self) {
        sessions(self.side).decrement(1.0);
    }
}

#[cfg(feature = "metrics")]
fn sessions(side: Side) -> ::metrics::Gauge {
    ::metrics::gauge!("msip_sessions", "side" => side.name())
}

/// A server has refused a connection.
pub(crate) fn handshake_refused(refusal: RefusedHandshake) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!("msip_handshakes_refused_total", "reason" => refusal.name()).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = refusal.name();
}

/// A datagram over UDP was not taken, for this reason.
#[cfg(feature = "datagram")]
pub(crate) fn datagram_refused(side: Side, reason: &'static str) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!("msip_datagrams_refused_total", "side" => side.name(), "reason" => reason)
        .increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (side, reason);
}

/// A client has connected again: to its session, or to a new one.
pub(crate) fn reconnected(resumed: bool) {
    #[cfg(feature = "metrics")]
    {
        let resumed = if resumed { "true" } else { "false" };
        ::metrics::counter!("msip_reconnects_total", "resumed" => resumed).increment(1);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = resumed;
}

/// A client could not connect again.
pub(crate) fn connect_failed() {
    #[cfg(feature = "metrics")]
    ::metrics::counter!("msip_connect_failures_total").increment(1);
}

/// A client has lost its session.
pub(crate) fn session_lost() {
    #[cfg(feature = "metrics")]
    ::metrics::counter!("msip_sessions_lost_total").increment(1);
}

/// Tells the recorder what the instruments are, so that an exporter can print it.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    table::describe();
}

#[cfg(feature = "metrics")]
mod table {
    use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Kind {
        Counter,
        Gauge,
        Histogram,
    }

    /// An instrument, as exporters and the page have it.
    #[derive(Debug)]
    pub(super) struct Instrument {
        pub(super) name: &'static str,
        pub(super) kind: Kind,
        unit: Unit,
        #[cfg_attr(not(test), expect(dead_code, reason = "checked against the page"))]
        pub(super) labels: &'static str,
        pub(super) help: &'static str,
    }

    const fn row(
        name: &'static str,
        kind: Kind,
        unit: Unit,
        labels: &'static str,
        help: &'static str,
    ) -> Instrument {
        Instrument {
            name,
            kind,
            unit,
            labels,
            help,
        }
    }

    /// Every instrument there is.
    pub(super) const ALL: [Instrument; 16] = {
        use Kind::{Counter, Gauge, Histogram};
        use Unit::{Bytes, Count, Seconds};
        [
            row(
                "msip_exchanges_total",
                Counter,
                Count,
                "direction, message, shape, code",
                "exchanges that have ended",
            ),
            row(
                "msip_exchange_seconds",
                Histogram,
                Seconds,
                "direction, message, shape, code",
                "how long exchanges took; with a stream, until its end",
            ),
            row(
                "msip_exchanges_open",
                Gauge,
                Count,
                "direction, message, shape",
                "exchanges that are open",
            ),
            row(
                "msip_body_bytes",
                Histogram,
                Bytes,
                "direction, message, shape",
                "the length of the body that opens an exchange",
            ),
            row(
                "msip_connections",
                Gauge,
                Count,
                "side",
                "connections whose handshake is done",
            ),
            row(
                "msip_sessions",
                Gauge,
                Count,
                "side",
                "sessions, with those that wait for a connection",
            ),
            row(
                "msip_open_calls",
                Gauge,
                Count,
                "side, direction",
                "calls that are open on connections",
            ),
            row(
                "msip_outgoing_queue_bytes",
                Gauge,
                Bytes,
                "side",
                "what is queued for writing, each frame counted as its length + 64",
            ),
            row(
                "msip_send_waits_total",
                Counter,
                Count,
                "side, queue",
                "sends that had to wait for credit or capacity",
            ),
            row(
                "msip_dropped_messages_total",
                Counter,
                Count,
                "side, reason",
                "messages that were taken to be sent, or came by a datagram, and were dropped",
            ),
            row(
                "msip_handshakes_refused_total",
                Counter,
                Count,
                "reason",
                "connections that a server has refused before a session began",
            ),
            row(
                "msip_datagrams_refused_total",
                Counter,
                Count,
                "side, reason",
                "datagrams over UDP that are not taken: no connection has the tag, or they are forged, repeated, or of a wrong length",
            ),
            row(
                "msip_log_lines_omitted_total",
                Counter,
                Count,
                "about",
                "log lines that peers caused beyond the limits, and that were not written",
            ),
            row(
                "msip_reconnects_total",
                Counter,
                Count,
                "resumed",
                "connections that clients have made again after a loss",
            ),
            row(
                "msip_connect_failures_total",
                Counter,
                Count,
                "",
                "attempts of clients to connect again that failed",
            ),
            row(
                "msip_sessions_lost_total",
                Counter,
                Count,
                "",
                "sessions that clients have lost",
            ),
        ]
    };

    pub(super) fn describe() {
        for Instrument {
            name,
            kind,
            unit,
            help,
            ..
        } in ALL
        {
            match kind {
                Kind::Counter => describe_counter!(name, unit, help),
                Kind::Gauge => describe_gauge!(name, unit, help),
                Kind::Histogram => describe_histogram!(name, unit, help),
            }
        }
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::table::{ALL, Kind};

    const PAGE: &str = include_str!("../../docs/operations.md");

    /// The rows of the page's table: name, type, labels and help.
    fn rows() -> Vec<[String; 4]> {
        let cells = |line: &str| -> Option<[String; 4]> {
            let cells: Vec<String> = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().replace('`', ""))
                .collect();
            cells.try_into().ok()
        };
        PAGE.lines()
            .filter(|line| line.starts_with("| `msip_"))
            .filter_map(cells)
            .collect()
    }

    #[test]
    fn the_page_has_every_instrument() {
        let expected: Vec<[String; 4]> = ALL
            .iter()
            .map(|row| {
                let kind = match row.kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                    Kind::Histogram => "histogram",
                };
                [row.name, kind, row.labels, row.help].map(str::to_owned)
            })
            .collect();
        assert_eq!(rows(), expected);
    }

    #[test]
    fn names_are_as_prometheus_has_them() {
        for row in ALL {
            let is_total = row.name.ends_with("_total");
            assert_eq!(is_total, row.kind == Kind::Counter, "{}", row.name);
            let has_unit = row.name.ends_with("_seconds") || row.name.ends_with("_bytes");
            assert!(has_unit || row.kind != Kind::Histogram, "{}", row.name);
        }
    }
}
