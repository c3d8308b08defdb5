//! The program `jesus-rest`: what its head says is so, and its socket serves what its public gateway does not.

use std::path::Path;

use crate::{
    http_gateway::{Curl, read_events},
    program::Program,
};

/// The commands of its head that begin with `$ curl`, and the line that each prints.
fn examples() -> Vec<(String, String)> {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/jesus-rest/main.rs");
    let main = std::fs::read_to_string(main).expect("its source is there");
    let mut lines = main.lines().filter_map(|line| line.strip_prefix("//! "));
    let mut examples = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix("$ ") {
            let printed = lines.next().expect("what is printed follows");
            examples.push((command.to_owned(), printed.to_owned()));
        }
    }
    examples
}

#[test]
fn clients_of_jesus_get_what_its_head_says() {
    let args = ["--http", "http://127.0.0.1:0"];
    let mut shop = Program::start("shop", env!("CARGO_BIN_EXE_jesus-rest"), &args);
    let line = shop.until("listening on ");
    let url = line.split(' ').nth(2).expect("an address").to_owned();
    let examples = examples();
    assert!(examples.len() >= 5, "{examples:?}");
    for (command, printed) in examples {
        let curl = Curl::of(&command, &url);
        if curl.is_stream {
            read_events(&mut curl.send(), &printed);
        } else {
            assert_eq!(curl.printed(), printed, "{command}");
        }
    }
}

#[cfg(unix)]
#[test]
fn its_socket_has_private_methods() {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
    };

    use crate::program::SOON;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.sock");
    let socket = format!("unix://{}", path.display());
    let args = ["--http", "http://127.0.0.1:0", "--socket", &socket];
    let mut shop = Program::start("shop", env!("CARGO_BIN_EXE_jesus-rest"), &args);
    shop.until("listening on unix://");
    let send = |envelope: &str| {
        let mut stream = UnixStream::connect(&path).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a socket");
        let head = "POST /_httpMessage HTTP/1.1\r\nHost: localhost\r\nConnection: close";
        let len = envelope.len();
        let request = format!("{head}\r\nContent-Length: {len}\r\n\r\n{envelope}");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("a response");
        let (_, body) = response.split_once("\r\n\r\n").expect("a head");
        body.to_owned()
    };
    let restock = r#"{"method": "restock", "data": {"article": 7, "count": 5}}"#;
    assert_eq!(send(restock), r#"{"aknowlegment":1}"#);
    let note = r#"{"method": "note", "data": {"text": "hello"}, "meta": {"userid": "ada"}}"#;
    assert_eq!(send(note), "");
    shop.until(r#"ada tells: "hello""#);
    shop.terminate();
    let ended = shop.ended();
    assert_eq!(ended.code, Some(0), "{:?}", ended.rest);
    assert!(!path.exists());
}
