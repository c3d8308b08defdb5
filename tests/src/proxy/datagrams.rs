//! A proxy of UDP datagrams, in front of a server of QUIC: it loses, repeats and reorders some of them, and lets connections
//! fall silent, by a plan or on request.
//!
//! A client keeps its socket when it connects again. What is a connection, the proxy knows by the first packets of one, whose
//! header names the id that the client has chosen for it: what has fallen silent stays so until the next.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use tokio::{
    net::UdpSocket,
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use super::{Control, End, Faults, Plan, Tally, Trouble, Way};

/// The longest datagram.
const MAX_LEN: usize = 65_536;

/// A proxy of datagrams on a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct DatagramProxy {
    address: SocketAddr,
    control: watch::Sender<Control>,
    tally: watch::Receiver<Tally>,
    task: AbortHandle,
}

impl DatagramProxy {
    /// A proxy to the server at this address, which treats one connection after the other as planned.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn with_plan(target: SocketAddr, plan: Plan) -> Self {
        let bound = UdpSocket::bind("127.0.0.1:0").await;
        let (socket, address) = match bound.and_then(|socket| {
            let address = socket.local_addr()?;
            Ok((socket, address))
        }) {
            Ok(bound) => bound,
            Err(error) => panic!("{error}"),
        };
        let control = watch::Sender::new(Control {
            target,
            cuts: 0,
            lets_in: true,
        });
        let (told, tally) = watch::channel(Tally::default());
        let relay = Relay {
            near: Arc::new(socket),
            commands: control.subscribe(),
            told: Arc::new(told),
            plan,
            answers: JoinSet::new(),
        };
        let task = tokio::spawn(relay.serve()).abort_handle();
        Self {
            address,
            control,
            tally,
            task,
        }
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes new connections to another server.
    pub fn aim(&self, target: SocketAddr) {
        self.control.send_modify(|control| control.target = target);
    }

    /// Lets every connection fall silent.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.cuts += 1);
    }

    /// What it has done so far, to be watched. A cut is counted at once.
    #[must_use]
    pub fn tally(&self) -> watch::Receiver<Tally> {
        self.tally.clone()
    }
}

impl Drop for DatagramProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The socket of the clients, and what their connections are given.
struct Relay {
    near: Arc<UdpSocket>,
    commands: watch::Receiver<Control>,
    told: Arc<watch::Sender<Tally>>,
    plan: Plan,
    /// What servers send. A connection's task ends with the next one's beginning.
    answers: JoinSet<()>,
}

/// A client's connection.
struct Carried {
    id: Vec<u8>,
    far: Arc<UdpSocket>,
    up: Direction,
    answers: AbortHandle,
    is_troubled: bool,
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.answers.abort();
        let has_struck = self.up.silence.borrow().contains(&true);
        if self.is_troubled && !has_struck {
            self.up.told.send_modify(|tally| tally.spared += 1);
        }
    }
}

