//! A proxy between a client and a server that treats connections badly: by a plan, or on request.

mod carry;
mod datagrams;
mod plan;

use std::net::SocketAddr;

pub use datagrams::DatagramProxy;
pub use plan::{Course, DatagramCourse, End, Faults, Lane, Plan, Random, Trouble, Way};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// A proxy on a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: watch::Sender<Control>,
    tally: watch::Receiver<Tally>,
    task: AbortHandle,
}

/// What the proxy does with its connections.
#[derive(Debug, Clone, Copy)]
struct Control {
    /// Where they go.
    target: SocketAddr,
    /// Counts the cuts: every connection of an earlier count is broken.
    cuts: u64,
    /// Whether new connections are let through.
    lets_in: bool,
}

/// What the proxy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were carried.
    pub connections: u64,
    /// Connections that came while the target did not listen.
    pub unreachable: u64,
    /// Connections broken because the test said so.
    pub cuts: u64,
    /// Connections reset at some byte by the plan.
    pub resets: u64,
    /// Connections closed at some byte by the plan.
    pub truncations: u64,
    /// Connections that went silent at some byte by the plan: all that datagrams can do.
    pub blackholes: u64,
    /// Connections that ended before the byte at which the plan would have broken them.
    pub spared: u64,
    /// Bytes that arrived, both ways.
    pub bytes: u64,
}

impl Tally {
    /// How many of the connections that the plan breaks are behind it: as many as it has, sooner or later, and then all is
    /// calm.
    #[must_use]
    pub const fn troubles(&self) -> u64 {
        self.resets + self.truncations + self.blackholes + self.spared
    }
}

impl Proxy {
    /// A proxy to the TCP server at this address, which treats connections well.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start(target: SocketAddr) -> Self {
        Self::with_plan(target, Plan::calm()).await
    }

    /// A proxy to the TCP server at this address, which treats one connection after the other as planned.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn with_plan(target: SocketAddr, plan: Plan) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").await;
        let (listener, address) = match bound.and_then(|listener| {
            let address = listener.local_addr()?;
            Ok((listener, address))
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
        let commands = control.subscribe();
        let task = tokio::spawn(serve(listener, plan, commands, told)).abort_handle();
        Self {
            address,
            control,
            tally,
            task,
        }
    }

    /// Where clients connect to, whatever they speak.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients connect to by TCP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// Takes new connections to another server.
    pub fn aim(&self, target: SocketAddr) {
        self.control.send_modify(|control| control.target = target);
    }

    /// Breaks every connection; what is under way is lost.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.cuts += 1);
    }

    /// Lets new connections through, or closes them at once.
    pub fn let_in(&self, lets_in: bool) {
        self.control
            .send_modify(|control| control.lets_in = lets_in);
    }

    /// What it has done so far, to be watched.
    #[must_use]
    pub fn tally(&self) -> watch::Receiver<Tally> {
        self.tally.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    mut plan: Plan,
    commands: watch::Receiver<Control>,
    tally: watch::Sender<Tally>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let mut commands = commands.clone();
        let control = *commands.borrow_and_update();
        if control.lets_in {
            let tally = tally.clone();
            let course = plan.next_course();
            connections.spawn(async move {
                // How it ends is what the test is about.
                let _ = carry::carry(client, course, control, commands, tally).await;
            });
        }
        while connections.try_join_next().is_some() {}
    }
}
