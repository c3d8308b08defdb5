//! Clients of MiddleMan: its published ones, played text by text, and those that mean no good.

mod attacks;
mod bridge;
mod offers;
mod published;
mod texts;
#[cfg(feature = "tls")]
mod tls;

use std::path::PathBuf;

use futures_util::{SinkExt as _, StreamExt as _};
use msip_runtime::transport::{self, Stream};
use msip_tests::soon;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

use crate::process::Broker;

/// The keys of the reference.
const TRUSTED: &str = "xyzzy";
const PUBLIC: &str = "plugh";

/// Files with the keys.
struct Keys(tempfile::TempDir);

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("trusted"), TRUSTED).expect("is written");
        std::fs::write(folder.path().join("public"), format!("{PUBLIC}\n")).expect("is written");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The URL of a listener that takes both, with these settings besides.
    fn url(&self, settings: &str) -> String {
        self.url_of("mm", settings)
    }

    /// The same of another transport.
    fn url_of(&self, scheme: &str, settings: &str) -> String {
        let (trusted, public) = (self.path("trusted"), self.path("public"));
        format!(
            "{scheme}://127.0.0.1:0?trusted_key={}&public_key={}{settings}",
            trusted.display(),
            public.display()
        )
    }
}

/// A broker that listens for clients of MiddleMan, and then for those of MSIP.
async fn broker(keys: &Keys, settings: &str, arguments: &[&str]) -> Broker {
    let url = keys.url(settings);
    let all = ["--listen", &url, "--listen", "tcp://127.0.0.1:0"];
    let all: Vec<&str> = all.into_iter().chain(arguments.iter().copied()).collect();
    Broker::start(&all, 2).await
}

/// Where it listens for clients of MiddleMan.
fn address(url: &str) -> &str {
    let (_, address) = url.split_once("://").expect("a URL");
    let (address, _) = address.split_once('?').unwrap_or((address, ""));
    address.trim_end_matches('/')
}

type Socket = WebSocketStream<Stream>;

/// A WebSocket whose client has not said anything. Over TLS the URL says whom it trusts.
async fn open(url: &str, path: &str, origin: Option<&str>) -> Result<Socket, String> {
    let below = match url.strip_prefix("mm+tls://") {
        Some(rest) => format!("tls://{rest}"),
        None => format!("tcp://{}", address(url)),
    };
    let below = below.parse().expect("a URL");
    let connected = soon("a connection", transport::connect(&below)).await;
    let stream = connected.expect("connects").stream;
    let request = format!("ws://{}{path}", address(url));
    let mut request = request.into_client_request().expect("a request");
    if let Some(origin) = origin {
        let origin = origin.parse().expect("a value");
        request.headers_mut().insert("Origin", origin);
    }
    match soon("an answer", client_async(request, stream)).await {
        Ok((socket, _)) => Ok(socket),
        Err(error) => Err(error.to_string()),
    }
}

/// A client.
struct Client {
    socket: Socket,
    id: String,
    is_trusted: bool,
}

impl Client {
    async fn connect(broker: &Broker, key: &str) -> Self {
        Self::at(&broker.urls[0], key).await
    }

    async fn at(url: &str, key: &str) -> Self {
        let socket = open(url, "/", None).await.expect("a WebSocket");
        let client = Self::greet(socket, key).await;
        client.expect("it is greeted")
    }

    /// Where there is so little time for it that it may be over, on a busy machine: as often as it takes.
    async fn connect_in_time(broker: &Broker, key: &str) -> Self {
        let connecting = async {
            loop {
                if let Ok(socket) = open(&broker.urls[0], "/", None).await
                    && let Some(client) = Self::greet(socket, key).await
                {
                    break client;
                }
            }
        };
        soon("a client", connecting).await
    }

    /// A client with this key, unless the connection ends before it is greeted.
    async fn greet(socket: Socket, key: &str) -> Option<Self> {
        let mut client = Self {
            socket,
            id: String::new(),
            is_trusted: key == TRUSTED,
        };
        let sent = client.socket.send(Message::text(key));
        soon("is taken", sent).await.ok()?;
        assert_eq!(client.next().await.ok()?, "MM OK");
        client.id = client.next().await.ok()?;
        Some(client)
    }

    async fn send(&mut self, text: impl Into<String>) {
        let sent = self.socket.send(Message::text(text.into()));
        soon("is taken", sent).await.expect("is sent");
    }

    /// The next text.
    async fn hear(&mut self) -> String {
        match self.next().await {
            Ok(text) => text,
            Err(close) => panic!("closed: {close:?}"),
        }
    }

    /// The next text, or the end.
    async fn next(&mut self) -> Result<String, Option<CloseFrame>> {
        loop {
            match soon("a text", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(close))) => return Err(close),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// How the connection was closed: the code and the reason.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(Some(close)) => return (close.code.into(), close.reason.to_string()),
                Err(None) => panic!("it was not closed, but cut"),
            }
        }
    }

    /// What it hears until the broker has done everything that it has asked for.
    async fn rest(&mut self) -> Vec<String> {
        let (fence, last) = match self.is_trusted {
            true => (
                format!("PUB MSG:{}\n\nfence\n.\n", self.id),
                format!("PUB MSG:{}\r\n", self.id),
            ),
            false => (
                "EPUB fence\n\n.\n".to_owned(),
                "PUB ERROR\r\n\r\nNot trusted EPUB fence\r\n".to_owned(),
            ),
        };
        self.send(fence).await;
        let mut rest = Vec::new();
        loop {
            let text = self.hear().await;
            let is_fence = text.starts_with(&last) && (!self.is_trusted || text.contains("fence"));
            if is_fence {
                return rest;
            }
            rest.push(text);
        }
    }
}

/// A text taken apart: the first line, the headers in their order, and the body.
fn parts(text: &str) -> (&str, Vec<(&str, &str)>, &str) {
    let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("a line");
    let headers = lines.map(|line| line.split_once(": ").expect("a header"));
    let body = body.strip_suffix("\r\n.\r\n").expect("an end");
    (first, headers.collect(), body)
}

/// The value of a header.
fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, headers, _) = parts(text);
    let found = headers.into_iter().find(|(other, _)| *other == name);
    found.map(|(_, value)| value)
}

/// What a client is told that has asked for something which is not done.
fn error(what: &str) -> String {
    format!("PUB ERROR\r\n\r\n{what}\r\n.\r\n")
}
