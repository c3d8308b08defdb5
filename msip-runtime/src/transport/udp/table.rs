//! The connections of a server that have datagrams over UDP, by their tags.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use msip_session::wire::Side;
use tokio::net::UdpSocket;

use super::{
    super::lane::{Datagrams, Lane, LaneKinds},
    datagram::{MAX_FRAME_LEN, Opener, RefusedDatagram, tag_of},
    grant::LaneGrant,
    replay_window::ReplayWindow,
    sending::{DatagramSender, Path},
};

/// How many bytes wait to be read by one connection, each frame counted as its length + 64; then the oldest are dropped.
const QUEUE_LEN: usize = 128 * 1024;

/// What a frame counts besides its bytes.
const FRAME_COST: usize = 64;

/// The connections that have a lane. An entry goes with its lane.
#[derive(Debug, Default)]
pub(crate) struct LaneTable {
    by_tag: Mutex<HashMap<u64, Arc<Entry>>>,
}

/// One connection.
struct Entry {
    opener: Opener,
    /// The other end of the connection; `None` where it has no IP address, as on a Unix socket.
    peer: Option<IpAddr>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    window: ReplayWindow,
    /// Where the newest datagram came from, if that is where the connection's other end is.
    path: Option<Path>,
    waiting: VecDeque<Bytes>,
    cost: usize,
    /// How many were dropped for others that came later, and are not counted yet.
    dropped: u64,
    reader: Option<Waker>,
}

impl LaneTable {
    /// Gives a connection a lane of its own: what its Welcome says of it, and the lane. `port` is where the datagrams are to be
    /// sent. `peer` is the other end of the connection: datagrams are sent to this IP address and to no other, or, where there is
    /// none, to loopback.
    pub(crate) fn open(
        self: &Arc<Self>,
        port: u16,
        kinds: LaneKinds,
        peer: Option<IpAddr>,
    ) -> Result<(Vec<u8>, Lane), getrandom::Error> {
        let mut by_tag = self.lock();
        // A tag that is taken is drawn once in 2^64 times.
        let grant = loop {
            let grant = LaneGrant::draw(port)?;
            if !by_tag.contains_key(&grant.tag()) {
                break grant;
            }
        };
        let entry = Arc::new(Entry {
            opener: grant.opener(Side::Accepting),
            peer: peer.map(|ip| ip.to_canonical()),
            state: Mutex::default(),
        });
        by_tag.insert(grant.tag(), Arc::clone(&entry));
        drop(by_tag);
        let datagrams = ServerDatagrams {
            tag: grant.tag(),
            table: Arc::clone(self),
            entry,
            sender: DatagramSender::new(grant.sealer(Side::Accepting)),
        };
        Ok((grant.encode(), Lane::new(datagrams).of(kinds)))
    }

