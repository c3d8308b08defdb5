//! What clients, servers and their handlers are made of.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use msip_runtime::{Broadcast, Client, Peer, PeerId, Status};
use tokio::sync::{oneshot, watch};

use super::{Driver, versions::OtherClient};
use crate::protocol::conformance::Conformance;

/// A client, a server, or a peer of a server.
#[derive(Clone)]
pub(super) enum Endpoint {
    Client(Client<Conformance>),
    OtherClient(OtherClient),
    Peer(Peer<Conformance>),
    Server(Arc<Running>),
}

/// A server that serves.
pub(super) struct Running {
    pub(super) broadcast: Option<Broadcast<Conformance>>,
    pub(super) stop: Mutex<Option<oneshot::Sender<()>>>,
    /// Whether it has ended.
    pub(super) ended: watch::Receiver<bool>,
}

/// What the handlers of an endpoint share.
pub(super) struct Handled {
    pub(super) driver: Arc<Driver>,
    pub(super) endpoint: u64,
    /// Messages whose handlers wait.
    pub(super) held: HashSet<String>,
    /// How the peers of a server are called.
    pub(super) peers: Mutex<HashMap<PeerId, u64>>,
}

/// What is called so.
pub(super) fn find(driver: &Driver, endpoint: u64) -> Result<Endpoint, Status> {
    let found = driver.endpoints().get(&endpoint).cloned();
    found.ok_or_else(|| Status::invalid_argument(format!("there is no endpoint {endpoint}")))
}
