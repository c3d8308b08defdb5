//! HTTP by hand, which keeps the chunks of a body apart.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// The chunks, where it was chunked.
    pub(crate) chunks: Vec<String>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A request with these headers, and what comes back.
pub(crate) async fn ask(url: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let authority = url.trim_start_matches("http://");
    let stream = TcpStream::connect(authority).await.expect("connects");
    ask_over(stream, authority, line, headers, body).await
}

/// The same over any stream.
pub(crate) async fn ask_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut head = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    // Who refuses does not read all of it.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    // Nor does the end of the connection matter, once the answer is there.
    let _ = stream.read_to_end(&mut answer).await;
    parse(&answer)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut rest = &bytes[end + 4..];
    let (mut body, mut chunks) = (Vec::new(), Vec::new());
    if headers
        .get("transfer-encoding")
        .is_some_and(|value| value == "chunked")
    {
        while let Some(at) = rest.windows(2).position(|window| window == b"\r\n") {
            let len =
                usize::from_str_radix(&String::from_utf8_lossy(&rest[..at]), 16).expect("a length");
            let chunk = &rest[at + 2..at + 2 + len];
            rest = &rest[at + 4 + len..];
            if len == 0 {
                break;
            }
            body.extend_from_slice(chunk);
            chunks.push(String::from_utf8_lossy(chunk).into_owned());
        }
    } else {
        body = rest.to_vec();
    }
    Answer {
        status: status.expect("a status"),
        headers,
        body,
        chunks,
    }
}
