//! Transports that carry another dialect than MSIP: `mip://host:port`, `mip+tls://host:port`, `mip+unix:///path`, and the same
//! with `messi` and `flyrpc`.
//!
//! The bytes travel as those of the transport below. What they say is translated by the client that has connected, and by the
//! server that has accepted.

use std::{future::ready, io};

#[cfg(feature = "tls")]
use super::tls_over_tcp::Tls;
#[cfg(unix)]
use super::unix::Unix;
use super::{
    Address, Connector, DialectName, TransportOptions, TransportSettingError, UrlError,
    incoming::BoxFuture,
    listen::BoxListen,
    renamed::Renamed,
    scheme::{ListenError, Transport},
    tcp::Tcp,
};
use msip_session::wire::Side;

/// Another transport, by which a dialect is spoken.
pub(super) struct Foreign<T> {
    dialect: DialectName,
    renamed: Renamed<T>,
}

impl<T> Foreign<T> {
    const fn new(dialect: DialectName, scheme: &'static str, inner: T) -> Self {
        Self {
            dialect,
            renamed: Renamed { scheme, inner },
        }
    }
}

pub(super) static MIP: Foreign<Tcp> = Foreign::new(DialectName::Mip, "mip", Tcp);

#[cfg(feature = "tls")]
pub(super) static MIP_TLS: Foreign<Tls> = Foreign::new(DialectName::Mip, "mip+tls", Tls::UNNAMED);

#[cfg(unix)]
pub(super) static MIP_UNIX: Foreign<Unix> = Foreign::new(DialectName::Mip, "mip+unix", Unix);

#[cfg(feature = "flyrpc")]
pub(super) static FLYRPC: Foreign<Tcp> = Foreign::new(DialectName::FlyRpc, "flyrpc", Tcp);

#[cfg(all(feature = "flyrpc", feature = "tls"))]
pub(super) static FLYRPC_TLS: Foreign<Tls> =
    Foreign::new(DialectName::FlyRpc, "flyrpc+tls", Tls::UNNAMED);

#[cfg(all(feature = "flyrpc", unix))]
pub(super) static FLYRPC_UNIX: Foreign<Unix> =
    Foreign::new(DialectName::FlyRpc, "flyrpc+unix", Unix);

#[cfg(feature = "messi")]
pub(super) static MESSI: Foreign<Tcp> = Foreign::new(DialectName::Messi, "messi", Tcp);

#[cfg(all(feature = "messi", feature = "tls"))]
pub(super) static MESSI_TLS: Foreign<Tls> =
    Foreign::new(DialectName::Messi, "messi+tls", Tls::UNNAMED);

#[cfg(all(feature = "messi", unix))]
pub(super) static MESSI_UNIX: Foreign<Unix> = Foreign::new(DialectName::Messi, "messi+unix", Unix);

impl<T: Transport> Transport for Foreign<T> {
    fn scheme(&self) -> &'static str {
        self.renamed.scheme
    }

    fn dialect(&self) -> Option<DialectName> {
        Some(self.dialect)
    }

    fn path_is_topic(&self) -> bool {
        self.renamed.inner.path_is_topic()
    }

    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError> {
        self.renamed.parse(authority, path)
    }

    fn is_confidential(&self, address: &Address) -> bool {
        self.renamed.is_confidential(address)
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        self.renamed.inner.settings(side)
    }

    fn connector(&self, options: &TransportOptions) -> Result<Connector, TransportSettingError> {
        self.renamed.connector(options, |connection| connection)
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        if self.dialect == DialectName::Mip {
            // A broker tells MIP from MSIP by the first bytes, at any of its listeners.
            let (scheme, inner) = (self.renamed.scheme, self.renamed.inner.scheme());
            let text = format!(
                "{scheme}:// is for clients: a broker hears MIP where it listens at {inner}://"
            );
            let error = io::Error::new(io::ErrorKind::Unsupported, text);
            return Box::pin(ready(Err(error.into())));
        }
        Box::pin(self.renamed.listen(address, options))
    }
}
