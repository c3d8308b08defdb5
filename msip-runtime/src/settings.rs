//! Limits and times, each under one name in the builders, in a URL's query and in the docs.

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use crate::{
    body::{Choice, Codec, Compression},
    client::AddressOrder,
    middleware::Stack,
};
use msip_session::{
    Budget, Config,
    wire::{DEFAULT_MAX_BODY, Limits, Side},
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Calls a macro with the table of settings; each row is the builder method's comment, name, type, default and
/// the range that is accepted.
macro_rules! with_settings {
    ($callback:ident) => {
        $callback! {
            connection {
                /// The largest body accepted from the peer, in bytes. Default 4 MiB; 1 KiB to 1 GiB. The peer is told,
                /// and its sends fail with `SendError::TooLarge`; one that sends more all the same is disconnected.
                max_body: usize = DEFAULT_MAX_BODY, KIB..=1024 * MIB;
                /// How long a handshake may take, both ways. Default 5 s; 10 ms to 10 min.
                handshake_timeout: Duration = Duration::from_secs(5), Duration::from_millis(10)..=Duration::from_secs(600);
                /// How often a ping is sent. A peer from which not a byte came for two intervals is disconnected. Default
                /// 10 s; 10 ms to 1 h.
                ping_interval: Duration = Duration::from_secs(10), Duration::from_millis(10)..=Duration::from_secs(3600);
                /// How long a call waits for its answer where neither the schema nor the call says otherwise. Default 30 s; 1 ms to 24 h.
                call_timeout: Duration = Duration::from_secs(30), Duration::from_millis(1)..=Duration::from_secs(86_400);
                /// How many calls of the peer are open at once, until their handlers end; the peer is told, and its further
                /// calls wait. Default 1,024; 1 to 32,768.
                max_calls: usize = 1024, 1..=32_768;
                /// How many bytes of requests are in handlers at once; calls beyond are refused. Default 64 MiB; 1 KiB to 16 GiB.
                max_call_bytes: usize = 64 * MIB, KIB..=16 * 1024 * MIB;
                /// How much may be queued for the peer, in bytes, each frame counted as its length + 64; senders wait when it
                /// is full. Default 8 MiB; 64 KiB to 1 GiB.
                outgoing_queue: usize = 8 * MIB, 64 * KIB..=1024 * MIB;
                /// How long a sender waits for room before it fails with `SendError::Full`, and how long the peer may take
                /// not a byte before it is disconnected. Default 10 s; 10 ms to 1 h.
                write_timeout: Duration = Duration::from_secs(10), Duration::from_millis(10)..=Duration::from_secs(3600);
                /// How long open calls may take to finish when a connection is closed gracefully; what is open then is cut
                /// off. Default 30 s; 0 to 24 h.
                drain_timeout: Duration = Duration::from_secs(30), Duration::ZERO..=Duration::from_secs(86_400);
                /// How large a body must be to be compressed, in bytes, where a compression was agreed on. It is sent as it is
                /// where it would not get smaller. Default 1 KiB; 1 to 1 GiB.
                compress_threshold: usize = KIB, 1..=1024 * MIB;
                /// How much is kept for the peer so that it survives the loss of a connection, in bytes: deliveries without
                /// an answer and, while there is no connection, replies. Each frame counts as its length + 64. Deliveries
                /// wait when it is full; a session whose replies alone exceed it without a connection is ended.
                /// Default 16 MiB; 4 KiB to 16 GiB.
                session_buffer: usize = 16 * MIB, 4 * KIB..=16 * 1024 * MIB;
                /// How many deliveries without an answer are kept for the peer; further ones wait. The protocol itself allows
                /// 4,096 on one connection between two peers. Default 10,000; 1 to 1 million.
                session_deliveries: usize = 10_000, 1..=1_000_000;
                /// Whether what is sent without a correlation id is given a new one, so that it can be followed through the
                /// logs of every service that works on it. Costs about 50 bytes a message. Default: no.
                correlation_ids: bool = false, false..=true;
                /// What the queues and sessions may hold together, of all connections of this server, or of this client, in
                /// bytes; all clients and servers of a process that leave the default share that. Beyond it sessions
                /// without a connection are ended, the oldest first; then each connection is left 64 KiB: senders wait, and
                /// calls of the peer are refused. Default 1 GiB; 1 MiB to 1 TiB.
                max_memory: usize = Budget::OF_PROCESS, MIB..=1024 * 1024 * MIB;
            }
            client {
                /// How bodies are written (`?codec=json`). A server that does not have it refuses. Default: protobuf.
                codec: Codec = Codec::Protobuf, Codec::Protobuf..=Codec::MessagePack;
                /// What bodies may be compressed with (`?compress=zstd`), in both directions. With a server that does not
                /// have it they are not. Default: nothing.
                compress: Compression = Compression::None, Compression::None..=Compression::Lz4;
                /// How long one attempt to reach the server may take before its handshake begins. Default 10 s; 10 ms to 10 min.
                connect_timeout: Duration = Duration::from_secs(10), Duration::from_millis(10)..=Duration::from_secs(600);
                /// In which order the addresses of the service are tried, where the URL has several (`?address_order=random`).
                /// A client that has lost its connection begins with the address where its session is. Default: as listed.
                address_order: AddressOrder = AddressOrder::Listed, AddressOrder::Listed..=AddressOrder::Random;
                /// The longest wait before the first attempt to connect again; it doubles with each. The wait is drawn
                /// evenly between nothing and this. Default 50 ms; 1 ms to 1 h.
                reconnect_min: Duration = Duration::from_millis(50), Duration::from_millis(1)..=Duration::from_secs(3600);
                /// What the longest wait between attempts grows to. Default 10 s; 1 ms to 24 h.
                reconnect_max: Duration = Duration::from_secs(10), Duration::from_millis(1)..=Duration::from_secs(86_400);
                /// How much is taken to be sent later while there is no connection, in bytes, each frame counted as its
                /// length + 64. Beyond it sends fail with `SendError::Full`; with 0 every send fails with
                /// `SendError::Disconnected` at once. What was taken is lost with its session: one-way messages are
                /// counted then, calls and deliveries told. Default 0; 0 to 16 GiB.
                buffer_disconnected: usize = 0, 0..=16 * 1024 * MIB;
            }
            server {
                /// How many connections are served at once; one more is told so and closed. Default 16,384; 1 to 10 million.
                max_connections: usize = 16_384, 1..=10_000_000;
                /// How many handshakes go on at once; further connections wait until they are accepted. Default 1,024; 1 to
                /// 10 million.
                max_handshakes: usize = 1024, 1..=10_000_000;
                /// How long a client's session is kept after its connection was lost, so that the client can resume it. With
                /// 0 none is. Default 5 min; 0 to 24 h.
                session_expiry: Duration = Duration::from_secs(300), Duration::ZERO..=Duration::from_secs(86_400);
                /// How many sessions without a connection are kept; of more the oldest is ended. Default 10,000; 0 to
                /// 10 million.
                max_detached_sessions: usize = 10_000, 0..=10_000_000;
                /// Whether to serve in plaintext beyond this machine. Default: no, and to bind to an address that others can
                /// reach fails.
                insecure: bool = false, false..=true;
                /// Whether a client whose schema has another fingerprint is refused rather than served (`?schema=strict`).
                /// Default: served, told, and logged.
                schema: SchemaRule = SchemaRule::Compatible, SchemaRule::Compatible..=SchemaRule::Strict;
            }
        }
    };
}
pub(crate) use with_settings;

/// What happens when the schemas of two peers have different fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SchemaRule {
    /// They go on, and both are told (`compatible`).
    Compatible,
    /// The client is refused (`strict`).
    Strict,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingError {
    /// There is no setting of this name here.
    #[error("there is no setting `{name}` here; there are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The value is not of the setting's form.
    #[error("setting `{name}`: `{value}` is not {form}")]
    Malformed {
        /// The name.
        name: &'static str,
        /// The value.
        value: String,
        /// What was expected.
        form: &'static str,
    },
    /// The value needs a feature of this crate that is not switched on.
    #[error(
        "setting `{name}`: `{value}` needs the feature `{value}` of msip-runtime; there are {built}"
    )]
    NotBuilt {
        /// The name.
        name: &'static str,
        /// The value, which is the feature's name too.
        value: &'static str,
        /// What this build has.
        built: String,
    },
    /// The value is outside the setting's range.
    #[error("setting `{name}`: {value} is outside its range, {min} to {max}")]
    OutOfRange {
        /// The name.
        name: &'static str,
        /// The value.
        value: String,
        /// The smallest value accepted.
        min: String,
        /// The largest value accepted.
        max: String,
    },
}

