//! URLs of services: where they are, and the settings that go with it.

use std::{fmt, str::FromStr};

use super::{
    Address, DialectName, TransportOptions, UrlError,
    escape::{decode, encode},
    registry,
};
use msip_session::wire::Side;

/// The one setting that a URL may have several times: each is a channel of a client.
pub(crate) const CHANNEL_SETTING: &str = "channel";

/// The longest topic in bytes (docs/protocol.md, "Payloads").
const MAX_TOPIC_LEN: usize = 255;

/// The URL of a service: `scheme://authority/path`, and settings after a `?`. The scheme names the transport:
/// `tcp://host:port`, or `mem://name` for a listener of this process.
///
/// A client may be given several addresses of one service, `tcp://a:4000,b:4000,c:4000`. The port is always
/// written, and an IPv6 address is in brackets.
///
/// The setting `topic` names a topic, for which the path is short: `tcp://host:4000/fleet/7` is
/// `tcp://host:4000?topic=fleet/7`. A client and a server that talk to each other directly have none, and refuse one.
///
/// ```
/// use msip_runtime::transport::ServiceUrl;
///
/// let url: ServiceUrl = "tcp://[::1]:4000/fleet?ping_interval=5s".parse()?;
/// assert_eq!(url.address().to_string(), "tcp://[::1]:4000");
/// assert_eq!(url.topic(), Some("fleet"));
/// assert_eq!(url.settings(), [("ping_interval".to_owned(), "5s".to_owned())]);
/// # Ok::<(), msip_runtime::transport::UrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    address: Address,
    others: Vec<Address>,
    topic: Option<String>,
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

    /// The topic that the path or the setting `topic` names, unescaped.
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_deref()
    }

    /// The same without its topic.
    #[must_use]
    pub fn without_topic(mut self) -> Self {
        self.topic = None;
        self
    }

    /// Refuses a topic, as a direct connection does.
    pub(crate) fn check_direct(&self) -> Result<(), UrlError> {
        match &self.topic {
            Some(topic) => Err(UrlError::Topic {
                topic: topic.clone(),
            }),
            None => Ok(()),
        }
    }

    /// What is spoken there, where that is not MSIP.
    pub(crate) fn dialect(&self) -> Option<DialectName> {
        registry::dialect(&self.address)
    }

    /// Refuses a scheme by which no connections are made.
    pub(crate) fn check_streams(&self) -> Result<(), UrlError> {
        if registry::has_streams(self.address.scheme()) {
            Ok(())
        } else {
            Err(UrlError::DatagramsOnly)
        }
    }

    /// The settings after the `?` but for the topic, names and values unescaped, in their order; no name but `channel` comes
    /// twice.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// What its transport is told besides the address, on this side.
    pub(crate) fn transport_options(&self, side: Side) -> TransportOptions {
        TransportOptions::of(
            &self.settings,
            registry::settings(self.address.scheme(), side),
        )
    }

    /// Parses the text of a URL, as [`FromStr`] does.
    ///
    /// # Errors
    ///
    /// See [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::parse_with(text, false)
    }

    /// Parses the text of a URL that may have a scheme of the user's own. Authority and path are kept as they are there.
    pub(crate) fn parse_any(text: &str) -> Result<Self, UrlError> {
        Self::parse_with(text, true)
    }

    fn parse_with(text: &str, allows_any: bool) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| UrlError::NoScheme {
            url: text.to_owned(),
        })?;
        let scheme = scheme.to_ascii_lowercase();
        // The scheme first: of a URL that is not ours nothing else need be right.
        let transport = registry::find(&scheme);
        if transport.is_none() && !(allows_any && is_scheme(&scheme)) {
            return Err(match registry::needed_for(&scheme) {
                Some(needs) => UrlError::SchemeNotBuilt { scheme, needs },
                None => UrlError::UnknownScheme {
                    scheme,
                    known: registry::schemes(),
                },
            });
        }
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let mut settings = parse_settings(query)?;
        let mut topic = None;
        if let Some(place) = settings.iter().position(|(name, _)| name == "topic") {
            topic = Some(checked_topic(settings.remove(place).1)?);
        }
        let mut addresses = match transport {
            Some(transport) if transport.path_is_topic() => {
                let path = path.strip_prefix('/').unwrap_or_default();
                let path = path.strip_suffix('/').unwrap_or(path);
                if !path.is_empty() {
                    let path = decode(path).ok_or_else(|| UrlError::BadEscape {
                        text: path.to_owned(),
                    })?;
                    if topic.replace(checked_topic(path)?).is_some() {
                        return Err(UrlError::RepeatedSetting {
                            name: "topic".to_owned(),
                        });
                    }
                }
                transport.parse(authority, "")?
            }
            Some(transport) => transport.parse(authority, path)?,
            None => vec![Address::new(scheme, authority.to_owned(), path.to_owned())],
        }
        .into_iter();
        let Some(address) = addresses.next() else {
            return Err(UrlError::NoHost {
                address: authority.to_owned(),
            });
        };
        Ok(Self {
            address,
            others: addresses.collect(),
            topic,
            settings,
        })
    }
}

impl From<Address> for ServiceUrl {
    fn from(address: Address) -> Self {
        Self {
            address,
            others: Vec::new(),
            topic: None,
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

/// The URL in its canonical form, which parses to the same; a topic is written as a setting, the first one.
impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = &self.address;
        write!(f, "{}://{}", first.scheme(), first.authority())?;
        for other in &self.others {
            write!(f, ",{}", other.authority())?;
        }
        // Where a path is a part of the address, all of them have the same.
        f.write_str(first.path())?;
        let topic = self.topic.as_deref().map(|topic| ("topic", topic));
        let settings = self
            .settings
            .iter()
            .map(|(name, value)| (&**name, &**value));
        let mut separator = '?';
        for (name, value) in topic.into_iter().chain(settings) {
            write!(f, "{separator}{}={}", encode(name), encode(value))?;
            separator = '&';
        }
        Ok(())
    }
}

/// Whether this is a scheme, which is in lower case (RFC 3986, section 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn checked_topic(topic: String) -> Result<String, UrlError> {
    if topic.is_empty() || topic.len() > MAX_TOPIC_LEN || topic.chars().any(char::is_control) {
        return Err(UrlError::BadTopic { topic });
    }
    Ok(topic)
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
        let is_there = settings.iter().any(|(earlier, _)| *earlier == name);
        if is_there && name != CHANNEL_SETTING {
            return Err(UrlError::RepeatedSetting { name });
        }
        settings.push((name, value));
    }
    Ok(settings)
}
