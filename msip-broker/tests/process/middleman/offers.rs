//! What the listener offers, so that nobody who ran the reference loses anything: a test for each of its points.

use std::collections::{HashMap, HashSet};

use futures_util::SinkExt as _;
use msip_runtime::auth::ApiKey;
use msip_tests::soon;
use rustix::process::Signal;
use tokio_tungstenite::tungstenite::Message;

use super::{Client, Keys, PUBLIC, TRUSTED, address, broker, error, header, open, parts};
use crate::process::{Broker, get};

#[tokio::test]
async fn two_listeners_take_exact_keys_at_any_path_and_say_why_they_refuse() {
    let keys = Keys::new();
    let origin = keys.url("&origin=https://a.example");
    let inner = format!(
        "mm://127.0.0.1:0?trusted_key={}",
        keys.path("trusted").display()
    );
    let mut broker = Broker::start(&["--listen", &origin, "--listen", &inner], 2).await;
    assert!(
        broker.urls[0].starts_with("mm://127.0.0.1:"),
        "{:?}",
        broker.urls
    );
    let mut ids = HashSet::new();
    for path in ["/", "/any/path?and=query"] {
        for key in [TRUSTED, PUBLIC] {
            let mut client = Client {
                socket: open(&broker.urls[0], path, None)
                    .await
                    .expect("a WebSocket"),
                id: String::new(),
                is_trusted: false,
            };
            client.send(key).await;
            assert_eq!(client.hear().await, "MM OK");
            let id = client.hear().await;
            let is_digit = |c: char| c.is_ascii_digit() || ('a'..='v').contains(&c);
            assert!(id.len() == 20 && id.chars().all(is_digit), "{id}");
            ids.insert(id);
        }
    }
    assert_eq!(ids.len(), 4);
    // The inner one knows services alone.
    for (at, key) in [
        (0, "xyzzy\n"),
        (0, " plugh"),
        (0, "PLUGH"),
        (0, "jabberwocky"),
        (0, ""),
        (1, PUBLIC),
    ] {
        let socket = open(&broker.urls[at], "/", None)
            .await
            .expect("a WebSocket");
        let mut client = Client {
            socket,
            id: String::new(),
            is_trusted: false,
        };
        client.send(key).await;
        assert_eq!(
            client.closed().await,
            (1008, "wrong key".to_owned()),
            "{key:?}"
        );
    }
    let mut binary = open(&broker.urls[0], "/", None).await.expect("a WebSocket");
    let sent = binary.send(Message::binary(&b"xyzzy"[..])).await;
    sent.expect("is sent");
    let mut binary = Client {
        socket: binary,
        id: String::new(),
        is_trusted: false,
    };
    assert_eq!(binary.closed().await.0, 1003);
    let listed = open(&broker.urls[0], "/", Some("https://a.example")).await;
    listed.expect("is listed");
    let other = open(&broker.urls[0], "/", Some("https://b.example")).await;
    let told = other.expect_err("is not listed");
    assert!(told.contains("403"), "{told}");
    let plain = get(address(&broker.urls[0]), "/debug/metrics").await;
    assert_eq!(plain.expect("an answer").0, 400);
    broker.logged("wrong key").await;
    let log = broker.stop().await;
    for secret in [TRUSTED, PUBLIC, "jabberwocky"] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// Not cut off: told, within what is left of the time that it has.
#[tokio::test]
async fn a_client_that_gives_no_key_is_told_so_however_short_its_time_is() {
    let keys = Keys::new();
    let broker = broker(&keys, "&handshake_timeout=1s", &[]).await;
    let told = async {
        loop {
            // On a busy machine its time may be over before the request is answered, or before it can be told: then once more.
            let Ok(socket) = open(&broker.urls[0], "/", None).await else {
                continue;
            };
            let mut silent = Client {
                socket,
                id: String::new(),
                is_trusted: false,
            };
            if let Err(Some(close)) = silent.next().await {
                break (close.code.into(), close.reason.to_string());
            }
        }
    };
    let expected = (1008, "no key came in time".to_owned());
    assert_eq!(soon("it is told", told).await, expected);
    broker.stop().await;
}

#[tokio::test]
async fn all_commands_are_there_and_uns_ends_what_sub_began() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut service = Client::connect(&broker, TRUSTED).await;
    let mut client = Client::connect(&broker, PUBLIC).await;
    service.send("ESUB news\r\n\r\n.\r\n").await;
    service.send("EPUB news\n\n.\n").await;
    service.send("EREQ news\n\n.\n").await;
    assert!(service.rest().await.is_empty());
    client.send("SUB news\r\n\r\n\r\n.\r\n").await;
    client.send("PUB news\n\none\n.\n").await;
    assert_eq!(parts(&client.hear().await).2, "one");
    client.send("UNS news\n\n.\n").await;
    client.send("PUB news\n\ntwo\n.\n").await;
    client.send("REQ news\n\nthree\n.\n").await;
    let asked = service.hear().await;
    assert_eq!(parts(&asked).0, "REQ news");
    let rid = header(&asked, "Rid").expect("a number");
    service
        .send(format!("RES news\nrid:{rid}\n\nfour\n.\n"))
        .await;
    assert_eq!(parts(&client.hear().await).2, "four");
    service
        .send(format!("INT UID\nforcid:{}\nsetuid:u\n\n.\n", client.id))
        .await;
    assert!(service.rest().await.is_empty());
    assert!(client.rest().await.is_empty(), "it hears news no longer");
    broker.stop().await;
}

