//! The request by which a client of MiddleMan begins its WebSocket: at any path.

use std::{io, time::Duration};

use msip_runtime::transport::Stream;
use msip_session::wire::Escaped;
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    self,
    handshake::{
        machine::TryParse as _,
        server::{Request, create_response, write_response},
    },
};

/// The longest head of a request, in bytes. The library's parser allows 124 fields in it.
const MAX_HEAD_LEN: usize = 16 * 1024;

/// How much is read at once.
const READ_LEN: usize = 2 * 1024;

/// How long, and for how many bytes, a peer that was refused is still read, so that the answer reaches it.
const CLOSE_TIME: Duration = Duration::from_secs(1);
const CLOSE_READ_LEN: u64 = 64 * 1024;

/// The origins of web pages that may connect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Origins(pub(crate) Vec<String>);

impl Origins {
    fn has(&self, origin: &[u8]) -> bool {
        let is_it =
            |listed: &String| listed == "*" || listed.as_bytes().eq_ignore_ascii_case(origin);
        self.0.iter().any(is_it)
    }
}

/// Why a connection did not become a WebSocket.
#[derive(Debug, Error)]
pub(super) enum NotUpgraded {
    #[error("the head of its request is longer than 16 KiB")]
    LongHead,
    #[error("its request is not that of a WebSocket: {0}")]
    BadRequest(String),
    #[error(
        "pages of the origin {:?} may not connect (the setting origin lists those that may)",
        Escaped::new(.0).to_string()
    )]
    Origin(String),
    #[error("it does not speak HTTP")]
    NoHttp,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl NotUpgraded {
    fn answer(&self) -> Option<String> {
        let status = match self {
            Self::LongHead => "431 Request Header Fields Too Large",
            Self::BadRequest(_) => "400 Bad Request",
            Self::Origin(_) => "403 Forbidden",
            Self::NoHttp | Self::Io(_) => return None,
        };
        let text = format!("{self}\n");
        Some(format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{text}",
            text.len()
        ))
    }
}

/// Answers the request, and returns what came after it.
///
/// # Cancel safety
///
/// Dropping the future loses what was read: the connection is to be closed.
pub(super) async fn upgrade(
    stream: &mut Stream,
    origins: &Origins,
) -> Result<Vec<u8>, NotUpgraded> {
    let outcome = match read_head(stream).await {
        Ok((head, rest)) => match check(&head, origins) {
            Ok(response) => {
                stream.write_all(&response).await?;
                stream.flush().await?;
                return Ok(rest);
            }
            Err(refused) => refused,
        },
        Err(refused) => refused,
    };
    let closing = async {
        if let Some(answer) = outcome.answer() {
            stream.write_all(answer.as_bytes()).await?;
        }
        stream.shutdown().await?;
        let mut rest = (&mut *stream).take(CLOSE_READ_LEN);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // It is refused either way.
    let _ = timeout(CLOSE_TIME, closing).await;
    Err(outcome)
}

/// Reads the head of a request, with its empty line; and what came with it.
async fn read_head(stream: &mut Stream) -> Result<(Vec<u8>, Vec<u8>), NotUpgraded> {
    let mut bytes = Vec::new();
    loop {
        if bytes
            .first()
            .is_some_and(|first: &u8| !first.is_ascii_uppercase())
            || bytes.starts_with(b"MSIP")
        {
            return Err(NotUpgraded::NoHttp);
        }
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok((bytes, rest));
        }
        if bytes.len() >= MAX_HEAD_LEN {
            return Err(NotUpgraded::LongHead);
        }
        let most = READ_LEN.min(MAX_HEAD_LEN - bytes.len());
        bytes.reserve(most);
        let mut part = (&mut *stream).take(u64::try_from(most).unwrap_or(1));
        if part.read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// The response to a request that asks for a WebSocket.
fn check(head: &[u8], origins: &Origins) -> Result<Vec<u8>, NotUpgraded> {
    let bad = |error: tungstenite::Error| NotUpgraded::BadRequest(error.to_string());
    let request = match Request::try_parse(head).map_err(bad)? {
        Some((_, request)) => request,
        // The head is whole, so that this is not seen.
        None => return Err(NotUpgraded::NoHttp),
    };
    let response = create_response(&request).map_err(bad)?;
    for origin in request.headers().get_all("Origin") {
        if !origins.has(origin.as_bytes()) {
            let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
            return Err(NotUpgraded::Origin(origin));
        }
    }
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(bad)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /any/path?query=1 HTTP/1.1
Host: localhost:8764
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13
";

    fn answered(request: &str, origins: &[&str]) -> String {
        let head = format!("{request}\n").replace('\n', "\r\n");
        let origins = origins.iter().map(|&one| one.to_owned()).collect();
        let answer = match check(head.as_bytes(), &Origins(origins)) {
            Ok(response) => String::from_utf8(response).unwrap(),
            Err(refused) => refused.answer().unwrap_or_default(),
        };
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn any_path_is_upgraded_and_a_page_only_from_a_listed_origin() {
        let of_page = format!("{REQUEST}Origin: https://a.example\n");
        let deflate = format!("{REQUEST}Sec-WebSocket-Extensions: permessage-deflate\n");
        let switches = "HTTP/1.1 101 Switching Protocols";
        for (request, origins, expected) in [
            (REQUEST, &[][..], switches),
            (&deflate, &[], switches),
            (
                &of_page,
                &["https://b.example", "https://a.example"],
                switches,
            ),
            (&of_page, &["*"], switches),
            (&of_page, &["https://b.example"], "HTTP/1.1 403 Forbidden"),
            (&of_page, &[], "HTTP/1.1 403 Forbidden"),
            ("GET / HTTP/1.1\nHost: a\n", &[], "HTTP/1.1 400 Bad Request"),
            (
                "GET /metrics HTTP/1.0\nHost: a\n",
                &[],
                "HTTP/1.1 400 Bad Request",
            ),
            (
                "POST / HTTP/1.1\nHost: a\n",
                &[],
                "HTTP/1.1 400 Bad Request",
            ),
        ] {
            assert_eq!(answered(request, origins), expected, "{request}");
        }
    }
}