impl Relay {
    async fn serve(mut self) {
        let mut connections: HashMap<SocketAddr, Carried> = HashMap::new();
        let mut buffer = vec![0; MAX_LEN];
        loop {
            tokio::select! {
                received = self.near.recv_from(&mut buffer) => {
                    // An ICMP message about a client that has gone is an error, too.
                    let Ok((len, client)) = received else { continue };
                    let datagram = &buffer[..len];
                    if let Some(id) = new_connection(datagram)
                        && connections.get(&client).is_none_or(|carried| carried.id != id)
                        && let Some(carried) = self.begin(id, client).await
                    {
                        connections.insert(client, carried);
                    }
                    if let Some(carried) = connections.get_mut(&client) {
                        for datagram in carried.up.pass(datagram) {
                            // A server that is not there is an error now and then.
                            let _ = carried.far.send(&datagram).await;
                        }
                    }
                }
                changed = self.commands.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let cuts = self.commands.borrow_and_update().cuts;
                    self.told.send_modify(|tally| tally.cuts = cuts);
                }
            }
            while self.answers.try_join_next().is_some() {}
        }
    }

    async fn begin(&mut self, id: &[u8], client: SocketAddr) -> Option<Carried> {
        let control = *self.commands.borrow();
        let far = UdpSocket::bind("127.0.0.1:0").await.ok()?;
        far.connect(control.target).await.ok()?;
        let far = Arc::new(far);
        self.told.send_modify(|tally| tally.connections += 1);
        let course = self.plan.next_datagram_course();
        let silence = watch::Sender::new([false; 2]);
        let direction = |way, faults| Direction {
            way,
            faults,
            end: course.end.filter(|end| end.way == way),
            cuts: control.cuts,
            commands: self.commands.clone(),
            silence: silence.clone(),
            told: Arc::clone(&self.told),
            count: 0,
            len: 0,
            delayed: None,
        };
        let up = direction(Way::Up, course.up);
        let down = direction(Way::Down, course.down);
        let answers = self.answers.spawn(answer(
            Arc::clone(&far),
            Arc::clone(&self.near),
            client,
            down,
        ));
        Some(Carried {
            id: id.to_vec(),
            far,
            up,
            answers,
            is_troubled: course.end.is_some(),
        })
    }
}

/// Relays what the server sends to one client.
async fn answer(
    far: Arc<UdpSocket>,
    near: Arc<UdpSocket>,
    client: SocketAddr,
    mut down: Direction,
) {
    let mut buffer = vec![0; MAX_LEN];
    loop {
        let Ok(len) = far.recv(&mut buffer).await else {
            // Nobody is there, as an ICMP message says.
            tokio::task::yield_now().await;
            continue;
        };
        for datagram in down.pass(&buffer[..len]) {
            let _ = near.send_to(&datagram, client).await;
        }
    }
}

/// The id that a client has chosen for a connection, where a datagram begins with the packet by which it is begun (RFC 9000,
/// "Initial Packet"). The packet names it behind the id that the server is known by so far.
fn new_connection(datagram: &[u8]) -> Option<&[u8]> {
    let (first, rest) = datagram.split_first()?;
    if first & 0xf0 != 0xc0 {
        return None;
    }
    let (server_len, rest) = rest.get(4..)?.split_first()?;
    let (len, rest) = rest.get(usize::from(*server_len)..)?.split_first()?;
    rest.get(..usize::from(*len))
}

/// One direction of a connection.
struct Direction {
    way: Way,
    faults: Faults,
    end: Option<End>,
    /// How many cuts there were when it began.
    cuts: u64,
    commands: watch::Receiver<Control>,
    /// Which directions have fallen silent: up, down.
    silence: watch::Sender<[bool; 2]>,
    told: Arc<watch::Sender<Tally>>,
    count: u64,
    len: u64,
    delayed: Option<Vec<u8>>,
}

impl Direction {
    /// What arrives, now that this one was sent.
    fn pass(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let is_silent = self.silence.borrow()[self.way as usize];
        if is_silent || self.commands.borrow().cuts != self.cuts {
            return Vec::new();
        }
        let len = u64::try_from(datagram.len()).unwrap_or(u64::MAX);
        self.len += len;
        if let Some(end) = self.end.filter(|end| end.after <= self.len) {
            let silent = match (end.trouble, self.way) {
                (Trouble::Blackhole { both_ways: false }, Way::Up) => [true, false],
                (Trouble::Blackhole { both_ways: false }, Way::Down) => [false, true],
                _ => [true, true],
            };
            self.silence.send_replace(silent);
            self.told.send_modify(|tally| tally.blackholes += 1);
            return Vec::new();
        }
        self.count += 1;
        let is_due = |every: u64| every > 0 && self.count.is_multiple_of(every);
        if is_due(self.faults.lose) {
            return Vec::new();
        }
        self.told.send_modify(|tally| tally.bytes += len);
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
