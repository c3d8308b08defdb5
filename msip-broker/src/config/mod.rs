//! The configuration: one plain value, read from arguments, the environment and a file.

mod check;
mod error;
mod file;
mod reader;
mod sections;
mod sources;
#[cfg(test)]
mod tests;
mod value;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

pub use error::{ConfigError, ConfigErrors};
pub use msip_daemon::{LogFormat, LogLevel};
pub use sources::{OPTIONS, Overrides, Setting};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The values of `max_body`.
const MAX_BODY: std::ops::RangeInclusive<u64> = KIB..=1024 * MIB;

/// Roles with a meaning of their own: whoever has `service` is one, and may do nothing by that alone; `client` is everyone else;
/// `admin` may read what the broker tells of itself where that is not on loopback.
pub(crate) const ROLES: [&str; 3] = ["service", "client", "admin"];

/// Everything that a broker can be told.
///
/// # Examples
///
/// ```
/// use msip_broker::Config;
///
/// # fn main() -> Result<(), msip_broker::ConfigErrors> {
/// let config = Config::from_toml(
///     r#"
///     max_body = "1MiB"
///
///     [[listener]]
///     url = "tcp://127.0.0.1:9000"
///
///     [roles.sensor]
///     publish = ["plant/+/temperature"]
///     "#,
/// )?;
/// assert_eq!(config.max_body, 1024 * 1024);
/// assert_eq!(config.roles["sensor"].publish.allow, ["plant/+/temperature"]);
///
/// let error = Config::from_toml("max_boddy = 1").unwrap_err();
/// assert_eq!(error.to_string().lines().next(), Some("broker.toml:1: unknown key `max_boddy`: did you mean `max_body`?"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Where it listens. Default: `tcp://127.0.0.1:9000`.
    pub listeners: Vec<ListenerConfig>,
    /// The largest body of a message, in bytes. Default 4 MiB; 1 KiB to 1 GiB.
    pub max_body: u64,
    /// Where it answers HTTP requests about itself. Default: nowhere.
    pub admin: Option<AdminConfig>,
    /// How it logs. Default: as text, from the level `info` on.
    pub log: LogConfig,
    /// How long a session is kept without a connection. Default 5 min; 0 to 24 h.
    pub session_expiry: Duration,
    /// How long open calls may take to finish while it shuts down. Default 5 s; 0 to 1 h.
    pub drain_timeout: Duration,
    /// Over how long a shutdown spreads the goodbyes to its clients, at most, a millisecond for each client. Default 5 s; 0 to 1 h.
    pub drain_spread: Duration,
    /// What it keeps at most.
    pub limits: LimitsConfig,
    /// How peers say who they are. Where nothing is set, every peer is anonymous.
    pub keys: KeysConfig,
    /// What each role may do, by its name.
    pub roles: BTreeMap<String, AccessConfig>,
    /// What single principals may do besides what their roles may, by name.
    pub principals: BTreeMap<String, PrincipalConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: vec![ListenerConfig::new(Self::DEFAULT_URL)],
            max_body: 4 * MIB,
            admin: None,
            log: LogConfig::default(),
            session_expiry: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(5),
            drain_spread: Duration::from_secs(5),
            limits: LimitsConfig::default(),
            keys: KeysConfig::default(),
            roles: BTreeMap::new(),
            principals: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Where a broker listens that is not told where.
    pub const DEFAULT_URL: &str = "tcp://127.0.0.1:9000";

    /// Listens at these URLs in place of those that were said before, where there are any.
    pub(crate) fn listen_instead(&mut self, urls: &[String]) -> Result<(), ConfigErrors> {
        if urls.is_empty() {
            return Ok(());
        }
        let mut errors = Vec::new();
        self.listeners.clear();
        for url in urls {
            match value::listener(url) {
                Ok(listener) => self.listeners.push(listener),
                Err(expected) => errors.push(ConfigError::of_listener(url, &expected)),
            }
        }
        ConfigErrors::or(errors, ())
    }
}

