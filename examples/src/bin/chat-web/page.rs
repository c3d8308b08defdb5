//! Two files over HTTP, by hand: a real site has a web server for that.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("chat.js");

/// How many requests are answered at once; others wait.
const MAX_REQUESTS: usize = 64;

/// How long a request and its answer may take, and how long its head may be.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEAD_LEN: usize = 8 * 1024;

/// The page, and where its script connects to.
#[derive(Debug)]
pub(crate) struct Page {
    html: String,
    /// The page shows nothing, and connects to nothing, but what is named here.
    policy: String,
}

impl Page {
    pub(crate) fn new(url: &str) -> Self {
        // A URL has no character that means anything in HTML, except `&`, which its address has not.
        let html = PAGE.replace("{url}", url);
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src {url}"
        );
        Self { html, policy }
    }

    /// Answers requests.
    pub(crate) async fn serve(self, listener: TcpListener) -> Infallible {
        let page = Arc::new(self);
        let permits = Arc::new(Semaphore::new(MAX_REQUESTS));
        let mut requests = JoinSet::new();
        loop {
            while requests.try_join_next().is_some() {}
            let permit = Arc::clone(&permits).acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                // No file descriptor is free, say.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let page = Arc::clone(&page);
            requests.spawn(async move {
                // Whoever is too slow gets no page.
                let _ = timeout(TIMEOUT, page.answer(stream)).await;
                drop(permit);
            });
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            if head.len() > MAX_HEAD_LEN || stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head);
        let mut words = head.split(' ');
        let path = match (words.next(), words.next()) {
            (Some("GET"), Some(target)) => target.split('?').next().unwrap_or_default(),
            _ => "",
        };
        let (status, content_type, body) = match path {
            "/" => ("200 OK", "text/html", &*self.html),
            "/chat.js" => ("200 OK", "text/javascript", SCRIPT),
            _ => ("404 Not Found", "text/plain", "nothing is here\n"),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}; charset=utf-8\r\nContent-Length: {}\r\n\
             Content-Security-Policy: {}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\
             Connection: close\r\n\r\n{body}",
            body.len(),
            self.policy
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }
}
