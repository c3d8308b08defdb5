//! What HTTP clients see: paths, headers, bodies and statuses (docs/http.md).

mod answer;
mod body;
mod caller;
mod compress;
mod event_stream;
mod guard;
mod limits;
mod lines;
mod query;
mod routes;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::Semaphore;

pub(crate) use body::BodyBudget;
pub use caller::Caller;
pub use guard::Hosts;
pub use limits::DoorLimits;
pub(crate) use routes::{RemoteAddress, routes};

use crate::{GatewayError, ProtocolModel, upstream::Upstream};

/// What all requests of a gateway share.
#[derive(Debug)]
pub struct Door {
    /// By package.
    upstreams: BTreeMap<String, Upstream>,
    pub(crate) hosts: Hosts,
    pub(crate) limits: DoorLimits,
    /// Requests that are answered.
    pub(crate) requests: Arc<Semaphore>,
    /// Answers that are streams.
    pub(crate) streams: Arc<Semaphore>,
    /// The memory of bodies.
    pub(crate) bodies: BodyBudget,
    pub(crate) is_draining: tokio::sync::watch::Sender<bool>,
}

impl Door {
    pub(crate) fn new(
        upstreams: impl IntoIterator<Item = Upstream>,
        hosts: Hosts,
        limits: DoorLimits,
    ) -> Self {
        let upstreams = upstreams.into_iter();
        let upstreams = upstreams.map(|upstream| {
            let package = upstream.model().schema().package().to_owned();
            (package, upstream)
        });
        Self {
            upstreams: upstreams.collect(),
            hosts,
            requests: Arc::new(Semaphore::new(limits.max_requests)),
            streams: Arc::new(Semaphore::new(limits.max_streams)),
            bodies: BodyBudget::new(limits.max_body_memory),
            limits,
            is_draining: tokio::sync::watch::Sender::new(false),
        }
    }

    /// The protocols that are offered, by their packages.
    pub fn models(&self) -> impl Iterator<Item = &ProtocolModel> {
        self.upstreams.values().map(Upstream::model)
    }

    /// Where the protocol of this package is spoken.
    ///
    /// # Errors
    ///
    /// It is not offered.
    pub fn upstream(&self, package: &str) -> Result<&Upstream, GatewayError> {
        self.upstreams.get(package).ok_or_else(|| {
            let text = format!("there is no protocol {package}", package = shown(package));
            GatewayError::new(msip_runtime::Code::NotFound, text)
        })
    }

    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        self.upstreams.values()
    }
}

/// A text of a client in an error: escaped, and cut.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    if text.chars().nth(64).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
