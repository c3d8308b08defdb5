//! The datagrams of a client: a socket of its own for each connection.

use std::{
    future::Future as _,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use msip_session::wire::Side;
use tokio::{
    io::ReadBuf,
    net::{UdpSocket, lookup_host},
    time::{Instant, Sleep, sleep},
};

use super::{
    super::{
        Address,
        lane::{Datagrams, Lane, LaneKinds},
        tcp::{host_and_port, no_address},
    },
    OnRefused,
    datagram::{MAX_FRAME_LEN, Opener},
    grant::LaneGrant,
    replay_window::ReplayWindow,
    sending::{DatagramSender, Path},
};

/// Longer than any datagram that is taken.
const BUFFER_LEN: usize = 2048;

/// How many that are refused are read before others have their turn.
const REFUSED_A_TURN: usize = 64;

/// Looks up where datagrams are to be sent. Of several addresses that of the connection's other end is taken, then one of its
/// family: nobody says that nobody takes datagrams at an address.
pub(crate) async fn look_up(address: &Address, server: Option<IpAddr>) -> io::Result<SocketAddr> {
    let (host, port) = host_and_port(address)?;
    let found: Vec<_> = lookup_host((&*host, port)).await?.collect();
    let is_of_server = |address: &&SocketAddr| Some(address.ip().to_canonical()) == server;
    let has_its_family = |address: &&SocketAddr| {
        server.is_none_or(|server| address.ip().is_ipv4() == server.is_ipv4())
    };
    let best = found
        .iter()
        .find(is_of_server)
        .or_else(|| found.iter().find(has_its_family))
        .or(found.first());
    best.copied().ok_or_else(|| no_address(&host))
}

/// The lane of a client's connection, as its Welcome gives it. Where `to` has the port 0, that of the Welcome is taken. Every
/// `interval` the server hears where the client is.
pub(crate) async fn client_lane(
    grant: &LaneGrant,
    mut to: SocketAddr,
    kinds: LaneKinds,
    interval: Duration,
    refused: OnRefused,
) -> io::Result<Lane> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    if to.port() == 0 {
        to.set_port(grant.port());
    }
    let socket = UdpSocket::bind((any, 0)).await?;
    // From elsewhere nothing is received.
    socket.connect(to).await?;
    let socket = Arc::new(socket);
    let datagrams = ClientDatagrams {
        path: Path {
            socket: Arc::clone(&socket),
            to: None,
        },
        socket,
        opener: grant.opener(Side::Connecting),
        window: ReplayWindow::default(),
        sender: DatagramSender::new(grant.sealer(Side::Connecting)),
        timer: Box::pin(sleep(Duration::ZERO)),
        interval,
        refused,
    };
    Ok(Lane::new(datagrams).of(kinds))
}

struct ClientDatagrams {
    socket: Arc<UdpSocket>,
    path: Path,
    opener: Opener,
    window: ReplayWindow,
    sender: DatagramSender,
    /// When the server is told where the client is.
    timer: Pin<Box<Sleep>>,
    interval: Duration,
    refused: OnRefused,
}

impl ClientDatagrams {
    /// Tells the server where the client is, where that is due: by a datagram without a frame.
    fn tell_where(&mut self, task: &mut Context<'_>) {
        while self.timer.as_mut().poll(task).is_ready() {
            // A later one says the same.
            let _ = self.sender.send(&self.path, &[]);
            self.timer.as_mut().reset(Instant::now() + self.interval);
        }
    }

    /// The next datagram that is taken; `None` in its place for one that is not.
    fn poll_one(&mut self, task: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut buffer = [0; BUFFER_LEN];
        let mut buffer = ReadBuf::new(&mut buffer);
        if ready!(self.socket.poll_recv(task, &mut buffer)).is_err() {
            // Such as that nobody takes datagrams there: a later one may arrive.
            return Poll::Ready(None);
        }
        let opened = self
            .opener
            .verify(buffer.filled())
            .and_then(|authentic| authentic.accept(&mut self.window));
        Poll::Ready(match opened {
            Ok((frame, _)) => (!frame.is_empty()).then(|| Bytes::copy_from_slice(frame)),
            Err(why) => {
                (self.refused)(why);
                None
            }
        })
    }
}

impl Datagrams for ClientDatagrams {
    fn max_len(&self) -> usize {
        MAX_FRAME_LEN
    }

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        ready!(self.sender.poll_ready(task));
        self.tell_where(task);
        self.sender.poll_ready(task)
    }

    fn send(&mut self, datagram: Bytes) -> bool {
        self.sender.send(&self.path, &datagram)
    }

    fn poll_receive(&mut self, task: &mut Context<'_>) -> Poll<Bytes> {
        for _ in 0..REFUSED_A_TURN {
            if let Some(frame) = ready!(self.poll_one(task)) {
                return Poll::Ready(frame);
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }

    /// Where nobody reads, the system drops what comes, and does not say how many.
    fn take_dropped(&mut self) -> u64 {
        0
    }
}
