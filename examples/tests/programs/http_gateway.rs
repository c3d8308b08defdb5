//! The program `http-gateway`, to which everything is said that docs/http.md says, in its order.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use crate::program::{Program, SOON};

/// Where docs/http.md says that the gateway listens.
const DOCUMENTED: &str = "http://127.0.0.1:8080";

/// A command of the page, and what it prints.
struct Example {
    command: String,
    printed: String,
}

/// What curl is told.
#[derive(Default)]
pub(crate) struct Curl {
    headers: Vec<String>,
    data: Option<String>,
    url: String,
    shows_status: bool,
    pub(crate) is_stream: bool,
}

/// Every command of the page that begins with `curl`, with the block that follows it.
fn examples() -> Vec<Example> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let blocks: Vec<&str> = page.split("```").collect();
    let mut examples = Vec::new();
    for (index, block) in blocks.iter().enumerate().skip(1).step_by(2) {
        let Some(command) = block.strip_prefix("sh\n") else {
            continue;
        };
        let printed = blocks.get(index + 2).and_then(|next| next.split_once('\n'));
        let (_, printed) = printed.expect("a block with what is printed follows");
        examples.push(Example {
            command: command.trim().to_owned(),
            printed: printed.trim_end().to_owned(),
        });
    }
    examples
}

/// The words of a command: quoted by `'`, or divided by blanks.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in command.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().expect("there is one").push(c),
        }
    }
    assert!(!is_quoted, "{command}");
    words.retain(|word| !word.is_empty());
    words
}

impl Curl {
    pub(crate) fn of(command: &str, gateway: &str) -> Self {
        let mut curl = Self::default();
        let words = words(command);
        let mut words = words.iter().map(String::as_str);
        assert_eq!(words.next(), Some("curl"), "{command}");
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("a value follows").to_owned();
            match word {
                "-H" => curl.headers.push(value()),
                "-d" => curl.data = Some(value()),
                "-w" => {
                    assert_eq!(value(), "%{http_code}");
                    curl.shows_status = true;
                }
                "-N" => curl.is_stream = true,
                url => {
                    let path = url.strip_prefix(DOCUMENTED).expect("a URL of the gateway");
                    curl.url = format!("{gateway}{path}");
                }
            }
        }
        curl
    }

    /// Sends the request.
    pub(crate) fn send(&self) -> BufReader<TcpStream> {
        let place = self.url.strip_prefix("http://").expect("a URL");
        let (host, path) = place.split_at(place.find('/').expect("a path"));
        let mut stream = TcpStream::connect(host).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a socket");
        let method = if self.data.is_some() { "POST" } else { "GET" };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for header in &self.headers {
            head += &format!("{header}\r\n");
        }
        let is_told = |header: &String| header.to_ascii_lowercase().starts_with("content-type");
        if self.data.is_some() && !self.headers.iter().any(is_told) {
            head += "Content-Type: application/x-www-form-urlencoded\r\n";
        }
        let body = self.data.as_deref().unwrap_or_default();
        let close = if self.is_stream {
            ""
        } else {
            "Connection: close\r\n"
        };
        head += &format!("Content-Length: {}\r\n{close}\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).expect("it reads");
        BufReader::new(stream)
    }

    /// What curl would print of a response that ends.
    pub(crate) fn printed(&self) -> String {
        let mut response = String::new();
        self.send()
            .read_to_string(&mut response)
            .expect("a response");
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status");
        match self.shows_status {
            true => format!("{body}{status}"),
            false => body.to_owned(),
        }
    }
}

/// The lines of an event stream, without ids, comments and chunk sizes, until all of this was there.
pub(crate) fn read_events(stream: &mut BufReader<TcpStream>, expected: &str) {
    let mut missing = expected.lines();
    let mut next = missing.next();
    while let Some(wanted) = next {
        let mut line = String::new();
        let read = stream.read_line(&mut line).expect("a line");
        assert!(read > 0, "the stream ended before {wanted}");
        if line.trim_end() == wanted {
            next = missing.next();
        }
    }
}

#[test]
fn what_the_page_says_is_so() {
    let args = [
        "--http",
        "http://127.0.0.1:0",
        "--listen",
        "tcp://127.0.0.1:0",
    ];
    let mut program = Program::start("gateway", env!("CARGO_BIN_EXE_http-gateway"), &args);
    let chat = program.until("chat at ");
    let line = program.until("listening on ");
    let gateway = line.split(' ').nth(2).expect("an address").to_owned();
    let mut seen = 0;
    for example in examples() {
        let curl = Curl::of(&example.command, &gateway);
        if curl.is_stream {
            let mut stream = curl.send();
            // Somebody with a chat client comes in once the stream is there.
            read_events(&mut stream, "content-type: text/event-stream");
            let url = chat.rsplit(' ').next().expect("an address");
            let args = ["--name", "bob", "--url", url];
            let client = Program::start("bob", env!("CARGO_BIN_EXE_chat-client"), &args);
            read_events(&mut stream, &example.printed);
            client.kill();
        } else {
            assert_eq!(curl.printed(), example.printed, "{}", example.command);
        }
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
    #[cfg(unix)]
    {
        program.terminate();
        let ended = program.ended();
        assert_eq!(ended.code, Some(0), "{:?}", ended.rest);
    }
}
