//! A slow and unreliable network within one process.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

/// The number of bytes that are forwarded at once.
const PIECE: usize = 1024;

/// A TCP proxy to a server with a limited rate in each direction, whose connections can be broken. It ends when it is
/// dropped.
#[derive(Debug)]
pub struct SlowLine {
    address: SocketAddr,
    /// The number of cuts: each connection from before the last one is broken.
    cuts: watch::Sender<u64>,
    task: AbortHandle,
}

impl SlowLine {
    /// Starts a proxy to the server at `to`, such as `127.0.0.1:7400`.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub async fn lay(to: impl Into<String>, bytes_per_second: u32) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let cuts = watch::Sender::new(0);
        let carrying = carry_all(listener, to.into(), bytes_per_second, cuts.subscribe());
        Ok(Self {
            address,
            cuts,
            task: tokio::spawn(carrying).abort_handle(),
        })
    }

    /// The address that clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// Breaks every connection; bytes on their way are lost.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for SlowLine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry_all(listener: TcpListener, to: String, rate: u32, cuts: watch::Receiver<u64>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (to, cuts) = (to.clone(), cuts.clone());
        connections.spawn(async move {
            // Both ends notice by themselves when the connection ends.
            let _ = carry(client, &to, rate, cuts).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(
    mut client: TcpStream,
    to: &str,
    rate: u32,
    mut cuts: watch::Receiver<u64>,
) -> io::Result<()> {
    let cut = *cuts.borrow_and_update();
    let mut server = TcpStream::connect(to).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        ended = pump(from_client, to_server, rate) => ended,
        ended = pump(from_server, to_client, rate) => ended,
        // The sender is dropped with the proxy, and this task with it.
        _ = cuts.wait_for(|cuts| *cuts != cut) => Ok(()),
    }
}

/// Forwards bytes, no faster than the rate allows.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    rate: u32,
) -> io::Result<()> {
    let mut piece = [0; PIECE];
    loop {
        let len = from.read(&mut piece).await?;
        let Some(bytes) = piece.get(..len).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        to.write_all(bytes).await?;
        // `len` is at most `PIECE`.
        let share = u32::try_from(len).unwrap_or(u32::MAX);
        sleep(Duration::from_secs(1) * share / rate.max(1)).await;
    }
}
