//! Connections within this process, for tests.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::duplex;
use tokio::sync::mpsc;

use super::{Connection, PeerAddress};

/// How many bytes may be under way in each direction; a writer waits when they are.
const BUFFER_LEN: usize = 64 * 1024;

/// How many connections may wait to be accepted; one more waits until one of them is.
const BACKLOG: usize = 128;

/// Who listens in this process, by name. An entry lives as long as its listener.
static LISTENERS: Mutex<BTreeMap<Arc<str>, mpsc::Sender<Connection>>> = Mutex::new(BTreeMap::new());

/// Two ends of one connection within this process: first the one that connects, then the one that accepts.
///
/// Up to 64 KiB are under way in each direction; after that a writer waits for the reader.
pub fn memory_pair() -> (Connection, Connection) {
    pair(&Arc::from(""))
}

fn pair(name: &Arc<str>) -> (Connection, Connection) {
    let (ours, theirs) = duplex(BUFFER_LEN);
    let end = |stream: tokio::io::DuplexStream| {
        let address = PeerAddress::Memory(Arc::clone(name));
        Connection::new(stream.into(), address.clone(), address)
    };
    (end(ours), end(theirs))
}

pub(super) async fn connect(name: &str) -> io::Result<Connection> {
    let refused = || {
        let text = format!("nobody listens at mem://{name}");
        io::Error::new(io::ErrorKind::ConnectionRefused, text)
    };
    let queue = listeners().get(name).cloned().ok_or_else(refused)?;
    let (ours, theirs) = pair(&Arc::from(name));
    queue.send(theirs).await.map_err(|_| refused())?;
    Ok(ours)
}

/// A name that is listened at until this is dropped.
#[derive(Debug)]
pub(super) struct MemoryListener {
    name: Arc<str>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Connection>>,
}

impl MemoryListener {
    pub(super) fn bind(name: &str) -> io::Result<Self> {
        let mut listeners = listeners();
        if listeners.contains_key(name) {
            let text = format!("somebody listens at mem://{name} already");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        let name: Arc<str> = Arc::from(name);
        let (sender, incoming) = mpsc::channel(BACKLOG);
        listeners.insert(Arc::clone(&name), sender);
        Ok(Self {
            name,
            incoming: incoming.into(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn accept(&self) -> io::Result<Connection> {
        // The sender is in the registry for as long as `self` is, so the queue is never closed meanwhile.
        let closed = || io::Error::from(io::ErrorKind::NotConnected);
        self.incoming.lock().await.recv().await.ok_or_else(closed)
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        listeners().remove(&self.name);
    }
}

fn listeners() -> MutexGuard<'static, BTreeMap<Arc<str>, mpsc::Sender<Connection>>> {
    // Nothing panics while it holds the lock, and the map is whole after each step.
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}
