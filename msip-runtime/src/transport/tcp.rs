//! The TCP transport: `tcp://host:port`.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tracing::debug;

use super::{
    Address, Connection, Connector, Incoming, Listen, TransportOptions, TransportSettingError,
    UrlError,
    escape::decode,
    incoming::BoxFuture,
    listen::BoxListen,
    proxied::{PROXY_FROM, TrustedProxies, read_header},
    scheme::{ListenError, Transport},
};
use msip_session::wire::Side;

/// The longest host name in bytes.
const MAX_NAME_LEN: usize = 255;

/// How many connections may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 1024;

/// After how long a silent peer is asked by the system whether it is there, and again, and how often before it is taken for gone. A session
/// of MSIP asks sooner; a peer of another dialect may be silent for ever, and one whose machine has gone has to be told from it.
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;

/// The TCP transport.
pub(super) struct Tcp;

impl Transport for Tcp {
    fn scheme(&self) -> &'static str {
        "tcp"
    }

    fn parse(&self, authority: &str, _: &str) -> Result<Vec<Address>, UrlError> {
        authority.split(',').map(parse_host_port).collect()
    }

    fn is_confidential(&self, address: &Address) -> bool {
        address.host().is_some_and(|host| {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        match side {
            Side::Connecting => &[],
            Side::Accepting => &[PROXY_FROM],
        }
    }

    fn connector(&self, _: &TransportOptions) -> Result<Connector, TransportSettingError> {
        Ok(Connector::new(|address: Address| async move {
            let stream = open(&address).await?;
            let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
            Ok(connection(stream, local, peer))
        }))
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(async {
            let proxies = TrustedProxies::of(options)?;
            let listener = bind(address).await?;
            let local = address_of(listener.local_addr()?);
            let listener = match proxies {
                Some(proxies) => BoxListen::new(BehindProxies { listener, proxies }),
                None => BoxListen::new(listener),
            };
            Ok((listener, local))
        })
    }
}

impl Listen for TcpListener {
    async fn accept(&self) -> io::Result<Incoming> {
        let (stream, peer) = TcpListener::accept(self).await?;
        let local = stream.local_addr()?;
        set_nodelay(&stream);
        Ok(connection(stream, local, peer).into())
    }

    fn is_confidential(&self) -> bool {
        self.local_addr().is_ok_and(|address| is_loopback(&address))
    }
}

/// A listener at which proxies connect, and others.
#[derive(Debug)]
struct BehindProxies {
    listener: TcpListener,
    proxies: TrustedProxies,
}

impl Listen for BehindProxies {
    async fn accept(&self) -> io::Result<Incoming> {
        let (mut stream, peer) = self.listener.accept().await?;
        let local = stream.local_addr()?;
        set_nodelay(&stream);
        if !self.proxies.trust(peer) {
            return Ok(connection(stream, local, peer).into());
        }
        Ok(Incoming::upgrading(peer.into(), async move {
            let client = read_header(&mut stream, peer).await?;
            let connection = Connection::new(stream, local.into(), client.into());
            // On the way to the proxy others may read along, unless that is on this machine too.
            Ok(if is_loopback(&peer) && is_loopback(&client) {
                connection.confidential()
            } else {
                connection
            })
        }))
    }

    fn is_confidential(&self) -> bool {
        Listen::is_confidential(&self.listener)
    }
}

/// Opens a connection to the first address of the host that answers.
pub(super) async fn open(address: &Address) -> io::Result<TcpStream> {
    let (host, port) = host_and_port(address)?;
    let mut last_error = None;
    for address in lookup_host((&*host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                set_nodelay(&stream);
                return Ok(stream);
            }
            Err(error) => {
                debug!(%address, %error, "an address of the host does not answer");
                last_error = Some(error);
            }
        }
    }
    Err(last_error.unwrap_or_else(|| no_address(&host)))
}

/// Listens at the first address of the host that can be listened at.
pub(super) async fn bind(address: &Address) -> io::Result<TcpListener> {
    let (host, port) = host_and_port(address)?;
    let mut last_error = None;
    for address in lookup_host((&*host, port)).await? {
        match bind_to(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| no_address(&host)))
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // As the standard library does: a restarted server gets its port back at once. On Windows the option
    // would let another process take the port away.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    keep_alive(&socket);
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What is accepted there has the same. Where it cannot be set, peers that have gone are found as they are written to.
fn keep_alive(socket: &TcpSocket) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME);
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "freebsd",
        windows
    ))]
    let keepalive = keepalive
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&keepalive) {
        debug!(%error, "SO_KEEPALIVE cannot be set");
    }
}

/// Whole batches are written at once, so waiting for more never pays. A connection on which this fails is broken already,
/// and its first read or write says so better.
pub(super) fn set_nodelay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY cannot be set");
    }
}

fn connection(stream: TcpStream, local: SocketAddr, peer: SocketAddr) -> Connection {
    let is_confidential = is_loopback(&peer);
    let connection = Connection::new(stream, local.into(), peer.into());
    if is_confidential {
        connection.confidential()
    } else {
        connection
    }
}

/// What is sent to a loopback address does not leave the machine. A socket for both families shows IPv4 peers as mapped
/// addresses.
fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

pub(super) fn host_and_port(address: &Address) -> io::Result<(std::borrow::Cow<'_, str>, u16)> {
    // `parse` lets no other address through.
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "no host and port");
    address.host().zip(address.port()).ok_or_else(wrong)
}

pub(super) fn no_address(host: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("the host {host:?} has no address"),
    )
}

/// The address at which a socket listens.
pub(super) fn address_of(socket: SocketAddr) -> Address {
    let host = match socket {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => socket.ip().to_string(),
    };
    tcp_address(&host, socket.port())
}

fn tcp_address(host: &str, port: u16) -> Address {
    let authority = if host.contains(':') {
        format!("[{}]:{port}", host.replace('%', "%25"))
    } else {
        format!("{host}:{port}")
    };
    Address::new("tcp", authority, String::new())
}

pub(super) fn parse_host_port(text: &str) -> Result<Address, UrlError> {
    let bad_host = || UrlError::BadHost {
        host: text.to_owned(),
    };
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(bad_host)?;
        let host = decode(host).ok_or_else(bad_host)?;
        let (ip, zone) = host.split_once('%').unwrap_or((&host, "0"));
        if ip.parse::<Ipv6Addr>().is_err() || !is_name(zone) {
            return Err(bad_host());
        }
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(bad_host()),
        };
        (host, port)
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        if port.is_some_and(|port| port.contains(':')) {
            return Err(UrlError::BareIpv6 {
                host: text.to_owned(),
            });
        }
        if host.is_empty() && port.is_some() {
            return Err(UrlError::NoHost {
                address: text.to_owned(),
            });
        }
        if !is_name(host) {
            return Err(bad_host());
        }
        (host.to_owned(), port)
    };
    let port = port.filter(|port| !port.is_empty());
    let port = port.ok_or_else(|| UrlError::NoPort {
        address: text.to_owned(),
    })?;
    // `parse` alone would take "+80".
    let number = port
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| port.parse().ok());
    match number.flatten() {
        Some(port) => Ok(tcp_address(&host, port)),
        None => Err(UrlError::BadPort {
            port: port.to_owned(),
        }),
    }
}

/// What a host may be made of; names in other scripts have an ASCII form (`xn--`).
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_LEN
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
