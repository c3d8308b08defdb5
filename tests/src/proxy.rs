//! A proxy between a client and a server that breaks connections when it is told to.

use std::{io, net::SocketAddr};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// A proxy on a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: watch::Sender<Control>,
    task: AbortHandle,
}

/// What the proxy does with its connections.
#[derive(Debug, Clone, Copy)]
struct Control {
    /// Counts the cuts: every connection of an earlier count is broken.
    cuts: u64,
    /// Whether new connections are let through.
    lets_in: bool,
}

impl Proxy {
    /// A proxy to the TCP server at this address.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start(target: SocketAddr) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").await;
        let (listener, address) = match bound.and_then(|listener| {
            let address = listener.local_addr()?;
            Ok((listener, address))
        }) {
            Ok(bound) => bound,
            Err(error) => panic!("{error}"),
        };
        let control = watch::Sender::new(Control {
            cuts: 0,
            lets_in: true,
        });
        let commands = control.subscribe();
        let task = tokio::spawn(serve(listener, target, commands)).abort_handle();
        Self {
            address,
            control,
            task,
        }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
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
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, commands: watch::Receiver<Control>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let mut commands = commands.clone();
        let control = *commands.borrow_and_update();
        if control.lets_in {
            connections.spawn(async move {
                // How it ends is what the test is about.
                let _ = carry(client, target, control.cuts, commands).await;
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(
    mut client: TcpStream,
    target: SocketAddr,
    cuts: u64,
    mut commands: watch::Receiver<Control>,
) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::select! {
        ended = tokio::io::copy_bidirectional(&mut client, &mut server) => {
            ended?;
        }
        _ = commands.wait_for(|control| control.cuts != cuts) => {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
            return Ok(());
        }
    }
    client.shutdown().await?;
    server.shutdown().await
}
