//! Where the gateway listens: `http://127.0.0.1:8080`, `https://0.0.0.0:443?cert=…&key=…`.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use thiserror::Error;

/// Where the gateway listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenUrl {
    authority: String,
    tls: Option<TlsFiles>,
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
        "a gateway listens at http://host:port or https://host:port?cert=FILE&key=FILE, not at {url}"
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

impl ListenUrl {
    /// The host and the port.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }
}

impl FromStr for ListenUrl {
    type Err = ListenUrlError;

    fn from_str(text: &str) -> Result<Self, ListenUrlError> {
        let url = || text.to_owned();
        let (is_tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
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
        Ok(Self {
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
        assert_eq!(taken("http://127.0.0.1:8080").authority(), "127.0.0.1:8080");
        assert_eq!(taken("http://[::1]:0/").authority(), "[::1]:0");
        assert_eq!(taken("http://localhost:80").tls(), None);
        assert_eq!(
            taken("http://0.0.0.0:80?insecure=true").authority(),
            "0.0.0.0:80"
        );
        let secure = taken("https://0.0.0.0:443?cert=a.pem&key=b.pem");
        assert_eq!(secure.tls().unwrap().key, PathBuf::from("b.pem"));
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
