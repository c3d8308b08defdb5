//! The handshake's two payloads: HELLO, and the ACK that answers it.

use std::fmt;
use std::num::NonZeroU64;

use bytes::{Buf as _, Bytes};
use msip_schema::MsgKind;
use prost::Message as _;
use thiserror::Error;

use super::{Escaped, Hello, RawKind, Welcome};

/// The length of a session's secret in bytes.
pub const SECRET_LEN: usize = 16;

/// The extension by which a peer announces in HELLO or Welcome that it can describe its schema (docs/protocol.md, "Schema
/// fingerprint"). Its value is empty, and not looked at.
pub const SCHEMA_DESCRIPTION: &str = "schema-description";

/// The extension by which a client asks in HELLO for channels, and a server gives the key of their tokens in Welcome
/// (docs/protocol.md, "Channels").
pub const CHANNELS: &str = "channels";

/// The extension by which a further connection says in HELLO which channel it is, and a server says in Welcome that it is one.
pub const CHANNEL: &str = "channel";

/// The longest protocol name in bytes.
const MAX_PROTOCOL_LEN: usize = 255;

/// The random number of a session, chosen by the client; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(NonZeroU64);

impl SessionId {
    /// The length of the id in bytes.
    pub const LEN: usize = 8;

    /// The session with this number; `None` for 0, which is never one.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The payload of a HELLO of the MSIP dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct HelloFrame {
    /// The session that the client opens or resumes.
    pub session_id: SessionId,
    /// The client's offer.
    pub hello: Hello,
}

/// The payload of the answer to a HELLO.
#[derive(Debug, Clone, PartialEq)]
pub struct WelcomeFrame {
    /// The session that the client asked for.
    pub session_id: SessionId,
    /// The server's choices and limits.
    pub welcome: Welcome,
}

/// Reads the payload of a HELLO whose header has this kind (docs/protocol.md, "Handshake").
///
/// # Errors
///
/// [`HelloError::MipDialect`] where the client speaks the MIP dialect, else what is wrong with the payload.
pub fn parse_hello(kind: RawKind, payload: Bytes) -> Result<HelloFrame, HelloError> {
    if kind.known() != Ok(MsgKind::State) || payload.len() <= SessionId::LEN {
        return Err(HelloError::MipDialect);
    }
    let (id, encoded) = split_id(payload).ok_or(HelloError::MipDialect)?;
    let session_id = SessionId::new(id).ok_or(HelloError::ZeroSessionId)?;
    let hello = Hello::decode(encoded).map_err(HelloError::Undecodable)?;
    if hello.protocol.is_empty() {
        return Err(HelloError::NoProtocol);
    }
    if hello.protocol.len() > MAX_PROTOCOL_LEN {
        return Err(HelloError::ProtocolTooLong(hello.protocol.len()));
    }
    if hello.session_secret.len() != SECRET_LEN {
        return Err(HelloError::SecretLen(hello.session_secret.len()));
    }
    Ok(HelloFrame { session_id, hello })
}

/// Reads the payload of the ACK that answers a HELLO.
///
/// # Errors
///
/// [`WelcomeError::MipPeer`] where the server speaks the MIP dialect alone, else what is wrong with the payload.
pub fn parse_welcome(payload: Bytes) -> Result<WelcomeFrame, WelcomeError> {
    let len = payload.len();
    let (id, encoded) = split_id(payload).ok_or(WelcomeError::TooShort(len))?;
    if encoded.is_empty() {
        return Err(WelcomeError::MipPeer);
    }
    let session_id = SessionId::new(id).ok_or(WelcomeError::ZeroSessionId)?;
    let welcome = Welcome::decode(encoded).map_err(WelcomeError::Undecodable)?;
    Ok(WelcomeFrame {
        session_id,
        welcome,
    })
}

/// Appends the payload of a HELLO.
pub fn write_hello(buf: &mut Vec<u8>, session_id: SessionId, hello: &Hello) {
    buf.extend_from_slice(&session_id.number().to_be_bytes());
    hello.encode_raw(buf);
}

/// Appends the payload of the ACK that answers a HELLO.
///
/// A Welcome in which every field has its default encodes to nothing, which would read as a MIP server's
/// answer; name the codec that was chosen, and that cannot happen.
pub fn write_welcome(buf: &mut Vec<u8>, session_id: SessionId, welcome: &Welcome) {
    debug_assert!(
        welcome.encoded_len() > 0,
        "an empty Welcome reads as a MIP server's answer"
    );
    buf.extend_from_slice(&session_id.number().to_be_bytes());
    welcome.encode_raw(buf);
}

fn split_id(mut payload: Bytes) -> Option<(u64, Bytes)> {
    let id = u64::from_be_bytes(*payload.first_chunk()?);
    payload.advance(SessionId::LEN);
    Some((id, payload))
}

/// Everything but the credential and the secret, which are only measured.
impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = |bytes: &[u8]| format!("<{} bytes>", bytes.len());
        f.debug_struct("Hello")
            .field(
                "protocol",
                &format_args!("\"{}\"", Escaped::new(&self.protocol)),
            )
            .field("fingerprint", &format_args!("{:016x}", self.fingerprint))
            .field("codecs", &self.codecs)
            .field("compressions", &self.compressions)
            .field("keepalive_ms", &self.keepalive_ms)
            .field("max_body", &self.max_body)
            .field("credential", &format_args!("{}", secret(&self.credential)))
            .field(
                "client_name",
                &format_args!("\"{}\"", Escaped::new(&self.client_name)),
            )
            .field(
                "client_version",
                &format_args!("\"{}\"", Escaped::new(&self.client_version)),
            )
            .field(
                "session_secret",
                &format_args!("{}", secret(&self.session_secret)),
            )
            .field("awaited", &self.awaited.len())
            .field("extensions", &self.extensions.len())
            .finish()
    }
}

/// Why a HELLO is refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum HelloError {
    /// The client speaks the MIP dialect.
    #[error("this is a HELLO of the MIP dialect: the MSIP dialect is understood")]
    MipDialect,
    /// The session id is 0.
    #[error("the session id is 0")]
    ZeroSessionId,
    /// What follows the session id is no Hello.
    #[error("the HELLO cannot be decoded")]
    Undecodable(#[source] prost::DecodeError),
    /// The protocol has no name.
    #[error("the HELLO names no protocol")]
    NoProtocol,
    /// The protocol's name is too long.
    #[error("the protocol name has {0} bytes: 255 are allowed")]
    ProtocolTooLong(usize),
    /// The session's secret is missing or has another length.
    #[error("the session secret has {0} bytes, not 16")]
    SecretLen(usize),
}

/// Why an answer to a HELLO is not accepted.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum WelcomeError {
    /// The server speaks the MIP dialect alone.
    #[error("the server speaks the MIP dialect, not the MSIP dialect")]
    MipPeer,
    /// There is not even a session id.
    #[error("the answer to the HELLO has {0} bytes: a session id alone has 8")]
    TooShort(usize),
    /// The session id is 0.
    #[error("the session id is 0")]
    ZeroSessionId,
    /// What follows the session id is no Welcome.
    #[error("the answer to the HELLO cannot be decoded")]
    Undecodable(#[source] prost::DecodeError),
}
