//! Where a broker hears MiddleMan: `mm://host:port` and `mm+tls://host:port`.
//!
//! The bytes travel as those of the transport below. What they say, WebSockets included, is the matter of whoever accepts them.

use std::io;

#[cfg(feature = "tls")]
use super::tls_over_tcp::Tls;
use super::{
    Address, Connector, TransportOptions, TransportSettingError, UrlError,
    incoming::BoxFuture,
    listen::BoxListen,
    renamed::Renamed,
    scheme::{ListenError, Transport},
    tcp::Tcp,
};
use msip_session::wire::Side;

/// Another transport, at which a server listens for a dialect, and to which no client of ours connects.
pub(super) struct ListenOnly<T>(Renamed<T>);

pub(super) static MM: ListenOnly<Tcp> = ListenOnly(Renamed {
    scheme: "mm",
    inner: Tcp,
});

#[cfg(feature = "tls")]
pub(super) static MM_TLS: ListenOnly<Tls> = ListenOnly(Renamed {
    scheme: "mm+tls",
    inner: Tls::UNNAMED,
});

impl<T: Transport> Transport for ListenOnly<T> {
    fn scheme(&self) -> &'static str {
        self.0.scheme
    }

    fn path_is_topic(&self) -> bool {
        false
    }

    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError> {
        // Its clients come by any path.
        match path {
            "" | "/" => self.0.parse(authority, ""),
            _ => Err(UrlError::BadPath {
                path: path.to_owned(),
            }),
        }
    }

    fn is_confidential(&self, address: &Address) -> bool {
        self.0.is_confidential(address)
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        match side {
            Side::Connecting => &[],
            Side::Accepting => self.0.inner.settings(side),
        }
    }

    fn connector(&self, _: &TransportOptions) -> Result<Connector, TransportSettingError> {
        let scheme = self.0.scheme;
        Ok(Connector::new(move |_: Address| async move {
            let text = format!(
                "{scheme}:// is where a broker listens for MiddleMan's clients: connect to another of its listeners"
            );
            Err(io::Error::new(io::ErrorKind::Unsupported, text))
        }))
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(self.0.listen(address, options))
    }
}
