//! Settings: limits and timeouts, each under one name in the builders, in the query of a URL and in the docs.

mod choices;
mod error;
mod schema_rule;
mod value;

#[cfg(feature = "messi")]
use std::ops::RangeInclusive;
use std::{sync::Arc, time::Duration};

use crate::{
    body::{Codec, Compression},
    decoded_size::{DEFAULT_MAX_DECODED, TIMES_MAX_BODY},
    transport::{AddressOrder, CHANNEL_SETTING, ServiceUrl, TransportOptions},
};
use msip_session::{
    Budget, Config,
    wire::{DEFAULT_MAX_BODY, Limits, Side},
};

use value::{in_range, parsed};

pub use choices::{CodecSet, CompressionSet, CompressionsFor};
pub use error::SettingError;
pub use schema_rule::SchemaRule;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Where a URL says that the client finds its credential.
pub(crate) const TOKEN_SETTINGS: [&str; 2] = ["token_file", "token_env"];

/// What the builder of a client reads from its URL.
const READ_BY_CLIENT: [&str; 3] = [TOKEN_SETTINGS[0], TOKEN_SETTINGS[1], CHANNEL_SETTING];

/// Names that would have a secret for a value.
const SECRETS: [&str; 5] = ["token", "credential", "api_key", "password", "secret"];

