//! What a broker tells of itself, over HTTP: whether it is there, metrics, and lists for people who look for what is wrong.
//!
//! Nothing here changes the broker. Every list is bounded, and nothing has a secret or a body of a message.

mod guard;
mod lists;
mod metrics;
mod query;
mod rates;
mod server;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Json, Router as Routes, extract::State, http::StatusCode, middleware, routing::get};
use msip_runtime::auth::ApiKeys;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::{clock::Clock, connections::Connections, router::Router, shared::BrokerShared};

pub(crate) use server::AdminServer;

/// What the answers are made of.
#[derive(Debug)]
pub(crate) struct Admin {
    router: Router,
    connections: Connections,
    clock: Clock,
    /// By whose keys requests are authenticated; `None` on loopback, where they are not.
    keys: Option<ApiKeys>,
    is_draining: AtomicBool,
    metrics: metrics::Metrics,
    rates: rates::Rates,
}

/// The state of a request.
type Shared = State<Arc<Admin>>;

impl Admin {
    /// What is told of a broker, to whoever shows one of these keys; `None` on loopback, to everyone.
    pub(crate) fn new(shared: &BrokerShared, keys: Option<ApiKeys>) -> Self {
        Self {
            router: shared.router.clone(),
            connections: shared.connections.clone(),
            clock: shared.clock,
            keys,
            is_draining: AtomicBool::new(false),
            metrics: metrics::Metrics::new(),
            rates: rates::Rates::default(),
        }
    }

    /// Counts, for rates, and frees what metrics do not need any more; until the future is dropped.
    pub(crate) async fn sample(&self) {
        let mut ticks = interval(rates::INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.rates.sample(self.clock.now(), &self.router.totals());
            self.metrics.upkeep();
        }
    }

    /// From here on it is not ready.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }
}

/// Every path there is, and what it has.
const PATHS: [(&str, &str); 9] = [
    ("/", "this"),
    ("/healthz", "whether the broker answers"),
    ("/readyz", "whether it takes clients"),
    ("/metrics", "what is counted, for Prometheus"),
    (
        "/connections",
        "connections, ?sort=pending|age|id, or those that have closed lately, ?state=closed; &limit= and &offset=",
    ),
    (
        "/sessions",
        "sessions: ?sort=pending|age|id, &limit= and &offset=",
    ),
    (
        "/topics",
        "topics that are subscribed to by name, or that have kept values: ?limit= and &after=",
    ),
    (
        "/slow",
        "sessions for which messages wait or were dropped, the longest queue first: ?limit= and &offset=",
    ),
    ("/rates", "messages a second, lately"),
];

fn routes(admin: &Arc<Admin>) -> Routes {
    Routes::new()
        .route("/", get(index))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::page))
        .route("/connections", get(lists::connections))
        .route("/sessions", get(lists::sessions))
        .route("/topics", get(lists::topics))
        .route("/slow", get(lists::slow))
        .route("/rates", get(rates::page))
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing: see /\n"))
        .layer(middleware::from_fn_with_state(
            Arc::clone(admin),
            guard::guard,
        ))
        .with_state(Arc::clone(admin))
}

/// What there is.
#[derive(Serialize)]
struct Index {
    name: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    is_draining: bool,
    paths: Vec<PathHelp>,
}

#[derive(Serialize)]
struct PathHelp {
    path: &'static str,
    has: &'static str,
}

async fn index(State(admin): Shared) -> Json<Index> {
    Json(Index {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: admin.clock.now().as_secs(),
        is_draining: admin.is_draining.load(Ordering::Relaxed),
        paths: PATHS.map(|(path, has)| PathHelp { path, has }).into(),
    })
}

async fn ready(State(admin): Shared) -> (StatusCode, &'static str) {
    match admin.is_draining.load(Ordering::Relaxed) {
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        false => (StatusCode::OK, "ready\n"),
    }
}

/// Whether requests to this address are taken without a key.
pub(crate) fn is_open_to_everyone(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
