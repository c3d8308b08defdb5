//! The server's end of an upgrade: a request is answered with a WebSocket, or with a status that says what is wrong.

use std::{io, time::Duration};

use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    error::ProtocolError,
    handshake::{
        machine::TryParse as _,
        server::{Request, create_response, write_response},
    },
    http::HeaderValue,
    protocol::Role,
};

use super::{
    SUBPROTOCOL,
    head::{Head, elements, read_head},
    stream::ByteStream,
};
use crate::transport::{Connection, Stream};
use msip_session::wire::{Code, Escaped, Flags, MsgId, write_error};

/// How long, and for how many bytes, a peer that was refused is still read, so that the answer reaches it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const CLOSE_READ_LEN: u64 = 256 * 1024;

/// What a listener of WebSockets takes.
#[derive(Debug)]
pub(super) struct Accepting {
    /// The path, which is not empty.
    pub(super) path: String,
    /// The origins of the web pages that may connect.
    pub(super) origins: Vec<String>,
    /// The scheme of its URLs, for texts.
    pub(super) scheme: &'static str,
}

/// Why a connection did not become a WebSocket.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum RefusedUpgrade {
    #[error("the head of the request is longer than 16 KiB")]
    LongHead,
    #[error("the request is not HTTP: {what}")]
    BadRequest { what: String },
    #[error("there is nothing at {:?}", Escaped::new(path).to_string())]
    NotFound { path: String },
    #[error("the request asks for no WebSocket of version 13")]
    NoUpgrade,
    #[error("the request breaks the WebSocket protocol: {what}")]
    BadUpgrade { what: &'static str },
    #[error(
        "pages of the origin {:?} may not connect (the setting origin lists those that may)",
        Escaped::new(origin).to_string()
    )]
    Origin { origin: String },
    #[error("the request does not offer the subprotocol {SUBPROTOCOL}")]
    Subprotocol,
    #[error("the peer speaks MSIP without a WebSocket: it has to connect to {scheme}://")]
    Msip { scheme: &'static str },
    #[error("the peer speaks TLS: it has to connect to ws://, or this listener be wss://")]
    Tls,
    #[error("the peer does not speak HTTP: it began with {}", first.escape_ascii())]
    Other { first: Vec<u8> },
    #[error("the peer closed the connection within its request")]
    Cut,
}

impl RefusedUpgrade {
    /// The status of the response, where the peer speaks HTTP.
    const fn status(&self) -> Option<&'static str> {
        Some(match self {
            Self::LongHead => "431 Request Header Fields Too Large",
            Self::BadRequest { .. } | Self::BadUpgrade { .. } | Self::Subprotocol => {
                "400 Bad Request"
            }
            Self::NotFound { .. } => "404 Not Found",
            Self::NoUpgrade => "426 Upgrade Required",
            Self::Origin { .. } => "403 Forbidden",
            Self::Msip { .. } | Self::Tls | Self::Other { .. } | Self::Cut => return None,
        })
    }

    /// The last bytes for the peer, in its own protocol.
    pub(super) fn answer(&self) -> Vec<u8> {
        let mut answer = Vec::new();
        if let Self::Msip { scheme } = self {
            let text = format!("this port speaks MSIP over WebSocket: connect to {scheme}://");
            let code = Code::FailedPrecondition;
            write_error(&mut answer, Flags::NONE, MsgId::CONNECTION, code, &text);
        } else if let Some(status) = self.status() {
            let text = format!("{self}\n");
            let upgrade = match self {
                Self::NoUpgrade => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                _ => "",
            };
            let connection = match self {
                Self::NoUpgrade => "Upgrade, close",
                _ => "close",
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nConnection: {connection}\r\n{upgrade}\
                 Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
                text.len()
            );
            answer.extend_from_slice(head.as_bytes());
            answer.extend_from_slice(text.as_bytes());
        }
        answer
    }
}

impl From<RefusedUpgrade> for io::Error {
    fn from(refused: RefusedUpgrade) -> Self {
        Self::new(io::ErrorKind::InvalidData, refused)
    }
}

