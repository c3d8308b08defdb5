//! The WebSocket transport, `ws://host:port/path`: the bytes of MSIP as the payload of binary messages, for browsers and
//! for proxies that let nothing else through (docs/protocol.md, "WebSocket").
//!
//! Frames and their masks are the library's. What is ours: who may connect, and how much is read and kept before anything comes
//! of it.

mod accept;
mod error;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod head;
mod metered;
mod read_ahead;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod token_bucket;

#[cfg(any(test, fuzzing))]
pub(crate) use self::fuzzing::websocket;

use std::{io, sync::Arc};

use self::accept::Accepting;
use super::{
    Address, Connector, Incoming, Listen, TransportOptions, TransportSettingError, UrlError,
    escape::decode,
    incoming::BoxFuture,
    listen::BoxListen,
    proxied::PROXY_FROM,
    scheme::{ListenError, Transport},
    tcp::Tcp,
};
#[cfg(feature = "tls")]
use super::{
    tls::{CLIENT_SETTINGS, SERVER_SETTINGS},
    tls_over_tcp::Tls,
};
use msip_session::wire::Side;

/// The subprotocol that both ends agree on.
const SUBPROTOCOL: &str = "msip.1";

/// The server's setting with the origins of the web pages that may connect.
const ORIGIN: &str = "origin";

/// WebSockets over another transport.
pub(super) struct WebSocket<T> {
    scheme: &'static str,
    inner: T,
    /// The settings of both.
    client_settings: &'static [&'static str],
    server_settings: &'static [&'static str],
}

/// `ws`.
pub(super) static OVER_TCP: WebSocket<Tcp> = WebSocket::over_tcp();

impl WebSocket<Tcp> {
    pub(super) const fn over_tcp() -> Self {
        Self {
            scheme: "ws",
            inner: Tcp,
            client_settings: &[],
            server_settings: &[ORIGIN, PROXY_FROM],
        }
    }
}

/// `wss`.
#[cfg(feature = "tls")]
pub(super) static OVER_TLS: WebSocket<Tls> = WebSocket {
    scheme: "wss",
    inner: Tls::HTTP,
    client_settings: CLIENT_SETTINGS,
    server_settings: &TLS_AND_ORIGIN,
};

#[cfg(feature = "tls")]
const TLS_AND_ORIGIN: [&str; SERVER_SETTINGS.len() + 1] = {
    let mut all = [ORIGIN; SERVER_SETTINGS.len() + 1];
    let (_, of_tls) = all.split_at_mut(1);
    of_tls.copy_from_slice(SERVER_SETTINGS);
    all
};

impl<T: Transport> WebSocket<T> {
    fn inner_address(&self, address: &Address) -> Address {
        Address::new(
            self.inner.scheme(),
            address.authority().to_owned(),
            String::new(),
        )
    }
}

impl<T: Transport> Transport for WebSocket<T> {
    fn scheme(&self) -> &'static str {
        self.scheme
    }

    fn path_is_topic(&self) -> bool {
        false
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        match side {
            Side::Connecting => self.client_settings,
            Side::Accepting => self.server_settings,
        }
    }

    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError> {
        if !is_path(path) {
            return Err(UrlError::BadPath {
                path: path.to_owned(),
            });
        }
        let path = if path.is_empty() { "/" } else { path };
        let addresses = self.inner.parse(authority, "")?.into_iter();
        Ok(addresses
            .map(|address| {
                Address::new(self.scheme, address.authority().to_owned(), path.to_owned())
            })
            .collect())
    }

    fn is_confidential(&self, address: &Address) -> bool {
        self.inner.is_confidential(&self.inner_address(address))
    }

    fn connector(&self, options: &TransportOptions) -> Result<Connector, TransportSettingError> {
        let (inner, scheme) = (self.inner.connector(options)?, self.inner.scheme());
        Ok(Connector::new(move |address: Address| {
            let inner = inner.clone();
            async move {
                let below = Address::new(scheme, address.authority().to_owned(), String::new());
                request::request(inner.connect(&below).await?, &address).await
            }
        }))
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(async {
            let accepting = Accepting {
                path: address.path().to_owned(),
                origins: origins(options)?,
                scheme: self.scheme,
            };
            let below = self.inner_address(address);
            let (inner, local) = self.inner.listen(&below, options).await?;
            let path = accepting.path.clone();
            let local = Address::new(self.scheme, local.authority().to_owned(), path);
            let listener = WebSocketListener {
                inner,
                accepting: Arc::new(accepting),
            };
            Ok((BoxListen::new(listener), local))
        })
    }
}

/// A listener whose connections are upgraded after they were accepted.
#[derive(Debug)]
struct WebSocketListener {
    inner: BoxListen,
    accepting: Arc<Accepting>,
}

impl Listen for WebSocketListener {
    async fn accept(&self) -> io::Result<Incoming> {
        let incoming = self.inner.accept().await?;
        let peer = incoming.peer().clone();
        let accepting = Arc::clone(&self.accepting);
        Ok(Incoming::upgrading(peer, async move {
            accept::accept(incoming.upgrade().await?, &accepting).await
        }))
    }

    fn is_confidential(&self) -> bool {
        self.inner.is_confidential()
    }

    fn reload(&self) -> io::Result<()> {
        self.inner.reload()
    }
}

/// The origins that the setting lists, none where it is not there.
fn origins(options: &TransportOptions) -> Result<Vec<String>, TransportSettingError> {
    let Some(listed) = options.get(ORIGIN) else {
        return Ok(Vec::new());
    };
    let checked = listed.split(',').map(|origin| {
        if is_origin(origin) {
            return Ok(origin.to_owned());
        }
        let why = "an origin is scheme://host or scheme://host:port, without a path; several are \
                   separated by commas";
        Err(TransportSettingError::new(ORIGIN, origin, why))
    });
    checked.collect()
}

/// Whether a browser may send this as the origin of a page (RFC 6454, section 6.2). `null` stands for pages without one.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return text == "null";
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_authority = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    is_scheme && !authority.is_empty() && authority.bytes().all(is_authority)
}

/// Whether this is the path of a URL (RFC 3986, section 3.3), or empty.
fn is_path(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte);
    text.bytes().all(is_allowed) && decode(text).is_some()
}
