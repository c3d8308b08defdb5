//! The client's end of an upgrade.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use tokio_tungstenite::tungstenite::{
    handshake::{
        client::{Response, generate_key},
        derive_accept_key,
        machine::TryParse as _,
    },
    protocol::Role,
};

use super::{
    SUBPROTOCOL,
    head::{Head, has_element, has_only, read_head},
    stream::ByteStream,
};
use crate::transport::{Address, Connection, Stream};
use msip_session::wire::Escaped;

/// How much is read of what a server says when it refuses.
const MAX_REASON_LEN: usize = 256;

/// Why a server did not give a WebSocket.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum UpgradeError {
    #[error("the server answered {status}{}", Reason(reason))]
    Status {
        status: String,
        reason: String,
        /// How long the body is.
        len: usize,
    },
    #[error("the server's answer is not HTTP: {what}")]
    BadResponse { what: String },
    #[error("the server did not accept the WebSocket as it must: {what}")]
    BadUpgrade { what: &'static str },
    #[error(
        "the server did not agree to the subprotocol {SUBPROTOCOL}: it speaks WebSocket, and not MSIP"
    )]
    Subprotocol,
    #[error("the head of the server's answer is longer than 16 KiB")]
    LongHead,
    #[error("the server speaks MSIP without a WebSocket: connect to tcp://{authority}")]
    Msip { authority: String },
    #[error("the server speaks TLS: connect to wss://{authority}")]
    Tls { authority: String },
    #[error("the server does not speak HTTP: its answer began with {}", first.escape_ascii())]
    Other { first: Vec<u8> },
    #[error("the server closed the connection instead of answering")]
    Cut,
}

/// What a server said, if anything.
struct Reason<'a>(&'a str);

impl std::fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", Escaped::new(self.0))
    }
}

impl From<UpgradeError> for io::Error {
    fn from(error: UpgradeError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Upgrades a connection that was opened to `address`.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(super) async fn request(
    mut connection: Connection,
    address: &Address,
) -> io::Result<Connection> {
    let (authority, path) = (address.authority(), address.path());
    let key = generate_key();
    // Neither part of the address can hold a line break: the URL's parser has seen to that.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    );
    let stream = &mut connection.stream;
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let authority = authority.to_owned();
    let (head, mut rest) = match read_head(stream).await? {
        Head::Http { head, rest } => (head, rest),
        Head::TooLong => return Err(UpgradeError::LongHead.into()),
        Head::Msip => return Err(UpgradeError::Msip { authority }.into()),
        Head::Tls => return Err(UpgradeError::Tls { authority }.into()),
        Head::Other(mut first) => {
            first.truncate(16);
            return Err(UpgradeError::Other { first }.into());
        }
        Head::Cut => return Err(UpgradeError::Cut.into()),
    };
    if let Err(mut error) = check(&head, &key) {
        if let UpgradeError::Status { reason, len, .. } = &mut error {
            // What it says is worth waiting for: whoever connects has a limit.
            let len = (*len).min(MAX_REASON_LEN);
            let more = len.saturating_sub(rest.len());
            let mut more = (&mut *stream).take(u64::try_from(more).unwrap_or_default());
            // Without it there is the status.
            let _ = more.read_to_end(&mut rest).await;
            rest.truncate(len);
            *reason = String::from_utf8_lossy(&rest).trim().to_owned();
        }
        return Err(error.into());
    }
    let stream = ByteStream::new(connection.stream, Role::Client, rest).await;
    connection.stream = Stream::boxed(stream);
    Ok(connection)
}

/// Checks that a response accepts the key.
pub(super) fn check(head: &[u8], key: &str) -> Result<(), UpgradeError> {
    let response = match Response::try_parse(head) {
        Ok(Some((_, response))) => response,
        // The head is whole, so that this is not seen.
        Ok(None) => return Err(UpgradeError::Cut),
        Err(error) => {
            return Err(UpgradeError::BadResponse {
                what: error.to_string(),
            });
        }
    };
    let fields = response.headers();
    let status = response.status();
    if status != 101 {
        let len = fields
            .get("Content-Length")
            .and_then(|len| len.to_str().ok());
        return Err(UpgradeError::Status {
            status: status.to_string(),
            reason: String::new(),
            len: len.and_then(|len| len.parse().ok()).unwrap_or_default(),
        });
    }
    let bad_upgrade = |what| Err(UpgradeError::BadUpgrade { what });
    if !has_element(fields, "Upgrade", "websocket") || !has_element(fields, "Connection", "upgrade")
    {
        return bad_upgrade("it does not say that it upgrades to websocket");
    }
    if !has_only(
        fields,
        "Sec-WebSocket-Accept",
        &derive_accept_key(key.as_bytes()),
    ) {
        return bad_upgrade("its Sec-WebSocket-Accept is not that of the key");
    }
    if fields.contains_key("Sec-WebSocket-Extensions") {
        return bad_upgrade("it has chosen an extension, and none was offered");
    }
    if !has_only(fields, "Sec-WebSocket-Protocol", SUBPROTOCOL) {
        return Err(UpgradeError::Subprotocol);
    }
    Ok(())
}
