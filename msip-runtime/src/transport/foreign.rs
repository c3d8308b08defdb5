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
    scheme::{ListenError, Transport},
    tcp::Tcp,
};
use msip_session::wire::Side;

/// Another transport, by which a client speaks a dialect.
pub(super) struct Foreign<T> {
    scheme: &'static str,
    dialect: &'static str,
    inner: T,
}

pub(super) static MIP: Foreign<Tcp> = Foreign {
    scheme: "mip",
    dialect: "MIP",
    inner: Tcp,
};

#[cfg(feature = "tls")]
pub(super) static MIP_TLS: Foreign<Tls> = Foreign {
    scheme: "mip+tls",
    dialect: "MIP",
    inner: Tls::UNNAMED,
};

#[cfg(unix)]
pub(super) static MIP_UNIX: Foreign<Unix> = Foreign {
    scheme: "mip+unix",
    dialect: "MIP",
    inner: Unix,
};

impl<T: Transport> Foreign<T> {
    fn inner_address(&self, address: &Address) -> Address {
        address.with_scheme(self.inner.scheme())
    }
}

impl<T: Transport> Transport for Foreign<T> {
    fn scheme(&self) -> &'static str {
        self.scheme
    }

    fn dialect(&self) -> Option<&'static str> {
        Some(self.dialect)
    }

    fn path_is_topic(&self) -> bool {
        self.inner.path_is_topic()
    }

    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError> {
        let addresses = self.inner.parse(authority, path)?.into_iter();
        Ok(addresses
            .map(|address| address.with_scheme(self.scheme))
            .collect())
    }

    fn is_confidential(&self, address: &Address) -> bool {
        self.inner.is_confidential(&self.inner_address(address))
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        self.inner.settings(side)
    }

    fn connector(&self, options: &TransportOptions) -> Result<Connector, TransportSettingError> {
        let (inner, scheme) = (self.inner.connector(options)?, self.inner.scheme());
        Ok(Connector::new(move |address: Address| {
            let inner = inner.clone();
            async move { inner.connect(&address.with_scheme(scheme)).await }
        }))
    }

    /// A broker tells MIP from MSIP by the first bytes, at any of its listeners.
    fn listen<'a>(
        &'a self,
        _: &'a Address,
        _: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        let (scheme, dialect, inner) = (self.scheme, self.dialect, self.inner.scheme());
        Box::pin(async move {
            let text = format!(
                "{scheme}:// is for clients: a broker hears {dialect} where it listens at {inner}://"
            );
            let error = std::io::Error::new(std::io::ErrorKind::Unsupported, text);
            Err(ListenError::Io(error))
        })
    }
}