    /// A datagram has come. What is not authentic leaves no trace.
    pub(super) fn receive(
        &self,
        datagram: &[u8],
        from: SocketAddr,
        socket: &Arc<UdpSocket>,
    ) -> Result<(), RefusedDatagram> {
        let tag = tag_of(datagram)?;
        let entry = self.lock().get(&tag).map(Arc::clone);
        let entry = entry.ok_or(RefusedDatagram::UnknownTag)?;
        let authentic = entry.opener.verify(datagram)?;
        let mut state = entry.lock();
        let (frame, is_newest) = authentic.accept(&mut state.window)?;
        if is_newest {
            if entry.is_at(from.ip()) {
                state.comes_from(from, socket);
            } else {
                // Whoever has the key can forge a source, to have datagrams sent there. By the stream they reach the client.
                state.path = None;
            }
        }
        if !frame.is_empty() {
            state.push(Bytes::copy_from_slice(frame));
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        self.by_tag.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether this is the address of the connection's other end. One without an IP address is on this machine.
    fn is_at(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        match self.peer {
            Some(peer) => ip == peer,
            None => ip.is_loopback(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").finish_non_exhaustive()
    }
}

impl State {
    fn comes_from(&mut self, from: SocketAddr, socket: &Arc<UdpSocket>) {
        let is_known = self
            .path
            .as_ref()
            .is_some_and(|path| path.to == Some(from) && Arc::ptr_eq(&path.socket, socket));
        if !is_known {
            self.path = Some(Path {
                socket: Arc::clone(socket),
                to: Some(from),
            });
        }
    }

    fn push(&mut self, frame: Bytes) {
        self.cost += frame.len() + FRAME_COST;
        self.waiting.push_back(frame);
        while self.cost > QUEUE_LEN && self.pop().is_some() {
            self.dropped += 1;
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.waiting.pop_front()?;
        self.cost = self.cost.saturating_sub(frame.len() + FRAME_COST);
        Some(frame)
    }
}

/// The datagrams of one connection of a server.
struct ServerDatagrams {
    tag: u64,
    table: Arc<LaneTable>,
    entry: Arc<Entry>,
    sender: DatagramSender,
}

/// From here on the tag and the keys are worth nothing.
impl Drop for ServerDatagrams {
    fn drop(&mut self) {
        self.table.lock().remove(&self.tag);
    }
}

impl Datagrams for ServerDatagrams {
    /// None may be sent before the client has proved where it is, nor while it seems to be elsewhere than the connection's end.
    fn max_len(&self) -> usize {
        match self.entry.lock().path {
            Some(_) => MAX_FRAME_LEN,
            None => 0,
        }
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.sender.poll_ready(task)
    }

    fn send(&mut self, datagram: Bytes) -> bool {
        let path = self.entry.lock().path.clone();
        path.is_some_and(|path| self.sender.send(&path, &datagram))
    }

    fn poll_receive(&mut self, task: &mut Context<'_>) -> Poll<Bytes> {
        let mut state = self.entry.lock();
        if let Some(frame) = state.pop() {
            return Poll::Ready(frame);
        }
        match &mut state.reader {
            Some(known) => known.clone_from(task.waker()),
            unknown => *unknown = Some(task.waker().clone()),
        }
        Poll::Pending
    }

    fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.entry.lock().dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::datagram::Sealer, *};

    const CLIENT: &str = "192.0.2.1:4000";
    const ELSEWHERE: &str = "198.51.100.7:4000";

    /// A connection with this other end, and its client.
    struct Talk {
        table: Arc<LaneTable>,
        lane: Lane,
        client: Sealer,
        socket: Arc<UdpSocket>,
    }

    impl Talk {
        async fn with(peer: Option<&str>) -> Self {
            let table = Arc::<LaneTable>::default();
            let peer = peer.map(|ip| ip.parse().unwrap());
            let (value, lane) = table.open(7401, LaneKinds::ALL, peer).unwrap();
            let grant = LaneGrant::parse(&value).unwrap();
            Self {
                table,
                lane,
                client: grant.sealer(Side::Connecting),
                socket: Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
            }
        }

        fn receive(&self, datagram: &[u8], from: &str) {
            let received = self
                .table
                .receive(datagram, from.parse().unwrap(), &self.socket);
            received.unwrap();
        }

        /// The client's next datagram comes from here.
        fn comes_from(&mut self, from: &str) {
            let datagram = self.client.seal(b"a frame").unwrap();
            self.receive(&datagram, from);
            let mut task = Context::from_waker(Waker::noop());
            let taken = self.lane.datagrams.poll_receive(&mut task);
            assert_eq!(taken, Poll::Ready(Bytes::from_static(b"a frame")));
        }

        /// Where datagrams go; without that all goes by the stream.
        fn path(&self) -> Option<String> {
            let entries = self.table.lock();
            let entry = entries.values().next().unwrap();
            let path = entry.lock().path.clone();
            assert_eq!(self.lane.datagrams.max_len() > 0, path.is_some());
            path.map(|path| path.to.unwrap().to_string())
        }
    }

    #[tokio::test]
    async fn datagrams_go_to_the_other_end_of_the_connection_and_to_no_other_address() {
        let mut talk = Talk::with(Some("192.0.2.1")).await;
        assert_eq!(talk.path(), None);
        talk.comes_from(ELSEWHERE);
        assert_eq!(talk.path(), None, "the source may be forged");
        talk.comes_from(CLIENT);
        assert_eq!(talk.path().as_deref(), Some(CLIENT));
        // Address translation on the way has given it another port.
        talk.comes_from("192.0.2.1:5000");
        assert_eq!(talk.path().as_deref(), Some("192.0.2.1:5000"));
        let late = talk.client.seal(&[]).unwrap();
        talk.comes_from(ELSEWHERE);
        assert_eq!(talk.path(), None, "where the client is now is not known");
        talk.receive(&late, CLIENT);
        assert_eq!(talk.path(), None, "that is where it was before");
        talk.comes_from(CLIENT);
        assert_eq!(talk.path().as_deref(), Some(CLIENT));
    }

    #[tokio::test]
    async fn an_ipv4_address_is_the_same_at_a_socket_for_both_families() {
        let mut talk = Talk::with(Some("192.0.2.1")).await;
        talk.comes_from("[::ffff:192.0.2.1]:4000");
        assert_eq!(talk.path().as_deref(), Some("[::ffff:192.0.2.1]:4000"));
        talk.comes_from("[::ffff:198.51.100.7]:4000");
        assert_eq!(talk.path(), None);
        let mut talk = Talk::with(Some("::ffff:192.0.2.1")).await;
        talk.comes_from(CLIENT);
        assert_eq!(talk.path().as_deref(), Some(CLIENT));
    }

    #[tokio::test]
    async fn a_connection_without_an_ip_address_has_its_client_on_this_machine() {
        let mut talk = Talk::with(None).await;
        for near in ["127.0.0.1:4000", "[::1]:4000", "[::ffff:127.0.0.1]:4000"] {
            talk.comes_from(near);
            assert_eq!(talk.path().as_deref(), Some(near));
            talk.comes_from(ELSEWHERE);
            assert_eq!(talk.path(), None);
        }
    }
}