/// A type that a setting can have.
trait Value: Sized + PartialOrd + std::fmt::Debug {
    /// What a value looks like, for the error text.
    const FORM: &'static str;

    fn parse(text: &str) -> Option<Self>;

    /// Refuses a value that this build does not have.
    fn check_built(&self) -> Result<(), SettingError> {
        Ok(())
    }
}

impl Value for usize {
    const FORM: &'static str = "a number, such as 4096 or 4MiB";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit: usize = match text.get(digits.len()..)? {
            "" => 1,
            "KiB" => KIB,
            "MiB" => MIB,
            "GiB" => 1024 * MIB,
            _ => return None,
        };
        digits.parse::<usize>().ok()?.checked_mul(unit)
    }
}

impl Value for Duration {
    const FORM: &'static str = "a time, such as 250ms, 10s or 5min";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().ok()?;
        match text.get(digits.len()..)? {
            "ms" => Some(Self::from_millis(number)),
            "s" => Some(Self::from_secs(number)),
            "min" => Some(Self::from_secs(number.checked_mul(60)?)),
            "h" => Some(Self::from_secs(number.checked_mul(3600)?)),
            _ => None,
        }
    }
}

impl Value for bool {
    const FORM: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Value for SchemaRule {
    const FORM: &'static str = "`compatible` or `strict`";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "compatible" => Some(Self::Compatible),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

impl Value for AddressOrder {
    const FORM: &'static str = "`listed` or `random`";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "listed" => Some(Self::Listed),
            "random" => Some(Self::Random),
            _ => None,
        }
    }
}

