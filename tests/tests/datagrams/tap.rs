//! Something between a client and its server that sees their datagrams, and can hold them back, and send others.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use msip_tests::{Recorder, next, recorder};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinSet};

/// The length of a datagram without a frame.
pub(crate) const EMPTY_LEN: usize = 32;

/// Relays the datagrams of one client until it is dropped.
pub(crate) struct Tap {
    shared: Arc<Shared>,
    address: SocketAddr,
    from_client: mpsc::Receiver<Vec<u8>>,
    from_server: mpsc::Receiver<Vec<u8>>,
    _tasks: JoinSet<()>,
}

struct Shared {
    near: UdpSocket,
    far: UdpSocket,
    client: Mutex<Option<SocketAddr>>,
    holds: AtomicBool,
}

impl Tap {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let bind = || async { UdpSocket::bind("127.0.0.1:0").await.expect("binds") };
        let (near, far) = (bind().await, bind().await);
        far.connect(server).await.expect("connects");
        let address = near.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            near,
            far,
            client: Mutex::default(),
            holds: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        let (recorded, from_client) = recorder();
        tasks.spawn(Arc::clone(&shared).relay_to_server(recorded));
        let (recorded, from_server) = recorder();
        tasks.spawn(Arc::clone(&shared).relay_to_client(recorded));
        Self {
            shared,
            address,
            from_client,
            from_server,
            _tasks: tasks,
        }
    }

    /// Where the client sends its datagrams.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From here on nothing is relayed, or all is again.
    pub(crate) fn set_holds(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::Relaxed);
    }

    /// The next datagram of the client that has a frame.
    pub(crate) async fn of_client(&mut self) -> Vec<u8> {
        next_with_frame(&mut self.from_client).await
    }

    /// The next datagram of the server.
    pub(crate) async fn of_server(&mut self) -> Vec<u8> {
        next_with_frame(&mut self.from_server).await
    }

    /// Whether there is one of the server that was not looked at.
    pub(crate) fn has_of_server(&self) -> bool {
        !self.from_server.is_empty()
    }

    /// How many datagrams with a frame the client has sent that were not looked at.
    pub(crate) fn count_of_client(&mut self) -> usize {
        count_with_frame(&mut self.from_client)
    }

    /// The same of the server.
    pub(crate) fn count_of_server(&mut self) -> usize {
        count_with_frame(&mut self.from_server)
    }

    /// Sends a datagram to the server, as the client's came.
    pub(crate) async fn to_server(&self, datagram: &[u8]) {
        self.shared.far.send(datagram).await.expect("sent");
    }

    /// Sends a datagram to the client, as the server's come.
    pub(crate) async fn to_client(&self, datagram: &[u8]) {
        let client = self.shared.client().expect("it has sent something");
        let sent = self.shared.near.send_to(datagram, client).await;
        sent.expect("sent");
    }
}

async fn next_with_frame(datagrams: &mut mpsc::Receiver<Vec<u8>>) -> Vec<u8> {
    loop {
        let datagram = next(datagrams).await;
        if datagram.len() > EMPTY_LEN {
            return datagram;
        }
    }
}

fn count_with_frame(datagrams: &mut mpsc::Receiver<Vec<u8>>) -> usize {
    let waiting = std::iter::from_fn(|| datagrams.try_recv().ok());
    waiting
        .filter(|datagram| datagram.len() > EMPTY_LEN)
        .count()
}

impl Shared {
    fn client(&self) -> Option<SocketAddr> {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn relay_to_server(self: Arc<Self>, recorded: Recorder<Vec<u8>>) {
        let mut buffer = vec![0; 65_536];
        loop {
            // A socket to which nobody listens any more is an error now and then.
            let Ok((len, client)) = self.near.recv_from(&mut buffer).await else {
                continue;
            };
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
            // First, so that what has arrived was recorded.
            recorded.record(buffer[..len].to_vec());
            if !self.holds.load(Ordering::Relaxed) {
                let _ = self.far.send(&buffer[..len]).await;
            }
        }
    }

    async fn relay_to_client(self: Arc<Self>, recorded: Recorder<Vec<u8>>) {
        let mut buffer = vec![0; 65_536];
        loop {
            let Ok(len) = self.far.recv(&mut buffer).await else {
                continue;
            };
            recorded.record(buffer[..len].to_vec());
            if let (Some(client), false) = (self.client(), self.holds.load(Ordering::Relaxed)) {
                let _ = self.near.send_to(&buffer[..len], client).await;
            }
        }
    }
}
