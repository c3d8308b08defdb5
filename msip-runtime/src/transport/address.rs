//! Addresses: where a service listens.

use std::{borrow::Cow, fmt};

use super::escape::decode;

/// The address at which a service listens or is to listen: `scheme://authority/path`, the beginning of a URL.
///
/// The scheme names the transport, and the transport says what the rest means. On `tcp` the authority is
/// `host:port`, on `mem` it is a name; neither has a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    scheme: Cow<'static, str>,
    authority: String,
    path: String,
}

impl Address {
    /// An address in its canonical form: the scheme in lower case, authority and path as a URL has them, the path empty
    /// or with its leading slash.
    pub(super) fn new(
        scheme: impl Into<Cow<'static, str>>,
        authority: String,
        path: String,
    ) -> Self {
        Self {
            scheme: scheme.into(),
            authority,
            path,
        }
    }

    /// The same place, by another transport.
    pub(super) fn with_scheme(&self, scheme: &'static str) -> Self {
        Self::new(scheme, self.authority.clone(), self.path.clone())
    }

    /// The name of the transport, in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The part between `://` and the path, percent escapes included.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path, from its slash on, where it is a part of the address; else empty.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host of an authority of the form `host:port`: a name, an IPv4 address, or an IPv6 address without brackets
    /// (with its zone behind a `%`, where it has one).
    #[must_use]
    pub fn host(&self) -> Option<Cow<'_, str>> {
        let (host, _) = self.host_and_port()?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match bracketed {
            Some(ip) => decode(ip).map(Cow::Owned),
            None => Some(Cow::Borrowed(host)),
        }
    }

    /// The port of an authority of the form `host:port`; where a server binds, 0 lets the system choose one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.host_and_port().map(|(_, port)| port)
    }

    fn host_and_port(&self) -> Option<(&str, u16)> {
        let (host, port) = self.authority.rsplit_once(':')?;
        Some((host, port.parse().ok()?))
    }
}

/// The address as the beginning of a URL, such as `tcp://[::1]:4000`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme,
            authority,
            path,
        } = self;
        write!(f, "{scheme}://{authority}{path}")
    }
}
