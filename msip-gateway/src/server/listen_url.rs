//! Where the gateway listens: `http://127.0.0.1:8080`, `https://0.0.0.0:443?cert=…&key=…`, `unix:///run/gateway.sock`.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use msip_runtime::transport::{ServiceUrl, UrlError};
use thiserror::Error;

/// Where the gateway listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenUrl {
    /// At a port.
    Port {
        /// The host and the port.
        authority: String,
        tls: Option<TlsFiles>,
    },
    /// At a Unix socket, as MSIP's own servers do.
    Socket(ServiceUrl),
}

/// The files of a listener over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// A URL at which a gateway cannot listen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListenUrlError {
    /// It is none of HTTP.
    #[error(
        "a gateway listens at http://host:port, https://host:port?cert=FILE&key=FILE or unix:///path, not at {url}"
    )]
    Scheme {
        /// The URL.
        url: String,
    },
    /// It is not a host and a port.
    #[error("{url} has to name a host and a port, and nothing else")]
    Authority {
        /// The URL.
        url: String,
    },
    /// It is no absolute path of a Unix socket.
    #[error("cannot listen at {url}")]
    Socket {
        /// The URL.
        url: String,
        /// What is wrong.
        source: UrlError,
    },
    /// A setting is unknown, or comes twice, or is missing.
    #[error("{url}: {reason}")]
    Setting {
        /// The URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Others could read what is sent there.
    #[error(
        "{url} can be reached by other machines without encryption: use https://, or say that it may be so by `insecure=true`"
    )]
    Insecure {
        /// The URL.
        url: String,
    },
}

/// A Unix socket's.
fn socket(text: &str) -> Result<ListenUrl, ListenUrlError> {
    let url = || text.to_owned();
    let parsed =
        ServiceUrl::parse(text).map_err(|source| ListenUrlError::Socket { url: url(), source })?;
    match parsed.settings().iter().find(|(name, _)| name != "mode") {
        None => Ok(ListenUrl::Socket(parsed)),
        Some((name, _)) => Err(ListenUrlError::Setting {
            url: url(),
            reason: format!("there is no setting `{name}` here"),
        }),
    }
}

impl FromStr for ListenUrl {
    type Err = ListenUrlError;

    fn from_str(text: &str) -> Result<Self, ListenUrlError> {
        let url = || text.to_owned();
        let (is_tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(("unix", _)) => return socket(text),
            _ => return Err(ListenUrlError::Scheme { url: url() }),
        };
        let (authority, settings) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let host = authority
            .rsplit_once(':')
            .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            .map(|(host, _)| host.trim_start_matches('[').trim_end_matches(']'));
        let Some(host) = host.filter(|host| !host.contains(['/', '@', '#'])) else {
            return Err(ListenUrlError::Authority { url: url() });
        };
        let wrong = |reason: String| ListenUrlError::Setting { url: url(), reason };
        let (mut cert, mut key, mut insecure) = (None, None, None);
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let slot = match name {
                "cert" if is_tls => &mut cert,
                "key" if is_tls => &mut key,
                "insecure" => &mut insecure,
                _ => return Err(wrong(format!("there is no setting `{name}` here"))),
            };
            if slot.replace(value.to_owned()).is_some() {
                return Err(wrong(format!("`{name}` comes twice")));
            }
        }
        let is_insecure = match insecure.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(wrong("`insecure` is true or false".to_owned())),
        };
        let tls = match (is_tls, cert, key) {
            (false, ..) => None,
            (true, Some(cert), Some(key)) if !cert.is_empty() && !key.is_empty() => {
                Some(TlsFiles {
                    cert: cert.into(),
                    key: key.into(),
                })
            }
            _ => return Err(wrong("https needs `cert` and `key`".to_owned())),
        };
        let is_loopback = host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical().is_loopback());
        if tls.is_none() && !is_loopback && !is_insecure {
            return Err(ListenUrlError::Insecure { url: url() });
        }
        Ok(Self::Port {
            authority: authority.to_owned(),
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_how() {
        let taken = |text: &str| text.parse::<ListenUrl>().unwrap();
        let port = |authority: &str, tls| ListenUrl::Port {
            authority: authority.to_owned(),
            tls,
        };
        for (text, authority) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:0/", "[::1]:0"),
            ("http://localhost:80", "localhost:80"),
            ("http://0.0.0.0:80?insecure=true", "0.0.0.0:80"),
        ] {
            assert_eq!(taken(text), port(authority, None));
        }
        let files = TlsFiles {
            cert: PathBuf::from("a.pem"),
            key: PathBuf::from("b.pem"),
        };
        assert_eq!(
            taken("https://0.0.0.0:443?cert=a.pem&key=b.pem"),
            port("0.0.0.0:443", Some(files))
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_unix_socket_has_an_absolute_path_and_a_mode() {
        let taken = |text: &str| text.parse::<ListenUrl>();
        for text in ["unix:///run/x.sock", "unix:///run/x.sock?mode=0660"] {
            assert!(matches!(taken(text), Ok(ListenUrl::Socket(_))), "{text}");
        }
        for text in ["unix://run/x.sock", "unix://", "unix:///run/"] {
            let told = taken(text).unwrap_err();
            assert!(matches!(told, ListenUrlError::Socket { .. }), "{told}");
        }
        for text in ["unix:///x?cert=a&key=b", "unix:///x?insecure=true"] {
            let told = taken(text).unwrap_err();
            assert!(matches!(told, ListenUrlError::Setting { .. }), "{told}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |text: &str| text.parse::<ListenUrl>().unwrap_err();
        for text in ["tcp://127.0.0.1:1", "127.0.0.1:1", "", "HTTP//x"] {
            assert!(
                matches!(told(text), ListenUrlError::Scheme { .. }),
                "{text}"
            );
        }
        for text in [
            "http://127.0.0.1",
            "http://:80",
            "http://a:b",
            "http://127.0.0.1:1/x",
            "http://u@localhost:1",
        ] {
            assert!(
                matches!(told(text), ListenUrlError::Authority { .. }),
                "{text}"
            );
        }
        for text in [
            "https://localhost:1",
            "https://localhost:1?cert=a",
            "http://localhost:1?cert=a",
            "http://localhost:1?insecure=yes",
            "http://localhost:1?insecure=true&insecure=true",
            "https://localhost:1?cert=&key=",
        ] {
            assert!(
                matches!(told(text), ListenUrlError::Setting { .. }),
                "{text}"
            );
        }
        for text in [
            "http://0.0.0.0:80",
            "http://example.org:80",
            "http://[::]:80?insecure=false",
        ] {
            assert!(
                matches!(told(text), ListenUrlError::Insecure { .. }),
                "{text}"
            );
        }
    }
}
