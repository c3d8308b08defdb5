//! The published clients, played text by text: Python's service and JavaScript's page, with what they do and what they leave out.

use std::collections::HashMap;

use super::{Client, Keys, PUBLIC, TRUSTED, broker, error};

/// What Python's client makes of a text: names in lower case, and neither dots nor line ends looked at.
fn read_by_python(text: &str) -> (String, String, HashMap<String, String>, String) {
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    let first = lines.next().expect("a line");
    let (command, key) = first.split_once(' ').expect("a key");
    let mut headers = HashMap::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').expect("a header");
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let body: Vec<&str> = lines.take_while(|line| *line != ".").collect();
    (command.to_owned(), key.to_owned(), headers, body.join("\n"))
}

/// What it sends: names in lower case, LF, and CR LF around the dot.
fn written_by_python(first: &str, headers: &HashMap<String, String>, body: &str) -> String {
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    format!("{first}\n{lines}\n{body}\r\n.\r\n")
}

/// A service as its `Service` class runs one.
struct PythonService {
    client: Client,
    requires_uid: bool,
}

impl PythonService {
    async fn start(mut client: Client, name: &str, requires_uid: bool) -> Self {
        let nothing = HashMap::new();
        for command in ["EPUB", "EREQ", "SUB"] {
            let first = format!("{command} {name}");
            client.send(written_by_python(&first, &nothing, "")).await;
        }
        assert!(client.rest().await.is_empty());
        Self {
            client,
            requires_uid,
        }
    }

    /// Handles the next text.
    async fn turn(&mut self) {
        let text = self.client.hear().await;
        let (command, key, headers, body) = read_by_python(&text);
        let cid = headers.get("cid").cloned().expect("an id");
        let has_uid = headers.get("uid").is_some_and(|uid| !uid.is_empty());
        let raised = match headers.get("cmd") {
            _ if self.requires_uid && !has_uid => Some("No UID"),
            Some(cmd) if cmd == "echo" => None,
            _ => Some("no handler"),
        };
        if let Some(raised) = raised {
            let error = [("cmd", "error"), ("type", "Exception"), ("msg", raised)];
            let error = error.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let first = format!("PUB MSG:{cid}");
            self.client
                .send(written_by_python(&first, &error.into(), ""))
                .await;
        } else if command == "REQ" {
            // All headers go back.
            let first = format!("RES {key}");
            self.client
                .send(written_by_python(&first, &headers, &body))
                .await;
        }
    }
}

/// What JavaScript's client makes of a text: names as they come.
fn read_by_javascript(text: &str) -> (String, HashMap<String, String>, String) {
    let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("a line").to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = body.strip_suffix("\r\n.\r\n").expect("an end");
    (first, headers.collect(), body.to_owned())
}

#[tokio::test]
async fn the_callback_of_a_request_of_a_page_is_called() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut service = Client::connect(&broker, TRUSTED).await;
    service.send("EREQ Chat\n\n\r\n.\r\n").await;
    assert!(service.rest().await.is_empty());
    let mut page = Client::connect(&broker, PUBLIC).await;
    // Of several headers it sends the last one alone.
    page.send("REQ Chat\r\nReqID: 1f\r\n\r\nhello\r\n.\r\n")
        .await;
    let (_, key, headers, body) = read_by_python(&service.hear().await);
    service
        .send(written_by_python(&format!("RES {key}"), &headers, &body))
        .await;
    let (first, headers, body) = read_by_javascript(&page.hear().await);
    assert_eq!((&*first, &*body), ("RES Chat", "hello"));
    // Its table of callbacks has this very name; and what shows the sender reads this one.
    assert_eq!(headers.get("ReqID").map(String::as_str), Some("1f"));
    assert_eq!(headers.get("Cid"), Some(&service.id));
    broker.stop().await;
}

#[tokio::test]
async fn pythons_req_completes_and_its_services_refuse_whom_nobody_knows() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let client = Client::connect(&broker, TRUSTED).await;
    let mut service = PythonService::start(client, "Echo", true).await;
    let mut asker = Client::connect(&broker, TRUSTED).await;
    let ask = |cmd: &str| {
        let headers = [("rid", "17"), ("cmd", cmd)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        written_by_python("REQ Echo", &headers.into(), "hello")
    };
    asker.send(ask("echo")).await;
    service.turn().await;
    let (command, key, headers, _) = read_by_python(&asker.hear().await);
    assert_eq!(
        (command, key),
        ("PUB".to_owned(), format!("MSG:{}", asker.id))
    );
    assert_eq!(headers["msg"], "No UID");
    // A login, as auth.py does it.
    let mut auth = Client::connect(&broker, TRUSTED).await;
    let user = [("forcid", &*asker.id), ("setuid", "user7")];
    let user = user.map(|(name, value)| (name.to_owned(), value.to_owned()));
    auth.send(written_by_python("INT UID", &user.into(), ""))
        .await;
    assert!(auth.rest().await.is_empty());
    asker.send(ask("echo")).await;
    service.turn().await;
    let (command, key, headers, body) = read_by_python(&asker.hear().await);
    assert_eq!((&*command, &*key, &*body), ("RES", "Echo", "hello"));
    assert_eq!(headers["rid"], "17", "the one that it waits for");
    asker.send(ask("other")).await;
    service.turn().await;
    assert_eq!(read_by_python(&asker.hear().await).2["msg"], "no handler");
    broker.stop().await;
}

#[tokio::test]
async fn a_page_hears_what_a_room_says() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let client = Client::connect(&broker, TRUSTED).await;
    let mut room = PythonService::start(client, "Room", false).await;
    room.client.send("ESUB Room\n\n\r\n.\r\n").await;
    assert!(room.client.rest().await.is_empty());
    let mut pages = Vec::new();
    for _ in 0..2 {
        let mut page = Client::connect(&broker, PUBLIC).await;
        page.send("SUB Room\r\n\r\n\r\n.\r\n").await;
        assert!(page.rest().await.is_empty());
        pages.push(page);
    }
    let said = "PUB Room\r\nRoom: lobby\r\n\r\nhi\r\n.\r\n";
    pages[0].send(said).await;
    let sender = pages[0].id.clone();
    for page in &mut pages {
        let (first, headers, body) = read_by_javascript(&page.hear().await);
        assert_eq!((&*first, &*body), ("PUB Room", "hi"));
        assert_eq!((&headers["Cid"], &*headers["Room"]), (&sender, "lobby"));
    }
    // A message without a command is none for Python's class, which says so to its sender.
    room.turn().await;
    let (first, headers, _) = read_by_javascript(&pages[0].hear().await);
    assert_eq!(first, format!("PUB MSG:{sender}"));
    assert_eq!(headers["Cmd"], "error");
    pages[1].send("PUB Other\r\n\r\nhi\r\n.\r\n").await;
    assert_eq!(pages[1].hear().await, error("Not trusted PUB Other"));
    broker.stop().await;
}