/// Upgrades a connection that was accepted.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(super) async fn accept(
    mut connection: Connection,
    accepting: &Accepting,
) -> io::Result<Connection> {
    let checked = match read_head(&mut connection.stream).await? {
        Head::Http { head, rest } => check(&head, &rest, accepting),
        Head::TooLong => Err(RefusedUpgrade::LongHead),
        Head::Msip => Err(RefusedUpgrade::Msip {
            scheme: accepting.scheme,
        }),
        Head::Tls => Err(RefusedUpgrade::Tls),
        Head::Other(mut first) => {
            first.truncate(16);
            Err(RefusedUpgrade::Other { first })
        }
        Head::Cut => Err(RefusedUpgrade::Cut),
    };
    let stream = &mut connection.stream;
    match checked {
        Ok(response) => {
            stream.write_all(&response).await?;
            stream.flush().await?;
        }
        Err(refused) => {
            refuse(stream, &refused.answer()).await;
            return Err(refused.into());
        }
    }
    let stream = ByteStream::new(connection.stream, Role::Server, Vec::new()).await;
    connection.stream = Stream::boxed(stream);
    Ok(connection)
}

/// Writes the answer, and reads on for a moment: TCP takes back what it has not delivered where it is closed with bytes
/// unread.
async fn refuse(stream: &mut Stream, answer: &[u8]) {
    let closing = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        let mut rest = (&mut *stream).take(CLOSE_READ_LEN);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // It is refused either way.
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}

/// Checks a request, and returns the response by which it becomes a WebSocket.
pub(super) fn check(
    head: &[u8],
    rest: &[u8],
    accepting: &Accepting,
) -> Result<Vec<u8>, RefusedUpgrade> {
    use tokio_tungstenite::tungstenite::Error;
    let bad_request = |error: Error| RefusedUpgrade::BadRequest {
        what: error.to_string(),
    };
    let request = match Request::try_parse(head) {
        Ok(Some((_, request))) => request,
        // The head is whole, so that this is not seen.
        Ok(None) => return Err(RefusedUpgrade::Cut),
        Err(Error::Protocol(ProtocolError::WrongHttpMethod | ProtocolError::WrongHttpVersion)) => {
            return Err(RefusedUpgrade::NoUpgrade);
        }
        Err(error) => return Err(bad_request(error)),
    };
    let fields = request.headers();
    let path = request.uri().path();
    if path != accepting.path {
        return Err(RefusedUpgrade::NotFound {
            path: path.to_owned(),
        });
    }
    let mut response = match create_response(&request) {
        Ok(response) => response,
        Err(Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingSecWebSocketVersionHeader,
        )) => return Err(RefusedUpgrade::NoUpgrade),
        Err(error) => return Err(bad_request(error)),
    };
    let bad_upgrade = |what| Err(RefusedUpgrade::BadUpgrade { what });
    let count = |name| fields.get_all(name).into_iter().count();
    if count("Host") != 1 {
        return bad_upgrade("it needs one Host");
    }
    if count("Sec-WebSocket-Key") != 1 {
        return bad_upgrade("it needs one Sec-WebSocket-Key");
    }
    let has_body = fields.contains_key("Transfer-Encoding")
        || fields
            .get_all("Content-Length")
            .into_iter()
            .any(|len| len != "0");
    if has_body || !rest.is_empty() {
        return bad_upgrade("bytes follow its head");
    }
    for origin in fields.get_all("Origin") {
        let is_listed = |listed: &String| listed.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        if !accepting.origins.iter().any(is_listed) {
            return Err(RefusedUpgrade::Origin {
                origin: String::from_utf8_lossy(origin.as_bytes()).into_owned(),
            });
        }
    }
    if !elements(fields, "Sec-WebSocket-Protocol").any(|offered| offered == SUBPROTOCOL.as_bytes())
    {
        return Err(RefusedUpgrade::Subprotocol);
    }
    let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
    response
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", subprotocol);
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(bad_request)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
