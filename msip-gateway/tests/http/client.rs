//! A small HTTP client.

use std::{collections::BTreeMap, io, time::Duration};

use msip_tests::soon;
use serde_json::Value;
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::TcpStream,
};

/// A request.
pub(crate) struct Ask {
    head: String,
    body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// The chunks, where it was chunked.
    pub(crate) chunks: Vec<String>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Nothing where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The status, and the code of an error.
    pub(crate) fn code(&self) -> (u16, String) {
        let error = self.json();
        assert!(error["message"].is_string(), "{error}");
        (self.status, error["code"].as_str().unwrap().to_owned())
    }
}

/// A request on a connection of its own, and its response.
pub(crate) async fn ask(url: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let authority = url.trim_start_matches("http://");
    let stream = TcpStream::connect(authority).await.unwrap();
    ask_over(stream, authority, line, headers, body).await
}

/// The same over any stream.
pub(crate) async fn ask_over(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let ask = Ask::bare(method, path)
        .header("host", host)
        .header("connection", "close");
    let ask = headers
        .iter()
        .fold(ask, |ask, (name, value)| ask.header(name, value));
    let ask = match body {
        b"" => ask,
        body => ask.body(body),
    };
    let mut connection = Connection::over(stream);
    // Who refuses does not read all of it.
    let _ = connection.write(&ask.bytes()).await;
    connection.answer().await
}

/// A connection, on which a response is read as it comes.
pub(crate) struct Connection<S = TcpStream> {
    stream: BufReader<S>,
    is_chunked: bool,
    length: Option<usize>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self::bare(method, path).header("host", "localhost")
    }

    /// One without a host.
    pub(crate) fn bare(method: &str, path: &str) -> Self {
        Self {
            head: format!("{method} {path} HTTP/1.1\r\n"),
            body: Vec::new(),
        }
    }

    pub(crate) fn post(path: &str, json: &str) -> Self {
        Self::new("POST", path)
            .header("content-type", "application/json")
            .body(json)
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let len = self.body.len();
        self.header("content-length", &len.to_string())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"\r\n", &self.body].concat()
    }

    /// Sends it on a connection of its own, and reads the whole response.
    pub(crate) async fn send(&self, address: &str) -> Answer {
        let mut connection = self.open(address).await;
        soon("a response", connection.answer()).await
    }

    /// Sends it on a connection of its own.
    pub(crate) async fn open(&self, address: &str) -> Connection {
        let mut connection = Connection::open(address).await;
        connection.write(&self.bytes()).await.unwrap();
        connection
    }
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Self {
        let address = address.trim_start_matches("http://");
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn over(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
            is_chunked: false,
            length: None,
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        soon("a line", self.stream.read_line(&mut line))
            .await
            .unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// The head of a response.
    pub(crate) async fn head(&mut self) -> Answer {
        let first = self.line().await;
        let status = first
            .split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("{first:?}"));
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            let value = value.to_owned();
            headers
                .entry(name.to_ascii_lowercase())
                .and_modify(|before: &mut String| *before = format!("{before}, {value}"))
                .or_insert(value);
        }
        self.is_chunked = headers
            .get("transfer-encoding")
            .is_some_and(|how| how == "chunked");
        self.length = headers
            .get("content-length")
            .map(|len| len.parse().unwrap());
        Answer {
            status: status.parse().unwrap(),
            headers,
            body: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// A whole response.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        while let Some(part) = self.part().await {
            if self.is_chunked {
                let chunk = String::from_utf8_lossy(&part);
                answer.chunks.push(chunk.into_owned());
            }
            answer.body.extend(part);
        }
        answer
    }

    /// The next chunk of a body, or all of one that has a length.
    pub(crate) async fn part(&mut self) -> Option<Vec<u8>> {
        if !self.is_chunked {
            let mut body = vec![0; self.length.take()?];
            soon("a body", self.stream.read_exact(&mut body))
                .await
                .unwrap();
            return Some(body);
        }
        let line = self.line().await;
        let len = usize::from_str_radix(&line, 16).ok()?;
        let mut chunk = vec![0; len];
        soon("a chunk", self.stream.read_exact(&mut chunk))
            .await
            .unwrap();
        assert_eq!(self.line().await, "");
        (len > 0).then_some(chunk)
    }

    /// The next event, which is one chunk; comments are left out.
    pub(crate) async fn event(&mut self) -> Option<String> {
        loop {
            let chunk = self.part().await?;
            let text = String::from_utf8(chunk).unwrap();
            let event = text
                .strip_suffix("\n\n")
                .unwrap_or_else(|| panic!("{text:?}"));
            if event != ":" {
                return Some(event.to_owned());
            }
        }
    }

    /// What comes within this time, or until the other end closes.
    pub(crate) async fn rest_of(&mut self, limit: Duration) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(limit, self.stream.read_to_end(&mut rest)).await;
        rest
    }

    /// What comes until the other end closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = soon("the end", self.stream.read_to_end(&mut rest)).await;
        rest
    }
}
