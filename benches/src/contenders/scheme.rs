//! The transports of MSIP, by the schemes of their URLs.

use std::{env, process};

use msip_load::{Certificate, Failure};
use msip_runtime::transport::ServiceUrl;

/// How MSIP's bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Tcp,
    Unix,
    Tls,
    WebSocket,
    SecureWebSocket,
    Quic,
}

/// Where a server listens.
#[derive(Debug)]
pub(super) struct Place {
    scheme: Scheme,
    pub(super) url: String,
    certificate: Option<Certificate>,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
            Self::Tls => "tls",
            Self::WebSocket => "ws",
            Self::SecureWebSocket => "wss",
            Self::Quic => "quic",
        }
    }

    const fn has_certificate(self) -> bool {
        matches!(self, Self::Tls | Self::SecureWebSocket | Self::Quic)
    }

    /// A place on this machine that nobody else has.
    pub(super) fn place(self) -> Result<Place, Failure> {
        let scheme = self.name();
        let mut certificate = None;
        let url = match self {
            // The number in place of a port.
            Self::Unix => unix_url(u16::try_from(process::id() % 0xffff).unwrap_or(0)),
            Self::Tcp | Self::WebSocket => format!("{scheme}://127.0.0.1:0"),
            Self::Tls | Self::SecureWebSocket | Self::Quic => {
                let mut own = Certificate::new()?;
                let [chain, key] = own.write()?;
                certificate = Some(own);
                let (chain, key) = (chain.display(), key.display());
                format!("{scheme}://127.0.0.1:0?cert={chain}&key={key}")
            }
        };
        Ok(Place {
            scheme: self,
            url,
            certificate,
        })
    }

    /// The URL of the server at this port.
    pub(super) fn url(self, port: u16) -> String {
        match self {
            Self::Unix => unix_url(port),
            _ if self.has_certificate() => {
                let ca = Certificate::shown(port);
                format!("{}://127.0.0.1:{port}?ca={}", self.name(), ca.display())
            }
            _ => format!("{}://127.0.0.1:{port}", self.name()),
        }
    }
}

fn unix_url(number: u16) -> String {
    let socket = env::temp_dir().join(format!("msip-bench-{number}.sock"));
    format!("unix://{}", socket.display())
}

impl Place {
    /// The port of a server that listens here, with what its clients have to know.
    pub(super) fn port(&mut self, bound: &ServiceUrl) -> Result<u16, Failure> {
        let url = bound.to_string();
        let number = match self.scheme {
            Scheme::Unix => url
                .rsplit('-')
                .next()
                .and_then(|end| end.strip_suffix(".sock")),
            _ => url.rsplit(':').next(),
        };
        let port = number.and_then(|number| number.trim_end_matches('/').parse().ok());
        let port = port.ok_or_else(|| Failure::Protocol(format!("no port in {url}")))?;
        if let Some(certificate) = &mut self.certificate {
            certificate.show(port)?;
        }
        Ok(port)
    }
}