impl Value for Codec {
    const FORM: &'static str = "`protobuf`, `json` or `msgpack`";

    fn parse(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn check_built(&self) -> Result<(), SettingError> {
        check_choice(*self)
    }
}

impl Value for Compression {
    const FORM: &'static str = "`none`, `gzip`, `zstd` or `lz4`";

    fn parse(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn check_built(&self) -> Result<(), SettingError> {
        check_choice(*self)
    }
}

fn check_choice<T: Choice>(choice: T) -> Result<(), SettingError> {
    if choice.is_built() {
        return Ok(());
    }
    let (name, value) = (T::SETTING, choice.name());
    Err(SettingError::NotBuilt {
        name,
        value,
        built: T::built(),
    })
}

fn parsed<T: Value>(name: &'static str, text: &str) -> Result<T, SettingError> {
    T::parse(text).ok_or_else(|| SettingError::Malformed {
        name,
        value: text.to_owned(),
        form: T::FORM,
    })
}

fn in_range<T: Value>(
    name: &'static str,
    value: &T,
    range: &std::ops::RangeInclusive<T>,
) -> Result<(), SettingError> {
    if range.contains(value) {
        return value.check_built();
    }
    Err(SettingError::OutOfRange {
        name,
        value: format!("{value:?}"),
        min: format!("{:?}", range.start()),
        max: format!("{:?}", range.end()),
    })
}

macro_rules! define_settings {
    ($($group:ident { $($(#[$doc:meta])* $name:ident: $ty:ty = $default:expr, $range:expr;)* })*) => {
        /// Every setting of a client or server, at its default unless changed.
        #[derive(Debug, Clone)]
        pub(crate) struct Settings {
            $($(pub(crate) $name: $ty,)*)*
            /// What stands around the exchanges that come in, and around those that go out.
            pub(crate) incoming: Stack,
            pub(crate) outgoing: Stack,
            /// What `max_memory` bounds, shared by all who have this.
            pub(crate) budget: Arc<Budget>,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($($name: $default,)*)* incoming: Stack::default(), outgoing: Stack::default(), budget: Budget::of_process() }
            }
        }

        impl Settings {
            /// What a session of these settings is configured with.
            pub(crate) fn session(&self, side: Side) -> Config {
                let max_body = u32::try_from(self.max_body).unwrap_or(u32::MAX);
                let mut config = Config::new(side);
                config.limits = Limits::with_max_body(max_body);
                config.ping_interval = self.ping_interval;
                config.handshake_timeout = self.handshake_timeout;
                config.drain_timeout = self.drain_timeout;
                config.max_calls = self.max_calls;
                config.max_call_bytes = self.max_call_bytes;
                config.outgoing_queue = self.outgoing_queue;
                config.session_buffer = self.session_buffer;
                config.session_deliveries = self.session_deliveries;
                config.buffer_disconnected = self.buffer_disconnected;
                config.budget = Arc::clone(&self.budget);
                config
            }

            /// Refuses values outside their ranges. From here on nothing is set.
            pub(crate) fn finish(&mut self) -> Result<(), SettingError> {
                $($(in_range(stringify!($name), &self.$name, &($range))?;)*)*
                if self.max_memory != Budget::OF_PROCESS {
                    self.budget = Budget::new(self.max_memory);
                }
                Ok(())
            }

            /// Sets what a URL's query says, for an endpoint that has the settings of these groups.
            pub(crate) fn apply(&mut self, groups: &[&str], name: &str, value: &str) -> Result<(), SettingError> {
                $(if groups.contains(&stringify!($group)) {
                    $(if name == stringify!($name) {
                        self.$name = parsed(stringify!($name), value)?;
                        return in_range(stringify!($name), &self.$name, &($range));
                    })*
                })*
                let mut known = Vec::new();
                $(if groups.contains(&stringify!($group)) {
                    $(known.push(concat!("`", stringify!($name), "`"));)*
                })*
                Err(SettingError::Unknown { name: name.to_owned(), known: known.join(", ") })
            }
        }
    };
}
with_settings!(define_settings);

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: [&str; 2] = ["connection", "client"];

    #[test]
    fn the_defaults_are_within_their_ranges() {
        Settings::default().finish().unwrap();
    }

    #[test]
    fn memory_is_shared_unless_a_limit_is_asked_for() {
        let settings = |query: Option<&str>| {
            let mut settings = Settings::default();
            if let Some(value) = query {
                settings.apply(&CLIENT, "max_memory", value).unwrap();
            }
            settings.finish().unwrap();
            settings.budget
        };
        let [all, all_too] = [settings(None), settings(None)];
        assert!(Arc::ptr_eq(&all, &all_too));
        assert_eq!(all.max(), 1024 * MIB);
        let [own, another] = [settings(Some("2MiB")), settings(Some("2MiB"))];
        assert!(!Arc::ptr_eq(&own, &another));
        assert_eq!(own.max(), 2 * MIB);
    }

    #[test]
    fn a_query_sets_by_name() {
        let mut settings = Settings::default();
        settings.apply(&CLIENT, "max_body", "2MiB").unwrap();
        settings.apply(&CLIENT, "ping_interval", "250ms").unwrap();
        settings
            .apply(&["connection", "server"], "schema", "strict")
            .unwrap();
        assert_eq!(settings.max_body, 2 * MIB);
        assert_eq!(settings.ping_interval, Duration::from_millis(250));
        assert_eq!(settings.schema, SchemaRule::Strict);
    }

    #[test]
    fn mistakes_are_told_with_what_is_right() {
        let cases = [
            (
                "ping_intervall",
                "10s",
                "there is no setting `ping_intervall` here; there are `max_body`, `handshake_timeout`, `ping_interval`, `call_timeout`, `max_calls`, `max_call_bytes`, `outgoing_queue`, `write_timeout`, `drain_timeout`, `compress_threshold`, `session_buffer`, `session_deliveries`, `correlation_ids`, `max_memory`, `codec`, `compress`, `connect_timeout`, `address_order`, `reconnect_min`, `reconnect_max`, `buffer_disconnected`",
            ),
            (
                "ping_interval",
                "10",
                "setting `ping_interval`: `10` is not a time, such as 250ms, 10s or 5min",
            ),
            (
                "max_body",
                "4MB",
                "setting `max_body`: `4MB` is not a number, such as 4096 or 4MiB",
            ),
            (
                "max_body",
                "99999999999999999999",
                "setting `max_body`: `99999999999999999999` is not a number, such as 4096 or 4MiB",
            ),
            (
                "codec",
                "yaml",
                "setting `codec`: `yaml` is not `protobuf`, `json` or `msgpack`",
            ),
            (
                "compress",
                "brotli",
                "setting `compress`: `brotli` is not `none`, `gzip`, `zstd` or `lz4`",
            ),
            (
                "max_calls",
                "0",
                "setting `max_calls`: 0 is outside its range, 1 to 32768",
            ),
            (
                "ping_interval",
                "2h",
                "setting `ping_interval`: 7200s is outside its range, 10ms to 3600s",
            ),
        ];
        for (name, value, text) in cases {
            let error = Settings::default()
                .apply(&CLIENT, name, value)
                .expect_err(name);
            assert_eq!(error.to_string(), text, "{name}={value}");
        }
    }
}