#[tokio::test]
async fn a_body_is_the_same_after_any_number_of_hops() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut one = Client::connect(&broker, TRUSTED).await;
    one.send("SUB a\n\n.\n").await;
    let body = ".x\r\n..\n...\r\n\r\n  two \n";
    let mut text = format!("PUB a\r\n\r\n{body}\r\n.\r\n");
    for _ in 0..3 {
        one.send(text).await;
        text = one.hear().await;
        assert_eq!(parts(&text).2, body);
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_requester_gets_its_own_numbers_back() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut service = Client::connect(&broker, TRUSTED).await;
    service.send("EREQ Chat\n\n.\n").await;
    assert!(service.rest().await.is_empty());
    let mut client = Client::connect(&broker, PUBLIC).await;
    // As JavaScript's client asks, and Python's; and one whose service sends nothing back.
    let cases: [(&str, &[(&str, &str)]); 4] = [
        ("ReqID: 1f", &[("Reqid", "1f"), ("ReqID", "1f")]),
        (
            "rid:4711\nreqid:2",
            &[("Rid", "4711"), ("Reqid", "2"), ("reqid", "2")],
        ),
        ("Reqid: 3", &[("Reqid", "3")]),
        ("foo: bar", &[]),
    ];
    for (asked, expected) in cases {
        for echoes in [true, false] {
            client
                .send(format!("REQ Chat\n{asked}\n\nhello\n.\n"))
                .await;
            let heard = service.hear().await;
            let (_, headers, _) = parts(&heard);
            let rids: Vec<_> = headers.iter().filter(|(name, _)| *name == "Rid").collect();
            assert_eq!(rids.len(), 1, "{heard}");
            assert_ne!(rids[0].1, "4711", "the number is the broker's");
            let all = headers.iter().filter(|(name, _)| echoes || *name == "Rid");
            let back: String = all
                .map(|(name, value)| format!("{name}:{value}\n"))
                .collect();
            service.send(format!("RES Chat\n{back}\nOK\n.\n")).await;
            let answer = client.hear().await;
            let own = ["rid", "reqid"];
            let got = parts(&answer).1.into_iter();
            let got = got.filter(|(name, _)| own.contains(&&*name.to_lowercase()));
            assert_eq!(got.collect::<Vec<_>>(), expected, "{asked} {echoes}");
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn requests_are_balanced_over_services_that_wait_and_end_at_once_without_one() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut client = Client::connect(&broker, TRUSTED).await;
    let mut services = Vec::new();
    for _ in 0..3 {
        let mut service = Client::connect(&broker, TRUSTED).await;
        // Said twice it is no more than once.
        for _ in 0..=services.len() {
            service.send("EREQ Sum\n\n.\n").await;
        }
        assert!(service.rest().await.is_empty());
        services.push(service);
    }
    for _ in 0..30 {
        client.send("REQ Sum\n\nx\n.\n").await;
    }
    assert!(client.rest().await.is_empty());
    let mut rids = Vec::new();
    for service in &mut services {
        let asked = service.rest().await;
        assert_eq!(asked.len(), 10, "each has its share");
        let of = |text: &String| header(text, "Rid").expect("a number").to_owned();
        rids.push(asked.iter().map(of).collect::<Vec<_>>());
    }
    // Nobody answers what another one holds, nor twice.
    let foreign = format!("RES Sum\nrid:{}\n\nstolen\n.\n", rids[0][0]);
    services[1].send(&foreign).await;
    let nobody = error("No client for request ID  RES Sum");
    assert_eq!(services[1].hear().await, nobody);
    services[0].send(foreign.replace("stolen", "own")).await;
    services[0].send(&foreign).await;
    assert_eq!(services[0].hear().await, nobody);
    assert_eq!(parts(&client.hear().await).2, "own");
    // The others of a service that dies are told so, and the next ones go to who is left.
    let mut gone = services.remove(0);
    gone.socket.close(None).await.expect("closes");
    for _ in 0..9 {
        assert_eq!(client.hear().await, error("No responder for REQ Sum"));
    }
    client.send("REQ Sum\n\nx\n.\n").await;
    assert!(client.rest().await.is_empty());
    drop(services);
    let mut lost = 0;
    while lost < 21 {
        assert_eq!(client.hear().await, error("No responder for REQ Sum"));
        lost += 1;
    }
    client.send("REQ Sum\n\nx\n.\n").await;
    assert_eq!(client.hear().await, error("No responder for REQ Sum"));
    broker.stop().await;
}

#[tokio::test]
async fn rights_are_apart_enforced_and_withdrawn_with_their_service() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let commands = ["PUB", "SUB", "REQ"];
    let refused = |command: &str, key: &str| match command {
        "SUB" => error(&format!("Not trusted: SUB {key}")),
        _ => error(&format!("Not trusted {command} {key}")),
    };
    let mut watcher = Client::connect(&broker, TRUSTED).await;
    for enabled in commands {
        let key = format!("of {enabled}");
        watcher.send(format!("SUB {key}\n\n.\n")).await;
        assert!(watcher.rest().await.is_empty());
        let mut service = Client::connect(&broker, TRUSTED).await;
        service.send(format!("E{enabled} {key}\n\n.\n")).await;
        assert!(service.rest().await.is_empty());
        let mut client = Client::connect(&broker, PUBLIC).await;
        for command in commands {
            client.send(format!("{command} {key}\n\nx\n.\n")).await;
            if command == enabled {
                assert!(client.rest().await.is_empty(), "{command} of {key}");
            } else {
                assert_eq!(client.hear().await, refused(command, &key));
            }
        }
        // What was refused was not done.
        let heard = watcher.rest().await;
        assert_eq!(heard.len(), usize::from(enabled == "PUB"), "{heard:?}");
        let asked = service.rest().await;
        assert_eq!(asked.len(), usize::from(enabled == "REQ"), "{asked:?}");
        service.socket.close(None).await.expect("closes");
        // The rights go with it: what was held by them ends.
        match enabled {
            "SUB" => assert_eq!(client.hear().await, refused("SUB", &key)),
            "REQ" => {
                let told = error(&format!("No responder for REQ {key}"));
                assert_eq!(client.hear().await, told);
            }
            _ => {}
        }
        loop {
            client.send(format!("{enabled} {key}\n\nx\n.\n")).await;
            match client.rest().await.as_slice() {
                [told] if *told == refused(enabled, &key) => break,
                // The broker has not seen the end of the service yet.
                [] => {}
                // Nor the end of the service that it was given to.
                [told] if told.contains("No responder") => {}
                other => panic!("{other:?}"),
            }
        }
        watcher.rest().await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn messages_to_one_client_are_written_by_services_and_read_by_nobody_else() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut service = Client::connect(&broker, TRUSTED).await;
    let mut owner = Client::connect(&broker, PUBLIC).await;
    let mut other = Client::connect(&broker, PUBLIC).await;
    let key = format!("MSG:{}", owner.id);
    other.send(format!("SUB {key}\n\n.\n")).await;
    assert_eq!(
        other.hear().await,
        error(&format!("Not trusted: SUB {key}"))
    );
    other.send(format!("PUB {key}\n\nspoofed\n.\n")).await;
    assert_eq!(other.hear().await, error(&format!("Not trusted PUB {key}")));
    // Nor may a service listen to them, or open them to others.
    let mut spy = Client::connect(&broker, TRUSTED).await;
    spy.send(format!("SUB {key}\n\n.\n")).await;
    assert_eq!(spy.hear().await, error(&format!("Not trusted: SUB {key}")));
    for command in ["EPUB", "ESUB", "EREQ"] {
        spy.send(format!("{command} {key}\n\n.\n")).await;
        assert_eq!(
            spy.hear().await,
            error(&format!("Not trusted {command} {key}"))
        );
    }
    service.send(format!("PUB {key}\n\nfor you\n.\n")).await;
    let heard = owner.hear().await;
    assert_eq!(
        (parts(&heard).0, parts(&heard).2),
        (&*format!("PUB {key}"), "for you")
    );
    assert!(owner.rest().await.is_empty(), "once, and nothing spoofed");
    assert!(other.rest().await.is_empty() && spy.rest().await.is_empty());
    broker.stop().await;
}

#[tokio::test]
async fn a_login_service_says_who_a_client_is_on_every_message() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut auth = Client::connect(&broker, TRUSTED).await;
    for command in ["EREQ Auth", "EPUB Room", "ESUB Room", "SUB Room"] {
        auth.send(format!("{command}\n\n\n.\n")).await;
    }
    assert!(auth.rest().await.is_empty());
    let mut client = Client::connect(&broker, PUBLIC).await;
    client.send("PUB Room\nuid: forged\n\nbefore\n.\n").await;
    assert_eq!(header(&auth.hear().await, "Uid"), Some(""));
    client
        .send("REQ Auth\ncmd: login\n\nuser7 secret\n.\n")
        .await;
    let asked = auth.hear().await;
    assert_eq!(header(&asked, "Uid"), Some(""));
    let (cid, rid) = (
        header(&asked, "Cid").unwrap(),
        header(&asked, "Rid").unwrap(),
    );
    // As auth.py does; and with a typo, which does no harm.
    auth.send(format!("INT UID\nforcid:{cid}x\nsetuid:user8\n\n.\n"))
        .await;
    auth.send(format!("INT UID\nforcid:{cid}\nsetuid:user7\n\n.\n"))
        .await;
    auth.send(format!("RES Auth\nrid:{rid}\n\nwelcome\n.\n"))
        .await;
    assert_eq!(parts(&client.hear().await).2, "welcome");
    for text in [
        "PUB Room\nUID: other\n\nafter\n.\n",
        "REQ Auth\n\nagain\n.\n",
    ] {
        client.send(text).await;
        assert_eq!(header(&auth.hear().await, "Uid"), Some("user7"));
    }
    broker.stop().await;
}

#[tokio::test]
async fn messages_of_a_publisher_stay_in_order_and_metrics_show_no_secret() {
    let keys = Keys::new();
    let mut broker = broker(&keys, "", &["--admin", "127.0.0.1:0"]).await;
    let admin = broker.line().await.replace("admin on http://", "");
    let mut subscriber = Client::connect(&broker, TRUSTED).await;
    subscriber.send("SUB count\n\n.\n").await;
    assert!(subscriber.rest().await.is_empty());
    let mut publishers = Vec::new();
    for _ in 0..3 {
        publishers.push(Client::connect(&broker, TRUSTED).await);
    }
    for number in 0..200 {
        for publisher in &mut publishers {
            publisher.send(format!("PUB count\n\n{number}\n.\n")).await;
        }
    }
    let mut next: HashMap<String, u32> = HashMap::new();
    for _ in 0..600 {
        let heard = subscriber.hear().await;
        let cid = header(&heard, "Cid").expect("an id").to_owned();
        let expected = next.entry(cid).or_default();
        assert_eq!(parts(&heard).2, expected.to_string());
        *expected += 1;
    }
    assert_eq!(next.len(), 3);
    let (status, metrics) = soon("metrics", get(&admin, "/metrics"))
        .await
        .expect("an answer");
    assert_eq!(status, 200);
    let counted = "msip_broker_connections{dialect=\"middleman\"} 4";
    assert!(metrics.contains(counted), "{metrics}");
    let (_, connections) = get(&admin, "/connections").await.expect("an answer");
    let listed = "\"dialect\":\"middleman\",\"principal\":\"middleman-trusted\"";
    assert!(connections.contains(listed), "{connections}");
    for secret in [TRUSTED, PUBLIC] {
        assert!(!metrics.contains(secret) && !connections.contains(secret));
    }
    broker.stop().await;
}

#[tokio::test]
async fn keys_are_those_of_the_broker_too_and_are_read_again() {
    let keys = Keys::new();
    let [service, client] = [(); 2].map(|()| ApiKey::generate().expect("random numbers"));
    let entries = [
        service
            .entry("chat")
            .of_service()
            .with_role("service")
            .to_string(),
        client.entry("ada").to_string(),
    ];
    let write = |name: &str, text: &str| {
        let path = keys.path(name);
        std::fs::write(&path, text).expect("is written");
        path.display().to_string()
    };
    let file = write("keys", &format!("{}\n", entries.join("\n")));
    let config = format!(
        "[keys]\nfile = {file:?}\n\n[principals.chat]\nserve = [\"Chat\"]\nsubscribe = [\"Chat\"]\n\n\
         [[listener]]\nurl = \"mm://127.0.0.1:0\"\n\n\
         [[listener]]\nurl = \"mm://127.0.0.1:0\"\ntrusted_key = \"trusted\"\npublic_key = {:?}\n",
        keys.path("public").display(),
    );
    // A path in a table is of the file's folder.
    let config = write("broker.toml", &config);
    let mut broker = Broker::start(&["--config", &config], 2).await;
    let mut chat = Client::at(&broker.urls[0], service.as_str()).await;
    let mut ada = Client::at(&broker.urls[0], client.as_str()).await;
    chat.send("EPUB Chat\n\n.\n").await;
    chat.send("SUB Chat\n\n.\n").await;
    chat.send("EPUB Other\n\n.\n").await;
    assert_eq!(chat.hear().await, error("Not trusted EPUB Other"));
    ada.send("PUB Chat\n\nhello\n.\n").await;
    assert_eq!(parts(&chat.hear().await).2, "hello");
    ada.send("EPUB Chat\n\n.\n").await;
    assert_eq!(ada.hear().await, error("Not trusted EPUB Chat"));

    let mut before = Client::at(&broker.urls[1], TRUSTED).await;
    let during = open(&broker.urls[1], "/", None).await.expect("a WebSocket");
    write("trusted", "another\n");
    write("keys", &format!("{}\n", entries[0]));
    broker.signal(Signal::HUP);
    broker.logged("reloaded: keys").await;
    Client::at(&broker.urls[1], "another").await;
    let after = open(&broker.urls[1], "/", None).await.expect("a WebSocket");
    for socket in [during, after] {
        let mut old = Client {
            socket,
            id: String::new(),
            is_trusted: false,
        };
        old.send(TRUSTED).await;
        assert_eq!(old.closed().await.0, 1008);
    }
    assert!(before.rest().await.is_empty(), "who is connected stays");
    let why = "the principal has lost its rights".to_owned();
    assert_eq!(ada.closed().await, (1008, why), "her key is gone");
    chat.send("EPUB Other\n\n.\n").await;
    assert_eq!(chat.hear().await, error("Not trusted EPUB Other"));
    broker.stop().await;
}