/// An address at which a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// Scheme, address and settings of the transport, such as `tls://0.0.0.0:9000?cert=…&key=…`.
    pub url: String,
    /// Who MIP peers are that connect here, since they have no credential. Default: nobody.
    pub principal: Option<String>,
    /// Whether a MIP peer may come back to its session by the number of it. Default: on loopback, and where MIP peers are a
    /// principal.
    pub mip_resume: Option<bool>,
    /// Whether it may listen here although others could read what is sent. Default: no.
    pub insecure: bool,
    /// Who clients of MiddleMan are that connect here; for `mm://` and `mm+tls://` alone.
    pub middleman: MiddleManConfig,
}

/// Who clients of MiddleMan are that connect to a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MiddleManConfig {
    /// The file with the key of services, or with several, one a line. Where neither this nor `public_key` is set, a client shows an
    /// API key of the broker.
    pub trusted_key: Option<PathBuf>,
    /// The file with the key of everyone else.
    pub public_key: Option<PathBuf>,
    /// Who services are: one of `[principals]`. Default: nobody in particular, who may do everything.
    pub trusted: Option<String>,
    /// Who everyone else is. Default: nobody in particular, who may do what services enable.
    pub public: Option<String>,
    /// The origins of web pages that may connect; `*` stands for all. Default: none.
    pub origins: Vec<String>,
}

impl MiddleManConfig {
    /// The names of the settings, as they are in a URL and in the file.
    pub(crate) const NAMES: [&str; 5] =
        ["trusted_key", "public_key", "trusted", "public", "origin"];
}

impl ListenerConfig {
    /// Whether it is for clients of MiddleMan.
    pub(crate) fn is_middleman(&self) -> bool {
        self.url.starts_with("mm://") || self.url.starts_with("mm+tls://")
    }

    /// A listener at this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }
}

/// Where a broker answers HTTP requests about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminConfig {
    /// The address. Beyond loopback every request needs the API key of a principal with the role `admin`.
    pub address: SocketAddr,
    /// Whether it may listen beyond loopback although others could read what is sent, keys included. Default: no.
    pub insecure: bool,
}

impl AdminConfig {
    /// At this address.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            insecure: false,
        }
    }
}

/// How a broker logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LogConfig {
    /// The form of its lines.
    pub format: LogFormat,
    /// The least severe line that is written.
    pub level: LogLevel,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $kind:ident = $default:expr, $range:expr;)*) => {
        /// What a broker keeps at most. What happens at each limit is in docs/broker.md, "Limits".
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct LimitsConfig {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Default for LimitsConfig {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl LimitsConfig {
            const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// Sets those that a table of the file has.
            fn read(&mut self, section: &mut reader::Section<'_, '_, '_>) {
                $(if let Some(value) = section.$kind(stringify!($name), $range) {
                    self.$name = value;
                })*
            }

            /// What is out of its range: a program can set it without a file.
            fn check(&self, errors: &mut Vec<ConfigError>) {
                $(let found = self.$name.to_string();
                let read = value::$kind(&found, $range);
                errors.extend(ConfigError::of_value("limits", stringify!($name), found, read));)*
            }
        }
    };
}

limits! {
    /// Connections at once. Default 16,384; 1 to 10 million.
    connections: number = 16_384, 1..=10_000_000;
    /// Sessions that are kept without a connection. Default 10,000; 0 to 10 million.
    detached_sessions: number = 10_000, 0..=10_000_000;
    /// Bytes that wait for one session that is connected. Default 8 MiB; 64 KiB to 16 GiB.
    outgoing_bytes: size = 8 * MIB, 64 * KIB..=16 * 1024 * MIB;
    /// Messages that wait for it. Default 262,144; 16 to 100 million.
    outgoing_messages: number = 262_144, 16..=100_000_000;
    /// How many of `outgoing_bytes` LOG and METRIC may take; beyond it the oldest are dropped. Default 1 MiB; 0 to 16 GiB.
    droppable_bytes: size = MIB, 0..=16 * 1024 * MIB;
    /// Bytes that are kept for a session without a connection. Default 8 MiB; 0 to 16 GiB.
    session_bytes: size = 8 * MIB, 0..=16 * 1024 * MIB;
    /// Messages that are kept for it. Default 10,000; 0 to 100 million.
    session_messages: number = 10_000, 0..=100_000_000;
    /// Subscriptions of a session. Default 10,000; 1 to 1 million.
    subscriptions: number = 10_000, 1..=1_000_000;
    /// Grants that a session may give. Default 1,000; 0 to 1 million.
    grants: number = 1000, 0..=1_000_000;
    /// Kept values of all topics. Default 100,000; 0 to 100 million.
    kept_values: number = 100_000, 0..=100_000_000;
    /// Bytes of all kept values. Default 64 MiB; 0 to 64 GiB.
    kept_bytes: size = 64 * MIB, 0..=64 * 1024 * MIB;
    /// Bytes that queues and sessions of all connections hold together, outboxes and kept values apart. Default 1 GiB; 1 MiB
    /// to 1 TiB.
    memory: size = 1024 * MIB, MIB..=1024 * 1024 * MIB;
}

/// How peers say who they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeysConfig {
    /// The file of API keys.
    pub file: Option<PathBuf>,
    /// The names in client certificates that are known.
    pub certificates: Vec<CertificateRule>,
    /// The users of this machine that are known, over a Unix socket.
    pub unix_users: Vec<UnixUserRule>,
    /// Which JSON Web Tokens are taken.
    pub jwt: Option<JwtConfig>,
}