/// Reads a time that is no setting of every client or server.
#[cfg(feature = "messi")]
pub(crate) fn duration(
    name: &'static str,
    value: &str,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, SettingError> {
    let value = parsed(name, value)?;
    in_range(name, &value, range)?;
    Ok(value)
}

/// Calls a macro with the table of settings. Each row is the doc comment of the builder method, the name, the type, the
/// default and the accepted range.
macro_rules! with_settings {
    ($callback:ident) => {
        $callback! {
            connection {
                /// The largest body accepted from the peer, in bytes. Default 4 MiB; 1 KiB to 1 GiB. It is announced to the peer,
                /// whose larger sends fail with `SendError::TooLarge`; a peer that exceeds it is disconnected.
                max_body: usize = DEFAULT_MAX_BODY, KIB..=1024 * MIB;
                /// The most memory that one received message may take once it is decoded, in bytes; 0 is 16 times `max_body`, and
                /// at least 64 MiB. A larger one is answered with `RESOURCE_EXHAUSTED` before it is decoded; an answer that
                /// is larger fails its call. Default 0; 0 to 64 GiB.
                max_decoded: usize = 0, 0..=64 * 1024 * MIB;
                /// The timeout of the handshake. Default 5 s; 10 ms to 10 min.
                handshake_timeout: Duration = Duration::from_secs(5), Duration::from_millis(10)..=Duration::from_secs(600);
                /// The interval between pings. A peer from which nothing arrives for two intervals is disconnected. Default
                /// 10 s; 10 ms to 1 h.
                ping_interval: Duration = Duration::from_secs(10), Duration::from_millis(10)..=Duration::from_secs(3600);
                /// The timeout of a call, unless the schema or the call sets another. Default 30 s; 1 ms to 24 h.
                call_timeout: Duration = Duration::from_secs(30), Duration::from_millis(1)..=Duration::from_secs(86_400);
                /// The number of calls that the peer may have open at once, until their handlers return. It is announced to the peer,
                /// whose further calls wait. Default 1,024; 1 to 32,768.
                max_calls: usize = 1024, 1..=32_768;
                /// The total size of the requests in handlers, in bytes; further calls are refused. Default 64 MiB; 1 KiB to 16 GiB.
                max_call_bytes: usize = 64 * MIB, KIB..=16 * 1024 * MIB;
                /// The capacity of the outgoing queue, in bytes, each frame counted as its length + 64; senders wait while it is
                /// full. Default 8 MiB; 64 KiB to 1 GiB.
                outgoing_queue: usize = 8 * MIB, 64 * KIB..=1024 * MIB;
                /// How long a sender waits for capacity before it fails with `SendError::Full`, and how long a write may make no
                /// progress before the peer is disconnected. Default 10 s; 10 ms to 1 h.
                write_timeout: Duration = Duration::from_secs(10), Duration::from_millis(10)..=Duration::from_secs(3600);
                /// How long open calls may take to finish during a graceful close; those still open then are aborted. Default 30 s;
                /// 0 to 24 h.
                drain_timeout: Duration = Duration::from_secs(30), Duration::ZERO..=Duration::from_secs(86_400);
                /// How long calls with streams may take to end by themselves during a graceful close, at most `drain_timeout`; then
                /// they are ended with `UNAVAILABLE`. Default 250 ms; 0 to 24 h.
                stream_drain: Duration = Duration::from_millis(250), Duration::ZERO..=Duration::from_secs(86_400);
                /// The smallest body that is compressed, in bytes, if compression was negotiated. A body that would not get smaller
                /// is sent uncompressed. Default 1 KiB; 1 to 1 GiB.
                compress_threshold: usize = KIB, 1..=1024 * MIB;
                /// How much is buffered for resending after the loss of a connection, in bytes: unacknowledged deliveries and, while
                /// disconnected, replies. Each frame counts as its length + 64. Deliveries wait while it is full; a
                /// disconnected session whose replies alone exceed it is ended. Default 16 MiB; 4 KiB to 16 GiB.
                session_buffer: usize = 16 * MIB, 4 * KIB..=16 * 1024 * MIB;
                /// The number of unacknowledged deliveries that are buffered for the peer; further ones wait. The protocol itself
                /// allows 4,096 on one connection. Default 10,000; 1 to 1 million.
                session_deliveries: usize = 10_000, 1..=1_000_000;
                /// Whether to add a new correlation id to messages without one, so that they can be followed through the logs of
                /// every service involved. Costs about 50 bytes per message. Default: no.
                correlation_ids: bool = false, false..=true;
                /// The memory that the queues and sessions of all connections of this server, or of this client, may use together, in
                /// bytes. All clients and servers of a process that keep the default share one budget. Over it, disconnected
                /// sessions are ended, the oldest first; then each connection is limited to 64 KiB: senders wait, and calls
                /// of the peer are refused. Default 1 GiB; 1 MiB to 1 TiB.
                max_memory: usize = Budget::OF_PROCESS, MIB..=1024 * 1024 * MIB;
                /// Whether connections that others could read may do: for a server to listen where other machines can reach it
                /// without encryption, for a client to send its credential there. Default: no, and both fail.
                insecure: bool = false, false..=true;
            }
            client {
                /// The codec of bodies (`?codec=json`). A server without it refuses the connection. Default: protobuf.
                codec: Codec = Codec::Protobuf, Codec::Protobuf..=Codec::MessagePack;
                /// The compression of bodies (`?compress=zstd`), in both directions. With a server without it, bodies are not
                /// compressed. Default: none.
                compress: Compression = Compression::None, Compression::None..=Compression::Lz4;
                /// The timeout of one attempt to connect, before the handshake. Default 10 s; 10 ms to 10 min.
                connect_timeout: Duration = Duration::from_secs(10), Duration::from_millis(10)..=Duration::from_secs(600);
                /// How long the handler's `on_connected` may take after each connect; then the attempt to connect has failed.
                /// Default 30 s; 10 ms to 1 h.
                login_timeout: Duration = Duration::from_secs(30), Duration::from_millis(10)..=Duration::from_secs(3600);
                /// The order in which to try the addresses, if the URL has several (`?address_order=random`). A client that
                /// reconnects tries the address of its session first. Default: as listed.
                address_order: AddressOrder = AddressOrder::Listed, AddressOrder::Listed..=AddressOrder::Random;
                /// The upper bound of the random delay before the first attempt to reconnect; it doubles with each attempt. The
                /// delay is uniform between zero and the bound. Default 50 ms; 1 ms to 1 h.
                reconnect_min: Duration = Duration::from_millis(50), Duration::from_millis(1)..=Duration::from_secs(3600);
                /// The limit of that upper bound. Default 10 s; 1 ms to 24 h.
                reconnect_max: Duration = Duration::from_secs(10), Duration::from_millis(1)..=Duration::from_secs(86_400);
                /// How much is buffered while disconnected, to be sent later, in bytes, each frame counted as its length + 64. When
                /// it is full sends fail with `SendError::Full`; with 0 every send fails with `SendError::Disconnected` at
                /// once. If the session is lost, so is the buffer: one-way messages are counted as dropped, calls and
                /// deliveries fail. Default 0; 0 to 16 GiB.
                buffer_disconnected: usize = 0, 0..=16 * 1024 * MIB;
            }
            server {
                /// The largest number of connections; further ones are refused with `RESOURCE_EXHAUSTED`. Default 16,384; 1 to
                /// 10 million.
                max_connections: usize = 16_384, 1..=10_000_000;
                /// The largest number of concurrent handshakes; further connections wait to be accepted. Default 1,024; 1 to
                /// 10 million.
                max_handshakes: usize = 1024, 1..=10_000_000;
                /// How many credentials from one source (an IP address, an IPv6 network of 64 bits, or a Unix user) may be refused
                /// within a minute; further clients from there that have one are refused with `RESOURCE_EXHAUSTED`, unread. 0 is
                /// no limit. Default 300; 0 to 1 million.
                max_auth_failures: usize = 300, 0..=1_000_000;
                /// How long the session of a disconnected client is kept, so that the client can resume it; 0 keeps none. Default
                /// 5 min; 0 to 24 h.
                session_expiry: Duration = Duration::from_secs(300), Duration::ZERO..=Duration::from_secs(86_400);
                /// The number of disconnected sessions that are kept; beyond it the oldest is ended. Default 10,000; 0 to
                /// 10 million.
                max_detached_sessions: usize = 10_000, 0..=10_000_000;
                /// Over how long a shutdown spreads the CLOSE to its clients, at most, a millisecond for each, so that they do not
                /// come back all at once; those whose turn has not come are served meanwhile. Default 0; 0 to 1 h.
                drain_spread: Duration = Duration::ZERO, Duration::ZERO..=Duration::from_secs(3600);
                /// What to do with a client whose schema has another fingerprint: serve it, refuse it where the differences are
                /// wire-breaking (`?schema=compatible`), or refuse it in any case (`?schema=strict`). Default: it is served, and
                /// what differs is logged.
                schema: SchemaRule = SchemaRule::Any, SchemaRule::Any..=SchemaRule::Strict;
                /// The codecs that clients may use (`?codecs=protobuf,json`). A client with another is refused with
                /// `UNIMPLEMENTED`. Default: all that are built in.
                codecs: CodecSet = CodecSet::BUILT, CodecSet::MIN..=CodecSet::ALL;
                /// The compressions that clients may use (`?compressions=lz4`, `?compressions=none`). Bodies of a client with
                /// another are not compressed, in either direction. Default: all that are built in.
                compressions: CompressionSet = CompressionSet::BUILT, CompressionSet::NONE..=CompressionSet::ALL;
                /// From whom compressed bodies are taken: from anyone, or from clients with an identity
                /// (`?compressions_for=identified`). Bodies of others are not compressed, in either direction. Default: from
                /// anyone.
                compressions_for: CompressionsFor = CompressionsFor::Anyone, CompressionsFor::Anyone..=CompressionsFor::Identified;
            }
        }
    };
}
pub(crate) use with_settings;

macro_rules! define_settings {
    ($($group:ident { $($(#[$doc:meta])* $name:ident: $ty:ty = $default:expr, $range:expr;)* })*) => {
        /// All settings of a client or server.
        #[derive(Debug, Clone)]
        pub(crate) struct Settings {
            $($(pub(crate) $name: $ty,)*)*
            /// The budget that `max_memory` limits, shared by all clones.
            pub(crate) budget: Arc<Budget>,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($($name: $default,)*)* budget: Budget::of_process() }
            }
        }

        impl Settings {
            /// The configuration of a session.
            pub(crate) fn session(&self, side: Side) -> Config {
                let max_body = u32::try_from(self.max_body).unwrap_or(u32::MAX);
                let mut config = Config::new(side);
                config.limits = Limits::with_max_body(max_body);
                config.ping_interval = self.ping_interval;
                config.handshake_timeout = self.handshake_timeout;
                config.drain_timeout = self.drain_timeout;
                config.stream_drain = self.stream_drain;
                config.max_calls = self.max_calls;
                config.max_call_bytes = self.max_call_bytes;
                config.outgoing_queue = self.outgoing_queue;
                config.session_buffer = self.session_buffer;
                config.session_deliveries = self.session_deliveries;
                config.buffer_disconnected = self.buffer_disconnected;
                config.budget = Arc::clone(&self.budget);
                config
            }

            /// The setting of this name, or what follows from `max_body`.
            pub(crate) fn max_decoded(&self) -> usize {
                match self.max_decoded {
                    0 => self.max_body.saturating_mul(TIMES_MAX_BODY).max(DEFAULT_MAX_DECODED),
                    max => max,
                }
            }

            /// Whether an endpoint with the settings of these groups has one of this name.
            pub(crate) fn has(groups: &[&str], name: &str) -> bool {
                $(if groups.contains(&stringify!($group)) {
                    $(if name == stringify!($name) {
                        return true;
                    })*
                })*
                groups.contains(&"client") && READ_BY_CLIENT.contains(&name)
            }

            /// Checks the ranges of all values.
            pub(crate) fn check(&self) -> Result<(), SettingError> {
                $($(in_range(stringify!($name), &self.$name, &($range))?;)*)*
                Ok(())
            }

            /// Checks the ranges of all values, and creates the budget. Nothing is set after this.
            pub(crate) fn finish(&mut self) -> Result<(), SettingError> {
                self.check()?;
                if self.max_memory != Budget::OF_PROCESS {
                    self.budget = Budget::new(self.max_memory);
                }
                Ok(())
            }

            /// Sets the values that a URL gives, for an endpoint with the settings of these groups. Those of its transport, which
            /// has been told them, are left alone.
            pub(crate) fn apply_url(
                &mut self,
                groups: &[&str],
                url: &ServiceUrl,
                transport: &TransportOptions,
            ) -> Result<(), SettingError> {
                let is_ours = |(name, _): &&(String, String)| !transport.names().contains(&name.as_str());
                for (name, value) in url.settings().iter().filter(is_ours) {
                    self.apply(groups, name, value).map_err(|error| error.or_one_of(transport.names()))?;
                }
                Ok(())
            }

            /// Sets a value from the query of a URL, for an endpoint with the settings of these groups.
            pub(crate) fn apply(&mut self, groups: &[&str], name: &str, value: &str) -> Result<(), SettingError> {
                let is_client = groups.contains(&"client");
                if is_client && READ_BY_CLIENT.contains(&name) {
                    // Its credential and its channels are no settings: the builder has read them.
                    return Ok(());
                }
                $(if groups.contains(&stringify!($group)) {
                    $(if name == stringify!($name) {
                        self.$name = parsed(stringify!($name), value)?;
                        return in_range(stringify!($name), &self.$name, &($range));
                    })*
                })*
                if SECRETS.contains(&name) {
                    return Err(SettingError::Secret { name: name.to_owned() });
                }
                let mut known = Vec::new();
                $(if groups.contains(&stringify!($group)) {
                    $(known.push(concat!("`", stringify!($name), "`"));)*
                })*
                let error = SettingError::Unknown { name: name.to_owned(), known: known.join(", ") };
                Err(if is_client { error.or_one_of(&READ_BY_CLIENT) } else { error })
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
    fn a_server_says_what_it_takes() {
        let apply = |name, value| {
            let mut settings = Settings::default();
            let applied = settings.apply(&["connection", "server"], name, value);
            applied
                .and_then(|()| settings.finish())
                .map(|()| settings)
                .map_err(|error| error.to_string())
        };
        let taken = apply("codecs", "protobuf").unwrap();
        assert_eq!(taken.codecs, CodecSet::from([Codec::Protobuf]));
        let taken = apply("compressions", "none").unwrap();
        assert_eq!(taken.compressions, CompressionSet::from([]));
        let taken = apply("compressions_for", "identified").unwrap();
        assert_eq!(taken.compressions_for, CompressionsFor::Identified);
        #[cfg(all(feature = "lz4", feature = "zstd", feature = "json"))]
        {
            let taken = apply("compressions", "lz4,zstd").unwrap();
            let expected = CompressionSet::from([Compression::Zstd, Compression::Lz4]);
            assert_eq!(taken.compressions, expected);
            let taken = apply("codecs", "json,protobuf").unwrap();
            assert_eq!(taken.codecs, CodecSet::from([Codec::Protobuf, Codec::Json]));
        }
        #[cfg(not(feature = "json"))]
        assert_eq!(
            apply("codecs", "protobuf,json").unwrap_err(),
            "setting `codecs`: `json` needs the feature `json` of msip-runtime, which is off: add it in Cargo.toml \
             (built in: protobuf)"
        );
        let codecs =
            "expected one or more of `protobuf`, `json` and `msgpack`, separated by commas";
        let compressions =
            "expected `none`, or one or more of `gzip`, `zstd` and `lz4`, separated by commas";
        for (name, value, expected) in [
            ("codecs", "", codecs),
            ("codecs", "protobuf,", codecs),
            ("codecs", "yaml", codecs),
            ("compressions", "", compressions),
            ("compressions", "none,lz4", compressions),
            ("compressions", "br", compressions),
            (
                "compressions_for",
                "me",
                "expected `anyone` or `identified`",
            ),
        ] {
            let text = format!("setting `{name}`: {expected}, found `{value}`");
            assert_eq!(apply(name, value).unwrap_err(), text);
        }
        let mut none = Settings {
            codecs: CodecSet::from([]),
            ..Settings::default()
        };
        let text = "setting `codecs`: [] is out of range ([protobuf] to [protobuf,json,msgpack])";
        assert_eq!(none.finish().unwrap_err().to_string(), text);
    }

    #[test]
    fn errors_say_what_is_accepted() {
        let cases = [
            (
                "ping_intervall",
                "10s",
                "unknown setting `ping_intervall`: expected one of `max_body`, `max_decoded`, `handshake_timeout`, `ping_interval`, `call_timeout`, `max_calls`, `max_call_bytes`, `outgoing_queue`, `write_timeout`, `drain_timeout`, `stream_drain`, `compress_threshold`, `session_buffer`, `session_deliveries`, `correlation_ids`, `max_memory`, `insecure`, `codec`, `compress`, `connect_timeout`, `login_timeout`, `address_order`, `reconnect_min`, `reconnect_max`, `buffer_disconnected`, `token_file`, `token_env`, `channel`",
            ),
            (
                "token",
                "hunter2",
                "setting `token`: a URL must not hold a secret: write token_file=PATH or token_env=NAME, or use \
                 `ClientBuilder::credential`",
            ),
            (
                "ping_interval",
                "10",
                "setting `ping_interval`: expected a time, such as 250ms, 10s or 5min, found `10`",
            ),
            (
                "max_body",
                "4MB",
                "setting `max_body`: expected a number, such as 4096 or 4MiB, found `4MB`",
            ),
            (
                "max_body",
                "99999999999999999999",
                "setting `max_body`: expected a number, such as 4096 or 4MiB, found `99999999999999999999`",
            ),
            (
                "codec",
                "yaml",
                "setting `codec`: expected `protobuf`, `json` or `msgpack`, found `yaml`",
            ),
            (
                "compress",
                "brotli",
                "setting `compress`: expected `none`, `gzip`, `zstd` or `lz4`, found `brotli`",
            ),
            (
                "max_calls",
                "0",
                "setting `max_calls`: 0 is out of range (1 to 32768)",
            ),
            (
                "ping_interval",
                "2h",
                "setting `ping_interval`: 7200s is out of range (10ms to 3600s)",
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
