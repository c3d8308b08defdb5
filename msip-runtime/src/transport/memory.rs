//! The in-memory transport, for tests: `mem://name`.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
};

use super::{
    Address, Connection, Connector, Incoming, Listen, PeerAddress, TransportOptions,
    TransportSettingError, UrlError,
    escape::{decode, encode},
    incoming::BoxFuture,
    listen::BoxListen,
    scheme::{ListenError, Transport},
};

/// The longest name in bytes.
const MAX_NAME_LEN: usize = 255;

/// How many bytes a direction holds; after that a writer waits.
const BUFFER_LEN: usize = 64 * 1024;

/// How many connections may wait to be accepted; one more waits until one of them is.
const BACKLOG: usize = 128;

/// Who listens in this process, by address. An entry lives as long as its listener.
static LISTENERS: Mutex<BTreeMap<Arc<str>, mpsc::Sender<Connection>>> = Mutex::new(BTreeMap::new());

/// Two ends of one connection within this process: first the one that connects, then the one that accepts.
///
/// Each direction holds up to 64 KiB; after that a writer waits for the reader.
pub fn memory_pair() -> (Connection, Connection) {
    pair(&Arc::from("mem://"))
}

fn pair(name: &Arc<str>) -> (Connection, Connection) {
    let (ours, theirs) = duplex(BUFFER_LEN);
    let end = |stream: DuplexStream| {
        let address = PeerAddress::Named(Arc::clone(name));
        Connection::new(stream, address.clone(), address).confidential()
    };
    (end(ours), end(theirs))
}

/// The in-memory transport.
pub(super) struct Memory;

impl Transport for Memory {
    fn scheme(&self) -> &'static str {
        "mem"
    }

    fn parse(&self, authority: &str, _: &str) -> Result<Vec<Address>, UrlError> {
        Ok(vec![parse_name(authority)?])
    }

    fn is_confidential(&self, _: &Address) -> bool {
        true
    }

    fn connector(&self, _: &TransportOptions) -> Result<Connector, TransportSettingError> {
        Ok(Connector::new(|address: Address| async move {
            connect(&address).await
        }))
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        _: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(async {
            let listener = MemoryListener::bind(address)?;
            Ok((BoxListen::new(listener), address.clone()))
        })
    }
}

/// The address of a name that is listened at in this process.
fn parse_name(authority: &str) -> Result<Address, UrlError> {
    let name = decode(authority).ok_or_else(|| UrlError::BadEscape {
        text: authority.to_owned(),
    })?;
    if name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control) {
        return Err(UrlError::BadName { name });
    }
    Ok(Address::new("mem", encode(&name), String::new()))
}

/// Connects to the listener at this address in this process.
async fn connect(address: &Address) -> io::Result<Connection> {
    let refused = || {
        let text = format!("nobody listens at {address}");
        io::Error::new(io::ErrorKind::ConnectionRefused, text)
    };
    let name: Arc<str> = Arc::from(address.to_string());
    let queue = listeners().get(&name).cloned().ok_or_else(refused)?;
    let (ours, theirs) = pair(&name);
    queue.send(theirs).await.map_err(|_| refused())?;
    Ok(ours)
}

/// A name that is listened at until this is dropped.
#[derive(Debug)]
struct MemoryListener {
    name: Arc<str>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Connection>>,
}

impl MemoryListener {
    fn bind(address: &Address) -> io::Result<Self> {
        let name: Arc<str> = Arc::from(address.to_string());
        let mut listeners = listeners();
        if listeners.contains_key(&name) {
            let text = format!("somebody listens at {name} already");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        let (sender, incoming) = mpsc::channel(BACKLOG);
        listeners.insert(Arc::clone(&name), sender);
        Ok(Self {
            name,
            incoming: incoming.into(),
        })
    }
}

impl Listen for MemoryListener {
    async fn accept(&self) -> io::Result<Incoming> {
        // The sender is in the registry for as long as `self` is, so the queue is never closed meanwhile.
        let closed = || io::Error::from(io::ErrorKind::NotConnected);
        let connection = self.incoming.lock().await.recv().await;
        connection.map(Incoming::from).ok_or_else(closed)
    }

    fn is_confidential(&self) -> bool {
        true
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