impl KeysConfig {
    /// Whether peers can say who they are in any way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A name in a client certificate, and who shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateRule {
    /// The name, of its kind.
    pub subject: CertificateSubject,
    /// The principal.
    pub name: String,
    /// Its roles.
    pub roles: Vec<String>,
}

/// A name in a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateSubject {
    /// A DNS name.
    Dns(String),
    /// A URI, such as a SPIFFE id.
    Uri(String),
    /// A mail address.
    Email(String),
}

/// A user, or the users of a group, of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnixUserRule {
    /// The user with this id.
    User {
        /// The id.
        id: u32,
        /// The principal.
        name: String,
        /// Its roles.
        roles: Vec<String>,
    },
    /// Everyone whose primary group has this id.
    Group {
        /// The id.
        id: u32,
        /// The roles of its members.
        roles: Vec<String>,
    },
}

/// Which JSON Web Tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtConfig {
    /// The `aud` that they need.
    pub audience: String,
    /// The claim that has the roles. Default: `roles`.
    pub roles_claim: Option<String>,
    /// Who issues them.
    pub issuers: Vec<JwtIssuer>,
}

/// Who issues JSON Web Tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtIssuer {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The file of its public keys, a JSON Web Key Set.
    pub jwks: PathBuf,
}

/// What somebody may do, as filters of topics. A denied filter wins over every allowed one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AccessConfig {
    /// To which topics it may publish.
    pub publish: FilterConfig,
    /// To which topics it may subscribe.
    pub subscribe: FilterConfig,
    /// Of which topics it may be a service.
    pub serve: FilterConfig,
    /// At which topics it may request.
    pub request: FilterConfig,
    /// How many messages a second its sessions may send together: of several roles the most; what is said of a principal itself
    /// wins. Any number unless set.
    pub messages_per_second: Option<u64>,
    /// How many bytes a second they may send, in the same way.
    pub bytes_per_second: Option<u64>,
}

/// Which topics are allowed, and which are denied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FilterConfig {
    /// Filters of allowed topics.
    pub allow: Vec<String>,
    /// Filters of denied topics.
    pub deny: Vec<String>,
}

/// What a single principal may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PrincipalConfig {
    /// Its roles, besides those that its key gives it.
    pub roles: Vec<String>,
    /// What it may do besides.
    pub access: AccessConfig,
}
