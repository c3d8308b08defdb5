//! What HTTP clients see: paths, headers, bodies and statuses (docs/http.md).

mod answer;
mod body;
mod caller;
mod compress;
mod event_stream;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod guard;
mod limits;
mod lines;
mod query;
mod remote;
mod routes;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{Semaphore, watch};

pub(crate) use body::BodyBudget;
pub use caller::Caller;
pub(crate) use event_stream::{permit as stream_permit, sse_frame};
pub use guard::Hosts;
pub use limits::GatewayLimits;
pub(crate) use remote::{RemoteAddress, Transport};
pub(crate) use routes::routes;

use crate::{GatewayError, ProtocolModel, upstream::Upstream};

/// What all requests of a gateway share.
#[derive(Debug)]
pub struct GatewayShared {
    /// By package; replaced where schemas are read again.
    upstreams: watch::Sender<Arc<BTreeMap<String, Upstream>>>,
    pub(crate) hosts: Hosts,
    pub(crate) limits: GatewayLimits,
    /// Requests that are answered.
    pub(crate) requests: Arc<Semaphore>,
    /// Answers that are streams.
    pub(crate) streams: Arc<Semaphore>,
    /// The memory of bodies.
    pub(crate) bodies: BodyBudget,
    pub(crate) is_draining: watch::Sender<bool>,
}

impl GatewayShared {
    pub(crate) fn new(
        upstreams: impl IntoIterator<Item = Upstream>,
        hosts: Hosts,
        limits: GatewayLimits,
    ) -> Self {
        let upstreams = upstreams.into_iter();
        let upstreams = upstreams.map(|upstream| {
            let package = upstream.model().schema().package().to_owned();
            (package, upstream)
        });
        Self {
            upstreams: watch::Sender::new(Arc::new(upstreams.collect())),
            hosts,
            requests: Arc::new(Semaphore::new(limits.max_requests)),
            streams: Arc::new(Semaphore::new(limits.max_streams)),
            bodies: BodyBudget::new(limits.max_body_memory),
            limits,
            is_draining: watch::Sender::new(false),
        }
    }

    /// The protocols that are offered, by their packages.
    #[must_use]
    pub fn models(&self) -> Vec<ProtocolModel> {
        let upstreams = self.offered();
        upstreams
            .values()
            .map(|upstream| upstream.model().clone())
            .collect()
    }

    fn offered(&self) -> Arc<BTreeMap<String, Upstream>> {
        Arc::clone(&self.upstreams.borrow())
    }

    /// Where the protocol of this package is spoken.
    ///
    /// # Errors
    ///
    /// It is not offered.
    pub fn upstream(&self, package: &str) -> Result<Upstream, GatewayError> {
        self.offered().get(package).cloned().ok_or_else(|| {
            let text = format!("there is no protocol {package}", package = shown(package));
            GatewayError::new(msip_runtime::Code::NotFound, text)
        })
    }

    pub(crate) fn upstreams(&self) -> Vec<Upstream> {
        self.offered().values().cloned().collect()
    }

    /// Hears of each time that protocols were replaced.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<BTreeMap<String, Upstream>>> {
        self.upstreams.subscribe()
    }

    /// Offers these protocols of one server in place of those that it had: of each whose schema is the same, sessions go on.
    pub(crate) fn replace(
        &self,
        before: &[ProtocolModel],
        now: impl IntoIterator<Item = Upstream>,
    ) {
        self.upstreams.send_modify(|offered| {
            let mut next = BTreeMap::clone(offered);
            for model in before {
                next.remove(model.schema().package());
            }
            for upstream in now {
                let schema = upstream.model().schema();
                let (package, fingerprint) = (schema.package().to_owned(), schema.fingerprint());
                let same = offered
                    .get(&package)
                    .filter(|kept| kept.model().schema().fingerprint() == fingerprint);
                let upstream = same.cloned().unwrap_or(upstream);
                next.insert(package, upstream);
            }
            *offered = Arc::new(next);
        });
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
