//! A relay of UDP datagrams that loses, repeats and reorders some of them, or all at once for a while.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use msip_runtime::transport::ServiceUrl;
use tokio::{net::UdpSocket, task::JoinSet};

/// What happens to datagrams, by their number in their direction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// Every so manieth is lost; 0 is none.
    pub(crate) lose: usize,
    /// Every so manieth is sent twice.
    pub(crate) repeat: usize,
    /// Every so manieth is sent after the next one.
    pub(crate) delay: usize,
}

/// A relay in front of a server, until it is dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn start(server: &ServiceUrl, faults: Faults) -> Self {
        let server: SocketAddr = server.address().authority().parse().expect("an address");
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("binds"));
        let address = socket.local_addr().expect("bound");
        let is_cut = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        tasks.spawn(relay(socket, server, faults, Arc::clone(&is_cut)));
        Self {
            address,
            is_cut,
            _tasks: tasks,
        }
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("quic://{}", self.address)
    }

    /// From here on nothing is relayed, or all is again.
    pub(crate) fn set_cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

async fn relay(near: Arc<UdpSocket>, server: SocketAddr, faults: Faults, is_cut: Arc<AtomicBool>) {
    let mut upstream: HashMap<SocketAddr, (Arc<UdpSocket>, Lossy)> = HashMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; 65_536];
    while let Ok((len, client)) = near.recv_from(&mut buffer).await {
        if is_cut.load(Ordering::Relaxed) {
            continue;
        }
        let (far, lossy) = match upstream.entry(client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let far = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
                far.connect(server).await.expect("connects");
                let far = Arc::new(far);
                let back = answer(
                    Arc::clone(&far),
                    Arc::clone(&near),
                    client,
                    faults,
                    Arc::clone(&is_cut),
                );
                answers.spawn(back);
                unknown.insert((far, Lossy::new(faults)))
            }
        };
        for datagram in lossy.pass(&buffer[..len]) {
            let _ = far.send(&datagram).await;
        }
    }
}

/// Relays what the server sends to one client.
async fn answer(
    from: Arc<UdpSocket>,
    to: Arc<UdpSocket>,
    client: SocketAddr,
    faults: Faults,
    is_cut: Arc<AtomicBool>,
) {
    let mut lossy = Lossy::new(faults);
    let mut buffer = vec![0; 65_536];
    loop {
        // A server that is not there is an error now and then.
        let Ok(len) = from.recv(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        if is_cut.load(Ordering::Relaxed) {
            continue;
        }
        for datagram in lossy.pass(&buffer[..len]) {
            let _ = to.send_to(&datagram, client).await;
        }
    }
}

/// One direction.
struct Lossy {
    faults: Faults,
    count: usize,
    delayed: Option<Vec<u8>>,
}

impl Lossy {
    fn new(faults: Faults) -> Self {
        Self {
            faults,
            count: 0,
            delayed: None,
        }
    }

    fn pass(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.count += 1;
        let count = self.count;
        let is_due = |every: usize| every > 0 && count.is_multiple_of(every);
        if is_due(self.faults.lose) {
            return Vec::new();
        }
        if is_due(self.faults.delay) && self.delayed.is_none() {
            self.delayed = Some(datagram.to_vec());
            return Vec::new();
        }
        let mut passed = vec![datagram.to_vec()];
        if is_due(self.faults.repeat) {
            passed.push(datagram.to_vec());
        }
        passed.extend(self.delayed.take());
        passed
    }
}
