//! The Rust of `proto/hello.proto`, as `prost-build` writes it. Change the `.proto`, then this file.

/// The first thing a client says. It stands behind the 8-byte session id in the payload of a HELLO.
#[derive(Clone, PartialEq, ::prost::Message)]
#[prost(skip_debug)]
pub struct Hello {
    /// The package that names the protocol, such as "fleet.v1". At most 255 bytes.
    #[prost(string, tag = "1")]
    pub protocol: ::prost::alloc::string::String,
    /// The fingerprint of the client's schema.
    #[prost(fixed64, tag = "2")]
    pub fingerprint: u64,
    /// The codecs for bodies, the best first. Empty means protobuf.
    #[prost(enumeration = "Codec", repeated, tag = "3")]
    pub codecs: ::prost::alloc::vec::Vec<i32>,
    /// The compressions for bodies, the best first. Empty means none.
    #[prost(enumeration = "Compression", repeated, tag = "4")]
    pub compressions: ::prost::alloc::vec::Vec<i32>,
    /// How often the client pings, in milliseconds. 0 is never.
    #[prost(uint32, tag = "5")]
    pub keepalive_ms: u32,
    /// The largest body that the client accepts, in bytes, before and after decompression. 0 is the default of 4 MiB.
    #[prost(uint32, tag = "6")]
    pub max_body: u32,
    /// Who the client claims to be: a key or a token. Leaves only over a transport that keeps it secret.
    #[prost(bytes = "vec", tag = "7")]
    pub credential: ::prost::alloc::vec::Vec<u8>,
    /// The program that connects.
    #[prost(string, tag = "8")]
    pub client_name: ::prost::alloc::string::String,
    /// Its version.
    #[prost(string, tag = "9")]
    pub client_version: ::prost::alloc::string::String,
    /// 16 random bytes, chosen with the session id. Only they resume the session.
    #[prost(bytes = "vec", tag = "10")]
    pub session_secret: ::prost::alloc::vec::Vec<u8>,
    /// The ids of the calls for whose answers the client still waits.
    #[prost(fixed64, repeated, tag = "11")]
    pub awaited: ::prost::alloc::vec::Vec<u64>,
    /// Whatever comes later, by name.
    #[prost(btree_map = "string, bytes", tag = "12")]
    pub extensions: ::prost::alloc::collections::BTreeMap<
        ::prost::alloc::string::String,
        ::prost::alloc::vec::Vec<u8>,
    >,
}
/// The answer to a Hello. It stands behind the 8-byte session id in the payload of the HELLO's ACK.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Welcome {
    /// The fingerprint of the server's schema. Where it is not the client's, the two are of different versions.
    #[prost(fixed64, tag = "1")]
    pub fingerprint: u64,
    /// The codec of all bodies, in both directions.
    #[prost(enumeration = "Codec", tag = "2")]
    pub codec: i32,
    /// The compression that bodies may have, in both directions.
    #[prost(enumeration = "Compression", tag = "3")]
    pub compression: i32,
    /// Whether an earlier session goes on. Otherwise it is new.
    #[prost(bool, tag = "4")]
    pub resumed: bool,
    /// How often the server pings, in milliseconds. 0 is never.
    #[prost(uint32, tag = "5")]
    pub keepalive_ms: u32,
    /// The largest body that the server accepts, in bytes, before and after decompression. 0 is the default of 4 MiB.
    #[prost(uint32, tag = "6")]
    pub max_body: u32,
    /// How many calls of the client may be open at once. 0 is the default of 1,024.
    #[prost(uint32, tag = "7")]
    pub max_open_calls: u32,
    /// How long the session is kept after a loss of the connection, in milliseconds. 0 is not at all.
    #[prost(uint32, tag = "8")]
    pub session_expiry_ms: u32,
    /// The random number under which others know this client.
    #[prost(fixed64, tag = "9")]
    pub peer_id: u64,
    /// Whether a broker answers.
    #[prost(bool, tag = "10")]
    pub broker: bool,
    /// The program that answers.
    #[prost(string, tag = "11")]
    pub server_name: ::prost::alloc::string::String,
    /// Its version.
    #[prost(string, tag = "12")]
    pub server_version: ::prost::alloc::string::String,
    /// The ids of the calls for whose answers the server still waits.
    #[prost(fixed64, repeated, tag = "13")]
    pub awaited: ::prost::alloc::vec::Vec<u64>,
    /// Whatever comes later, by name.
    #[prost(btree_map = "string, bytes", tag = "14")]
    pub extensions: ::prost::alloc::collections::BTreeMap<
        ::prost::alloc::string::String,
        ::prost::alloc::vec::Vec<u8>,
    >,
}
/// What goes beside a message, in front of its topic. At most 8 KiB.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Metadata {
    /// What remains of the deadline, in milliseconds, counted from receipt.
    #[prost(uint32, optional, tag = "1")]
    pub deadline_ms: ::core::option::Option<u32>,
    /// Follows a chain of calls across services.
    #[prost(string, tag = "2")]
    pub correlation_id: ::prost::alloc::string::String,
    /// The W3C trace context: the header "traceparent".
    #[prost(string, tag = "3")]
    pub traceparent: ::prost::alloc::string::String,
    /// The W3C trace context: the header "tracestate".
    #[prost(string, tag = "4")]
    pub tracestate: ::prost::alloc::string::String,
    /// When the request was sent, in microseconds since 1970-01-01 UTC, by the clock of its sender.
    #[prost(int64, optional, tag = "5")]
    pub request_time_us: ::core::option::Option<i64>,
    /// When the response was sent, in microseconds since 1970-01-01 UTC, by the clock of its sender.
    #[prost(int64, optional, tag = "6")]
    pub response_time_us: ::core::option::Option<i64>,
    /// Whether the call may be repeated when its fate is unknown.
    #[prost(bool, tag = "7")]
    pub idempotent: bool,
    /// Tells one STATE from another of the same variant.
    #[prost(string, tag = "8")]
    pub key: ::prost::alloc::string::String,
    /// Headers of the application.
    #[prost(btree_map = "string, string", tag = "9")]
    pub headers: ::prost::alloc::collections::BTreeMap<
        ::prost::alloc::string::String,
        ::prost::alloc::string::String,
    >,
    /// Who sent it. The accepting side writes it, and drops what comes from outside.
    #[prost(message, optional, tag = "10")]
    pub identity: ::core::option::Option<Identity>,
}
/// Who a message is from, as the accepting side has authenticated it.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Identity {
    /// The user.
    #[prost(string, tag = "1")]
    pub user: ::prost::alloc::string::String,
    /// The service.
    #[prost(string, tag = "2")]
    pub service: ::prost::alloc::string::String,
    /// The peer id of the client, as its Welcome told it. 0 is none.
    #[prost(fixed64, tag = "3")]
    pub peer: u64,
}
/// How the body of a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Codec {
    /// Not said: protobuf.
    Unspecified = 0,
    /// Protobuf.
    Protobuf = 1,
    /// The canonical JSON mapping of proto3.
    Json = 2,
    /// MessagePack: the tree of the JSON mapping, with names.
    MessagePack = 3,
}
impl Codec {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "CODEC_UNSPECIFIED",
            Self::Protobuf => "CODEC_PROTOBUF",
            Self::Json => "CODEC_JSON",
            Self::MessagePack => "CODEC_MESSAGE_PACK",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "CODEC_UNSPECIFIED" => Some(Self::Unspecified),
            "CODEC_PROTOBUF" => Some(Self::Protobuf),
            "CODEC_JSON" => Some(Self::Json),
            "CODEC_MESSAGE_PACK" => Some(Self::MessagePack),
            _ => None,
        }
    }
}
/// How the body of a message is compressed. The numbers are those of a compressed body's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Compression {
    /// Not at all.
    None = 0,
    /// gzip.
    Gzip = 1,
    /// zstd.
    Zstd = 2,
    /// lz4.
    Lz4 = 3,
}
impl Compression {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::None => "COMPRESSION_NONE",
            Self::Gzip => "COMPRESSION_GZIP",
            Self::Zstd => "COMPRESSION_ZSTD",
            Self::Lz4 => "COMPRESSION_LZ4",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "COMPRESSION_NONE" => Some(Self::None),
            "COMPRESSION_GZIP" => Some(Self::Gzip),
            "COMPRESSION_ZSTD" => Some(Self::Zstd),
            "COMPRESSION_LZ4" => Some(Self::Lz4),
            _ => None,
        }
    }
}
