//! `tls://host:port`: TLS over TCP.

use std::{io, sync::Arc};

use tokio::net::TcpListener;

use super::{
    Address, Connection, Connector, Incoming, Listen, Stream, TransportOptions,
    TransportSettingError, UrlError,
    incoming::BoxFuture,
    listen::BoxListen,
    proxied::{TrustedProxies, read_header},
    scheme::{ListenError, Transport},
    tcp,
    tls::{CLIENT_SETTINGS, SERVER_SETTINGS, TlsAcceptor},
};
use msip_session::wire::Side;

/// The TLS transport.
pub(super) struct Tls {
    /// The application protocol (ALPN); empty for none.
    alpn: &'static [u8],
}

impl Tls {
    /// Of MSIP: docs/protocol.md, "Over TLS".
    pub(super) const MSIP: Self = Self { alpn: b"msip/1" };

    /// Of none: a peer that speaks another dialect need not know ours.
    pub(super) const UNNAMED: Self = Self { alpn: b"" };

    /// Of HTTP, and so of WebSockets.
    #[cfg(feature = "websocket")]
    pub(super) const HTTP: Self = Self { alpn: b"http/1.1" };
}

impl Transport for Tls {
    fn scheme(&self) -> &'static str {
        "tls"
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        match side {
            Side::Connecting => CLIENT_SETTINGS,
            Side::Accepting => SERVER_SETTINGS,
        }
    }

    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError> {
        let addresses = tcp::Tcp.parse(authority, path)?.into_iter();
        Ok(addresses
            .map(|address| address.with_scheme(self.scheme()))
            .collect())
    }

    fn is_confidential(&self, _: &Address) -> bool {
        true
    }

    fn connector(&self, options: &TransportOptions) -> Result<Connector, TransportSettingError> {
        let tls = Arc::new(options.client_tls().connector(self.alpn)?);
        Ok(Connector::new(move |address: Address| {
            let tls = Arc::clone(&tls);
            async move {
                let stream = tcp::open(&address).await?;
                let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
                let host = address.host().unwrap_or_default();
                let stream = tls.connect(stream, &host).await?;
                let stream = Stream::boxed(stream);
                Ok(Connection::new(stream, local.into(), peer.into()).confidential())
            }
        }))
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(async {
            let tls = options.server_tls()?.acceptor(self.alpn)?;
            let proxies = TrustedProxies::of(options)?;
            let tcp = tcp::bind(address).await?;
            let local = tcp::address_of(tcp.local_addr()?).with_scheme(self.scheme());
            let listener = TlsListener { tcp, tls, proxies };
            Ok((BoxListen::new(listener), local))
        })
    }
}

#[derive(Debug)]
struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
    proxies: Option<TrustedProxies>,
}

impl Listen for TlsListener {
    async fn accept(&self) -> io::Result<Incoming> {
        let (mut stream, peer) = self.tcp.accept().await?;
        let local = stream.local_addr()?;
        tcp::set_nodelay(&stream);
        let tls = self.tls.active();
        let proxies = self.proxies.as_ref();
        let is_proxy = proxies.is_some_and(|proxies| proxies.trust(peer));
        Ok(Incoming::upgrading(peer.into(), async move {
            let client = if is_proxy {
                read_header(&mut stream, peer).await?
            } else {
                peer
            };
            let (stream, credential) = tls.accept(stream).await?;
            let stream = Stream::boxed(stream);
            let connection = Connection::new(stream, local.into(), client.into());
            Ok(connection.confidential().with_credential(credential))
        }))
    }

    fn is_confidential(&self) -> bool {
        true
    }

    fn reload(&self) -> io::Result<()> {
        Ok(self.tls.reload()?)
    }
}
