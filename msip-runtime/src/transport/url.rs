//! URLs of services: where they are, and the settings that go with it.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use super::Address;
use super::escape::{decode, encode};

/// The longest host or in-memory name in bytes.
const MAX_NAME_LEN: usize = 255;

/// The URL of a service: `tcp://host:port` or `mem://name`, and settings behind a `?`.
///
/// A client may be given several addresses of one service, `tcp://a:4000,b:4000,c:4000`.
///
/// The port is never left out. An IPv6 address stands in brackets. `mem://` names a listener of this very
/// process, for tests.
///
/// ```
/// use msip_runtime::transport::ServiceUrl;
///
/// let url: ServiceUrl = "tcp://[::1]:4000?ping_interval=5s".parse()?;
/// assert_eq!(url.address().to_string(), "tcp://[::1]:4000");
/// assert_eq!(url.settings(), [("ping_interval".to_owned(), "5s".to_owned())]);
/// # Ok::<(), msip_runtime::transport::UrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    address: Address,
    others: Vec<Address>,
    settings: Vec<(String, String)>,
}

impl ServiceUrl {
    /// Where the service is; of several addresses, the first.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Every address of the service, in the order in which they are listed.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.address).chain(&self.others)
    }

    /// The one address of the service, as a server needs it.
    ///
    /// # Errors
    ///
    /// [`UrlError::SeveralAddresses`].
    pub fn only_address(&self) -> Result<&Address, UrlError> {
        if self.others.is_empty() {
            return Ok(&self.address);
        }
        let count = self.addresses().count();
        Err(UrlError::SeveralAddresses { count })
    }

    /// The settings behind the `?`, names and values unescaped, in their order; no name comes twice.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Parses the text of a URL, as [`FromStr`] does.
    ///
    /// # Errors
    ///
    /// See [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| UrlError::NoScheme {
            url: text.to_owned(),
        })?;
        // The scheme first: of a URL that is not ours nothing else need be right.
        let parse_address = match scheme.to_ascii_lowercase().as_str() {
            "tcp" => parse_tcp,
            "mem" => parse_memory,
            _ => {
                return Err(UrlError::UnknownScheme {
                    scheme: scheme.to_owned(),
                });
            }
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err(UrlError::Credentials);
        }
        let place = place.strip_suffix('/').unwrap_or(place);
        if let Some((_, path)) = place.split_once('/') {
            return Err(UrlError::Path {
                path: format!("/{path}"),
            });
        }
        let (address, others) = parse_address(place)?;
        Ok(Self {
            address,
            others,
            settings: parse_settings(query)?,
        })
    }
}

impl From<Address> for ServiceUrl {
    fn from(address: Address) -> Self {
        Self {
            address,
            others: Vec::new(),
            settings: Vec::new(),
        }
    }
}

impl FromStr for ServiceUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        for other in &self.others {
            let other = other.to_string();
            // The scheme stands once.
            let place = other.split_once("://").map_or("", |(_, place)| place);
            write!(f, ",{place}")?;
        }
        let mut between = '?';
        for (name, value) in &self.settings {
            write!(f, "{between}{}={}", encode(name), encode(value))?;
            between = '&';
        }
        Ok(())
    }
}

fn parse_tcp(place: &str) -> Result<(Address, Vec<Address>), UrlError> {
    let (first, others) = match place.split_once(',') {
        Some((first, others)) => (first, others.split(',').map(parse_host_port).collect()),
        None => (place, Ok(Vec::new())),
    };
    Ok((parse_host_port(first)?, others?))
}

fn parse_host_port(text: &str) -> Result<Address, UrlError> {
    let bad_host = || UrlError::BadHost {
        host: text.to_owned(),
    };
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(bad_host)?;
        let host = decode(host).ok_or_else(bad_host)?;
        let (ip, zone) = host.split_once('%').unwrap_or((&host, "0"));
        if ip.parse::<Ipv6Addr>().is_err() || !is_name(zone) {
            return Err(bad_host());
        }
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(bad_host()),
        };
        (host, port)
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        if port.is_some_and(|port| port.contains(':')) {
            return Err(UrlError::BareIpv6 {
                host: text.to_owned(),
            });
        }
        if host.is_empty() && port.is_some() {
            return Err(UrlError::NoHost {
                address: text.to_owned(),
            });
        }
        if !is_name(host) {
            return Err(bad_host());
        }
        (host.to_owned(), port)
    };
    let port = port.filter(|port| !port.is_empty());
    let port = port.ok_or_else(|| UrlError::NoPort {
        address: text.to_owned(),
    })?;
    // `parse` alone would take "+80".
    let number = port
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| port.parse().ok());
    match number.flatten() {
        Some(port) => Ok(Address::Tcp { host, port }),
        None => Err(UrlError::BadPort {
            port: port.to_owned(),
        }),
    }
}

