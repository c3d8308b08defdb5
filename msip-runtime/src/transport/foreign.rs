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

pub(super) static MIP: Foreign<Tcp> = Foreign {
    dialect: DialectName::Mip,
    renamed: Renamed {
        scheme: "mip",
        inner: Tcp,
    },
};

#[cfg(feature = "tls")]
pub(super) static MIP_TLS: Foreign<Tls> = Foreign {
    dialect: DialectName::Mip,
    renamed: Renamed {
        scheme: "mip+tls",
        inner: Tls::UNNAMED,
    },
};

#[cfg(unix)]
pub(super) static MIP_UNIX: Foreign<Unix> = Foreign {
    dialect: DialectName::Mip,
    renamed: Renamed {
        scheme: "mip+unix",
        inner: Unix,
    },
};

#[cfg(feature = "flyrpc")]
pub(super) static FLYRPC: Foreign<Tcp> = Foreign {
    dialect: DialectName::FlyRpc,
    renamed: Renamed {
        scheme: "flyrpc",
        inner: Tcp,
    },
};

#[cfg(all(feature = "flyrpc", feature = "tls"))]
pub(super) static FLYRPC_TLS: Foreign<Tls> = Foreign {
    dialect: DialectName::FlyRpc,
    renamed: Renamed {
        scheme: "flyrpc+tls",
        inner: Tls::UNNAMED,
    },
};

#[cfg(all(feature = "flyrpc", unix))]
pub(super) static FLYRPC_UNIX: Foreign<Unix> = Foreign {
    dialect: DialectName::FlyRpc,
    renamed: Renamed {
        scheme: "flyrpc+unix",
        inner: Unix,
    },
};

#[cfg(feature = "messi")]
pub(super) static MESSI: Foreign<Tcp> = Foreign {
    dialect: DialectName::Messi,
    renamed: Renamed {
        scheme: "messi",
        inner: Tcp,
    },
};

#[cfg(all(feature = "messi", feature = "tls"))]
pub(super) static MESSI_TLS: Foreign<Tls> = Foreign {
    dialect: DialectName::Messi,
    renamed: Renamed {
        scheme: "messi+tls",
        inner: Tls::UNNAMED,
    },
};

#[cfg(all(feature = "messi", unix))]
pub(super) static MESSI_UNIX: Foreign<Unix> = Foreign {
    dialect: DialectName::Messi,
    renamed: Renamed {
        scheme: "messi+unix",
        inner: Unix,
    },
};

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
