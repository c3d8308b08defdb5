//! A custom transport: a server whose connections come through a SOCKS5 proxy.
//!
//! ```text
//! cargo run -p msip-examples --bin own-transport
//! ```
//!
//! The client is given a connector, which asks a proxy for the server and hands the stream that it got to the client. The
//! proxy here is a small one in the same program; with another one (`ssh -D 1080 …`, Tor), only its address changes.
//! The other side has its place too: the proxy does not connect to a port of the server, but hands each connection to it,
//! by the server's `Acceptor`.

#![expect(
    clippy::print_stdout,
    reason = "the transcript is what the program is for"
)]

use std::{error::Error, io, net::SocketAddr};

use msip_examples::{
    Room,
    chat::{Chat, ConnectReq, SendClientToServer as _},
};
use msip_runtime::{
    Acceptor, Client, Server,
    transport::{Address, Connect, Connection},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// The version of SOCKS, and the method without authentication.
const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;

/// Reaches servers through a SOCKS5 proxy (RFC 1928).
struct ThroughProxy(SocketAddr);

impl Connect for ThroughProxy {
    async fn connect(&self, server: &Address) -> io::Result<Connection> {
        let mut stream = TcpStream::connect(self.0).await?;
        stream.write_all(&[VERSION, 1, NO_AUTHENTICATION]).await?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await?;
        if chosen != [VERSION, NO_AUTHENTICATION] {
            return Err(io::Error::other("the proxy wants authentication"));
        }
        stream.write_all(&request(server)?).await?;
        // Version, outcome, a zero, and an IPv4 address with its port.
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).await?;
        if answer[1] != 0 {
            let text = format!("the proxy cannot reach {server}: error {}", answer[1]);
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
        }
        let (local, proxy) = (stream.local_addr()?, stream.peer_addr()?);
        // What the proxy does with the bytes cannot be known here, so it is not `confidential`.
        Ok(Connection::new(stream, local.into(), proxy.into()))
    }
}

/// Asks the proxy to connect to a host, by its name.
fn request(server: &Address) -> io::Result<Vec<u8>> {
    let no_place = || io::Error::new(io::ErrorKind::InvalidInput, "no host and port");
    let (host, port) = server.host().zip(server.port()).ok_or_else(no_place)?;
    let len = u8::try_from(host.len()).map_err(io::Error::other)?;
    let mut request = vec![VERSION, 1, 0, 3, len];
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// A SOCKS5 proxy that knows one server, and hands its connections to it.
async fn proxy(listener: TcpListener, acceptor: Acceptor) -> io::Result<()> {
    loop {
        let (mut stream, peer) = listener.accept().await?;
        let mut methods = [0; 3];
        stream.read_exact(&mut methods).await?;
        stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
        let mut head = [0; 5];
        stream.read_exact(&mut head).await?;
        let mut place = vec![0; usize::from(head[4]) + 2];
        stream.read_exact(&mut place).await?;
        let host = String::from_utf8_lossy(&place[..place.len() - 2]).into_owned();
        println!("proxy: somebody asks for {host}");
        stream
            .write_all(&[VERSION, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .await?;
        let local = stream.local_addr()?;
        let connection = Connection::new(stream, local.into(), peer.into());
        // The two are in one process, so the connection is confidential.
        let accepted = acceptor.accept(connection.confidential()).await;
        accepted.map_err(io::Error::other)?;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::<Chat>::bind("mem://behind-the-proxy").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy_address = listener.local_addr()?;
    let proxy = tokio::spawn(proxy(listener, server.acceptor()));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(Room::new("welcome", |_| {}), async {
        // A dropped sender stops the server too.
        let _ = stopped.await;
    }));

    // No such host: the proxy alone knows where it is.
    let client = Client::<Chat>::builder("tcp://chat.internal:7400?ping_interval=5s")
        .connector(ThroughProxy(proxy_address))
        .connect()
        .await?;
    let user = "ada".to_owned();
    let entered = client.connect_req(ConnectReq { user }).await?;
    println!("client: in the room: {}", entered.users.join(", "));
    client.close().await;

    drop(stop);
    let report = serving.await?;
    println!("server: stopped, {} calls cut off", report.cut_off);
    proxy.abort();
    Ok(())
}