/// What a host may be made of; names in other scripts have an ASCII form (`xn--`).
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_LEN
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn parse_memory(place: &str) -> Result<(Address, Vec<Address>), UrlError> {
    let name = decode(place).ok_or_else(|| UrlError::BadEscape {
        text: place.to_owned(),
    })?;
    if name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control) {
        return Err(UrlError::BadName { name });
    }
    Ok((Address::Memory { name }, Vec::new()))
}

fn parse_settings(query: &str) -> Result<Vec<(String, String)>, UrlError> {
    let mut settings: Vec<(String, String)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let unescaped = |text: &str| {
            decode(text).ok_or_else(|| UrlError::BadEscape {
                text: text.to_owned(),
            })
        };
        let Some((name, value)) = part.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(UrlError::BadSetting {
                text: part.to_owned(),
            });
        };
        let (name, value) = (unescaped(name)?, unescaped(value)?);
        if settings.iter().any(|(earlier, _)| *earlier == name) {
            return Err(UrlError::RepeatedSetting { name });
        }
        settings.push((name, value));
    }
    Ok(settings)
}

/// Why a text is not the URL of a service.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Nothing says how to get there.
    #[error("{url:?} has no scheme: write tcp://host:port")]
    NoScheme {
        /// The text.
        url: String,
    },
    /// The scheme is none of ours.
    #[error("unknown scheme {scheme:?}: tcp and mem are understood")]
    UnknownScheme {
        /// The scheme.
        scheme: String,
    },
    /// Several addresses stand side by side, where a server is to listen.
    #[error("the URL names {count} addresses: a server listens at one")]
    SeveralAddresses {
        /// How many.
        count: usize,
    },
    /// There is a port but no host.
    #[error("{address:?} has no host: write 0.0.0.0 or [::] to listen on every address")]
    NoHost {
        /// The address.
        address: String,
    },
    /// The host is neither a name nor an address.
    #[error("{host:?} is not a host name, an IPv4 address or an IPv6 address in brackets")]
    BadHost {
        /// The host.
        host: String,
    },
    /// An IPv6 address stands without brackets.
    #[error("{host:?} looks like an IPv6 address: write it in brackets, such as tcp://[::1]:4000")]
    BareIpv6 {
        /// The host.
        host: String,
    },
    /// There is no port, and none is taken for granted.
    #[error("{address:?} has no port: write tcp://host:port")]
    NoPort {
        /// The address.
        address: String,
    },
    /// The port is no number that a port can have.
    #[error("{port:?} is not a port: 0 to 65535 are")]
    BadPort {
        /// The port.
        port: String,
    },
    /// The name of an in-memory listener is empty, too long, or holds control characters.
    #[error("{name:?} is not the name of an in-memory listener: 1 to 255 bytes of text are")]
    BadName {
        /// The name.
        name: String,
    },
    /// Something stands before an `@`. It may be a secret, so it is not shown.
    #[error("a URL must not hold a user or a password (before the @)")]
    Credentials,
    /// A path follows the address.
    #[error("{path:?} follows the address: a service's URL has no path")]
    Path {
        /// The path.
        path: String,
    },
    /// A `#` is in the text.
    #[error("a service's URL has no fragment (#)")]
    Fragment,
    /// A percent escape is broken.
    #[error("{text:?} holds a broken percent escape: write % itself as %25")]
    BadEscape {
        /// The text.
        text: String,
    },
    /// A setting has no name or no value.
    #[error("{text:?} is not a setting: write ?name=value&name=value")]
    BadSetting {
        /// The text.
        text: String,
    },
    /// A setting is there twice.
    #[error("the setting {name:?} is there twice")]
    RepeatedSetting {
        /// Its name.
        name: String,
    },
}
