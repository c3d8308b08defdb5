//! Metrics, for Prometheus: what the runtime counts, and what the router has.

use std::{fmt, sync::Arc};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{Admin, Shared};
use crate::router::{Dialect, Totals};

/// Every instrument of the broker: its name, its unit, whether it is a counter, its labels, and what it is.
type Instrument = (&'static str, Unit, bool, &'static str, &'static str);

/// Those that there are. No label has a value that a peer chooses.
pub(super) const INSTRUMENTS: [Instrument; 20] = {
    use Unit::{Bytes, Count, Seconds};
    [
        (
            "msip_broker_connections",
            Count,
            false,
            "dialect",
            "connections that are open",
        ),
        (
            "msip_broker_connections_opened_total",
            Count,
            true,
            "",
            "connections that were opened",
        ),
        (
            "msip_broker_sessions",
            Count,
            false,
            "state",
            "sessions, with a connection or away",
        ),
        (
            "msip_broker_sessions_ended_total",
            Count,
            true,
            "reason",
            "sessions that have ended",
        ),
        (
            "msip_broker_subscriptions",
            Count,
            false,
            "",
            "subscriptions of all sessions",
        ),
        (
            "msip_broker_grants",
            Count,
            false,
            "",
            "filters that services have enabled for clients",
        ),
        (
            "msip_broker_kept_values",
            Count,
            false,
            "",
            "STATE messages that are kept",
        ),
        (
            "msip_broker_kept_bytes",
            Bytes,
            false,
            "",
            "the bytes that they have",
        ),
        (
            "msip_broker_pending_messages",
            Count,
            false,
            "",
            "messages that wait in the queues of sessions",
        ),
        (
            "msip_broker_pending_bytes",
            Bytes,
            false,
            "",
            "the bytes that they keep, each queue counted by itself",
        ),
        (
            "msip_broker_open_calls",
            Count,
            false,
            "",
            "calls that services have not answered yet",
        ),
        (
            "msip_broker_published_messages_total",
            Count,
            true,
            "",
            "messages that sessions have published",
        ),
        (
            "msip_broker_queued_messages_total",
            Count,
            true,
            "",
            "messages that were queued for a session, counted for each",
        ),
        (
            "msip_broker_dropped_messages_total",
            Count,
            true,
            "",
            "messages that a full queue, or a session that is away, did not take",
        ),
        (
            "msip_broker_failed_deliveries_total",
            Count,
            true,
            "",
            "deliveries that their receivers answered with an error",
        ),
        (
            "msip_broker_handed_over_total",
            Count,
            true,
            "",
            "messages that went to another instance than the first",
        ),
        (
            "msip_broker_inflated_bodies_total",
            Count,
            true,
            "",
            "compressed bodies that were inflated, once for all their receivers",
        ),
        (
            "msip_broker_dead_letters_total",
            Count,
            true,
            "",
            "messages that went to $dead/T",
        ),
        (
            "msip_broker_open_files",
            Count,
            false,
            "",
            "descriptors that the process has open",
        ),
        (
            "msip_broker_uptime_seconds",
            Seconds,
            false,
            "",
            "how long the broker has run",
        ),
    ]
};

/// The recorder behind `/metrics`.
pub(crate) struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// A recorder, which is that of the process if it has none yet: then it has what the runtime counts too.
    pub(super) fn new() -> Self {
        let recorder = Arc::new(PrometheusBuilder::new().build_recorder());
        // Where the program around has one, the runtime's metrics are there.
        let _ = metrics::set_global_recorder(Arc::clone(&recorder));
        with_local_recorder(&*recorder, || {
            for (name, unit, is_counter, _, help) in INSTRUMENTS {
                match is_counter {
                    true => describe_counter!(name, unit, help),
                    false => describe_gauge!(name, unit, help),
                }
            }
        });
        Self {
            handle: recorder.handle(),
            recorder,
        }
    }

    /// Frees what is not needed any more. To be called every few seconds.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn render(&self, admin: &Admin) -> String {
        let totals = admin.router.totals();
        with_local_recorder(&*self.recorder, || set(admin, &totals));
        self.handle.render()
    }
}

fn set(admin: &Admin, totals: &Totals) {
    let connections = admin.connections.open();
    for (dialect, name) in [
        (Dialect::Msip, "msip"),
        (Dialect::Mip, "mip"),
        (Dialect::MiddleMan, "middleman"),
    ] {
        let of_it = connections
            .iter()
            .filter(|one| one.session.dialect() == dialect);
        gauge!("msip_broker_connections", "dialect" => name).set(of_it.count() as f64);
    }
    counter!("msip_broker_connections_opened_total").absolute(admin.connections.opened_in_all());
    let connected = totals.sessions.saturating_sub(totals.away);
    for (state, count) in [("connected", connected), ("away", totals.away)] {
        gauge!("msip_broker_sessions", "state" => state).set(count as f64);
    }
    for (reason, count) in &totals.ended {
        counter!("msip_broker_sessions_ended_total", "reason" => reason.name()).absolute(*count);
    }
    for (name, value) in [
        ("msip_broker_subscriptions", totals.subscriptions),
        ("msip_broker_grants", totals.grants),
        ("msip_broker_kept_values", totals.kept_values),
        ("msip_broker_kept_bytes", totals.kept_bytes),
        ("msip_broker_pending_messages", totals.waiting),
        ("msip_broker_pending_bytes", totals.waiting_bytes),
        ("msip_broker_open_calls", totals.open_calls),
    ] {
        gauge!(name).set(value as f64);
    }
    for (name, value) in [
        ("msip_broker_published_messages_total", totals.published),
        ("msip_broker_queued_messages_total", totals.queued),
        ("msip_broker_dropped_messages_total", totals.dropped),
        ("msip_broker_failed_deliveries_total", totals.failed),
        ("msip_broker_handed_over_total", totals.handed_over),
        ("msip_broker_inflated_bodies_total", totals.inflated),
        ("msip_broker_dead_letters_total", totals.dead_letters),
    ] {
        counter!(name).absolute(value);
    }
    if let Some(open) = open_files() {
        gauge!("msip_broker_open_files").set(open as f64);
    }
    gauge!("msip_broker_uptime_seconds").set(admin.clock.now().as_secs_f64());
}

/// How many descriptors the process has, where the system tells.
fn open_files() -> Option<usize> {
    // The one by which it is read is among them.
    Some(
        std::fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1),
    )
}

pub(super) async fn page(State(admin): Shared) -> Response {
    let text = admin.metrics.render(&admin);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
