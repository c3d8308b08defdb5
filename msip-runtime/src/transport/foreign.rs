//! Transports that carry another dialect than MSIP: `mip://host:port`, `mip+tls://host:port`, `mip+unix:///path`.
//!
//! The bytes travel as those of the transport below. What they say is translated by the client that has connected.

#[cfg(feature = "tls")]
use super::tls_over_tcp::Tls;
#[cfg(unix)]
use super::unix::Unix;
use super::{
    Address, Connector, TransportOptions, TransportSettingError, UrlError,
    incoming::BoxFuture,
    listen::BoxListen,
    renamed::Renamed,
    scheme::{ListenError, Transport},
    tcp::Tcp,
};
use msip_session::wire::Side;

/// Another transport, by which a client speaks a dialect.
pub(super) struct Foreign<T> {
    dialect: &'static str,
    renamed: Renamed<T>,
}

pub(super) static MIP: Foreign<Tcp> = Foreign {
    dialect: "MIP",
    renamed: Renamed {
        scheme: "mip",
        inner: Tcp,
    },
};

#[cfg(feature = "tls")]
pub(super) static MIP_TLS: Foreign<Tls> = Foreign {
    dialect: "MIP",
    renamed: Renamed {
        scheme: "mip+tls",
        inner: Tls::UNNAMED,
    },
};

#[cfg(unix)]
pub(super) static MIP_UNIX: Foreign<Unix> = Foreign {
    dialect: "MIP",
    renamed: Renamed {
        scheme: "mip+unix",
        inner: Unix,
    },
};

impl<T: Transport> Transport for Foreign<T> {
    fn scheme(&self) -> &'static str {
        self.renamed.scheme
    }

    fn dialect(&self) -> Option<&'static str> {
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

    /// A broker tells MIP from MSIP by the first bytes, at any of its listeners.
    fn listen<'a>(
        &'a self,
        _: &'a Address,
        _: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        let (scheme, dialect) = (self.renamed.scheme, self.dialect);
        let inner = self.renamed.inner.scheme();
        Box::pin(async move {
            let text = format!(
                "{scheme}:// is for clients: a broker hears {dialect} where it listens at {inner}://"
            );
            let error = std::io::Error::new(std::io::ErrorKind::Unsupported, text);
            Err(ListenError::Io(error))
        })
    }
}
