//! Handshakes that go wrong: played by raw clients against a live server, and by raw servers against a live client.

use std::{collections::BTreeMap, time::Duration};

use msip_runtime::{
    Client, ConnectError, Protocol as _, Server,
    transport::{Listener, ServiceUrl},
    wire::{Flags, FrameType, Header, Hello, MsgId, RawKind, Side, Welcome},
};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer, advance, advance_until, at, connected,
    lab::{ClientToServer, EchoReq, Lab, NoteInd, SendClientToServer as _, ServerToClient},
    next,
    raw::{self, HELLO_ID, Playing, RawPeer},
    soon, start,
};
use tokio::sync::mpsc;

/// What a raw client sends first.
struct FirstWords {
    name: String,
    bytes: Vec<u8>,
    /// What comes back before the end, of a line that ends in `…` its beginning; `None` where the client is served.
    answers: Option<Vec<String>>,
}

fn refused(name: impl Into<String>, bytes: Vec<u8>, id: MsgId, text: &str) -> FirstWords {
    FirstWords {
        name: name.into(),
        bytes,
        answers: Some(vec![format!("ERROR {id}: {text}")]),
    }
}

fn served(name: &str, bytes: Vec<u8>) -> FirstWords {
    FirstWords {
        name: name.to_owned(),
        bytes,
        answers: None,
    }
}

fn echo(text: &str) -> ClientToServer {
    ClientToServer::EchoReq(EchoReq {
        text: text.into(),
        ..EchoReq::default()
    })
}

/// What is no HELLO, or not yet.
fn no_hellos() -> Vec<FirstWords> {
    let hello = raw::hello_frame(&raw::hello());
    let id = MsgId::exchange(Side::Connecting, 5);
    let unreadable = |name: &str, at: usize, byte: u8, text: &str| {
        let mut bytes = hello.clone();
        bytes[at] = byte;
        refused(
            name,
            bytes,
            MsgId::CONNECTION,
            &format!("INVALID_ARGUMENT: {text}"),
        )
    };
    let mut cases = vec![
        refused(
            "an HTTP request",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            MsgId::CONNECTION,
            "INVALID_ARGUMENT: bad magic 47455420 (GET ): frames begin with 4d534950 (MSIP); a WebSocket needs a listener at ws://",
        ),
        refused(
            "an HTTP request of which a part has come",
            b"GET /".to_vec(),
            MsgId::CONNECTION,
            "INVALID_ARGUMENT: bad magic 47455420 (GET ): frames begin with 4d534950 (MSIP); a WebSocket needs a listener at ws://",
        ),
        refused(
            "one byte that begins no header",
            b"\n".to_vec(),
            MsgId::CONNECTION,
            "INVALID_ARGUMENT: bad magic 0a (\\n): frames begin with 4d534950 (MSIP)",
        ),
        refused(
            "a TLS hello",
            [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[9; 506]].concat(),
            MsgId::CONNECTION,
            "INVALID_ARGUMENT: TLS, where MSIP is spoken without it",
        ),
        unreadable(
            "version 2",
            4,
            2,
            "unsupported version 2: version 1 is understood",
        ),
        unreadable(
            "flag bit 7",
            5,
            0x80,
            "unknown flags 0x80: 0x7f are understood",
        ),
        unreadable(
            "an unknown frame type",
            7,
            77,
            "unknown frame_type 77: 1 (HELLO) to 12 (CANCEL) are understood",
        ),
        refused(
            "4 GiB before HELLO",
            raw::announced(FrameType::Publish, id, u32::MAX),
            id,
            "RESOURCE_EXHAUSTED: PUBLISH announces a payload of 4294967295 bytes: 16384 are allowed",
        ),
        refused(
            "a HELLO of 10 MiB",
            raw::announced(FrameType::Hello, id, 10 << 20),
            id,
            "RESOURCE_EXHAUSTED: HELLO announces a payload of 10485760 bytes: 16384 are allowed",
        ),
        refused(
            "a HELLO one byte over 16 KiB",
            raw::announced(FrameType::Hello, id, 16 * 1024 + 1),
            id,
            "RESOURCE_EXHAUSTED: HELLO announces a payload of 16385 bytes: 16384 are allowed",
        ),
        refused(
            "a call right behind HELLO",
            [
                hello.clone(),
                raw::message(Side::Connecting, Flags::ACK_REQUIRED, id, &echo("early")),
            ]
            .concat(),
            id,
            "FAILED_PRECONDITION: PUBLISH before its HELLO was answered",
        ),
        refused(
            "two HELLOs at once",
            hello.repeat(2),
            HELLO_ID,
            "FAILED_PRECONDITION: HELLO before its HELLO was answered",
        ),
    ];
    let others = FrameType::ALL
        .into_iter()
        .filter(|frame_type| *frame_type != FrameType::Hello);
    cases.extend(others.map(|frame_type| {
        refused(
            format!("{frame_type} before HELLO"),
            raw::frame(frame_type, id, b""),
            id,
            &format!("FAILED_PRECONDITION: {frame_type} before HELLO"),
        )
    }));
    cases
}

/// HELLOs that hold the wrong things.
fn bad_hellos() -> Vec<FirstWords> {
    let hello = |change: &dyn Fn(&mut Hello)| {
        let mut hello = raw::hello();
        change(&mut hello);
        raw::hello_frame(&hello)
    };
    let payload = raw::hello_payload(&raw::hello());
    let fields = [0x78, 0].repeat(100_000);
    let with_payload = |payload: &[u8]| raw::frame(FrameType::Hello, HELLO_ID, payload);
    let nameless = refused(
        "a HELLO with message id 0",
        raw::frame(FrameType::Hello, MsgId::CONNECTION, &payload),
        MsgId::CONNECTION,
        "INVALID_ARGUMENT: a HELLO with message id 0, which nothing could answer",
    );
    let refused = |name: &str, bytes: Vec<u8>, text: &str| refused(name, bytes, HELLO_ID, text);
    let mip = "UNIMPLEMENTED: this is a HELLO of the MIP dialect: the MSIP dialect is understood";
    let mip_kind = |payload: &[u8]| {
        let header = Header {
            kind: RawKind::new(1),
            ..Header::control(FrameType::Hello, HELLO_ID)
        };
        raw::frame_of(header, payload)
    };
    vec![
        refused("a MIP HELLO without payload", mip_kind(b""), mip),
        refused("a MIP HELLO with a session", mip_kind(&[1; 8]), mip),
        refused(
            "a MIP HELLO with a text",
            mip_kind(b"the-kitchen-sink"),
            mip,
        ),
        refused(
            "a HELLO with a session id alone",
            with_payload(&payload[..8]),
            mip,
        ),
        refused(
            "100,000 fields",
            with_payload(&[&payload[..], &fields].concat()),
            &format!(
                "RESOURCE_EXHAUSTED: HELLO announces a payload of {} bytes: 16384 are allowed",
                payload.len() + fields.len()
            ),
        ),
        refused(
            "session id 0",
            with_payload(&[&[0; 8], &payload[8..]].concat()),
            "INVALID_ARGUMENT: the session id is 0",
        ),
        refused(
            "a HELLO that is cut",
            with_payload(&payload[..payload.len() - 1]),
            "INVALID_ARGUMENT: the HELLO cannot be decoded",
        ),
        refused(
            "no protocol name",
            hello(&|hello| hello.protocol.clear()),
            "INVALID_ARGUMENT: the HELLO names no protocol",
        ),
        refused(
            "a protocol name of 256 bytes",
            hello(&|hello| hello.protocol = "x".repeat(256)),
            "INVALID_ARGUMENT: the protocol name has 256 bytes: 255 are allowed",
        ),
        refused(
            "another protocol",
            hello(&|hello| hello.protocol = "chat\n".to_owned()),
            "FAILED_PRECONDITION: this server speaks `lab`, not `chat\\n`",
        ),
        refused(
            "a short secret",
            hello(&|hello| hello.session_secret = vec![1; 15]),
            "INVALID_ARGUMENT: the session secret has 15 bytes, not 16",
        ),
        refused(
            "no secret",
            hello(&|hello| hello.session_secret.clear()),
            "INVALID_ARGUMENT: the session secret has 0 bytes, not 16",
        ),
        refused(
            "no codec in common",
            hello(&|hello| hello.codecs = vec![77, 0]),
            // The codecs that the server has are a matter of how it was built.
            "UNIMPLEMENTED: no codec in common: …",
        ),
        nameless,
    ]
}

/// HELLOs that look odd, and are fine.
fn odd_hellos() -> Vec<FirstWords> {
    let hello = |change: &dyn Fn(&mut Hello)| {
        let mut hello = raw::hello();
        change(&mut hello);
        raw::hello_frame(&hello)
    };
    // A field 15 of no protocol known: the number 0.
    let unknown_fields = [0x78, 0].repeat(8000);
    let payload = raw::hello_payload(&raw::hello());
    vec![
        served("a plain HELLO", raw::hello_frame(&raw::hello())),
        served(
            "another fingerprint",
            hello(&|hello| hello.fingerprint = !Lab::fingerprint()),
        ),
        served(
            "no codecs, which is protobuf",
            hello(&|hello| hello.codecs.clear()),
        ),
        served(
            "an unknown codec before protobuf",
            hello(&|hello| hello.codecs.insert(0, 77)),
        ),
        served(
            "8,000 unknown fields",
            raw::frame(
                FrameType::Hello,
                HELLO_ID,
                &[&payload[..], &unknown_fields].concat(),
            ),
        ),
        served(
            "1,000 calls still waited for, and extensions",
            hello(&|hello| {
                hello.awaited = (0..1000).collect();
                hello.extensions = BTreeMap::from([("later".to_owned(), vec![1; 1000])]);
            }),
        ),
        served(
            "a name with an escape sequence, and a largest body of one byte",
            hello(&|hello| {
                hello.client_name = "\x1b[2J\nroot".to_owned();
                hello.max_body = 1;
            }),
        ),
    ]
}

#[tokio::test]
async fn a_server_refuses_what_it_cannot_serve_and_says_why() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0?ping_interval=1h")).await;
    let bystander = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let cases: Vec<FirstWords> = [no_hellos(), bad_hellos(), odd_hellos()]
        .into_iter()
        .flatten()
        .collect();
    let mut failures = Vec::new();
    for case in &cases {
        let _playing = Playing(&case.name);
        let outcome = meet(&url, &mut events, &bystander, case).await;
        failures.extend(outcome.err().map(|error| format!("{}: {error}", case.name)));
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases failed:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

async fn meet(
    url: &ServiceUrl,
    events: &mut mpsc::Receiver<SeenByServer>,
    bystander: &Client<Lab>,
    case: &FirstWords,
) -> Result<(), String> {
    echoes(bystander).await?;
    let mut raw = RawPeer::dial(url).await;
    raw.say(&case.bytes).await;
    match &case.answers {
        Some(answers) => {
            let heard = raw.hear_to_the_end().await;
            drop(raw);
            echoes(bystander).await?;
            if let Ok(event) = events.try_recv() {
                return Err(format!("the handler saw {event:?}"));
            }
            let is_said = |(heard, said): (&String, &String)| match said.strip_suffix('…') {
                Some(beginning) => heard.starts_with(beginning),
                None => heard == said,
            };
            if heard.len() != answers.len() || !heard.iter().zip(answers).all(is_said) {
                return Err(format!("heard {heard:#?}, not {answers:#?}"));
            }
        }
        None => {
            let (heard, answer) = raw.hear_until(HELLO_ID).await;
            if !heard.is_empty()
                || answer.is_none_or(|answer| answer.header.frame_type != FrameType::Ack)
            {
                return Err(format!("heard {heard:#?} and no Welcome"));
            }
            let event = next(events).await;
            if !matches!(event, SeenByServer::Connected(_)) {
                return Err(format!("the handler saw {event:?}"));
            }
            raw.leave().await;
            let event = next(events).await;
            if !matches!(event, SeenByServer::Disconnected(_)) {
                return Err(format!("the handler saw {event:?}"));
            }
            echoes(bystander).await?;
        }
    }
    Ok(())
}

async fn echoes(client: &Client<Lab>) -> Result<(), String> {
    let answer = soon(
        "the bystander's answer",
        client.echo_req(EchoReq::default()),
    );
    match answer.await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the bystander got {error}")),
    }
}

#[tokio::test]
async fn a_handshake_may_come_byte_by_byte() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let mut raw = RawPeer::dial(&url).await;
    for byte in raw::hello_frame(&raw::hello()) {
        raw.say(&[byte]).await;
        tokio::task::yield_now().await;
    }
    let welcome = raw.hear_type(FrameType::Ack).await;
    assert_eq!(welcome.header.msg_id, HELLO_ID);
    connected(&mut events).await;
    let id = MsgId::exchange(Side::Connecting, 2);
    let call = raw::message(
        Side::Connecting,
        Flags::ACK_REQUIRED,
        id,
        &echo("drop by drop"),
    );
    for byte in &call {
        raw.say(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    let answer = raw.hear_type(FrameType::Ack).await;
    assert_eq!(
        (answer.header.msg_id, &answer.payload[4..]),
        (id, &b"drop by drop"[..])
    );
    // And a hundred at once.
    let calls: Vec<u8> = (3..103)
        .flat_map(|sequence| {
            let id = MsgId::exchange(Side::Connecting, sequence);
            raw::message(Side::Connecting, Flags::ACK_REQUIRED, id, &echo("all"))
        })
        .collect();
    raw.say(&calls).await;
    for sequence in 3..103 {
        let answer = raw.hear_type(FrameType::Ack).await;
        assert_eq!(answer.header.msg_id.sequence(), sequence);
    }
}

#[tokio::test]
async fn a_strict_server_refuses_another_fingerprint() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0?schema=strict")).await;
    let bystander = Client::<Lab>::connect(url.to_string())
        .await
        .expect("has the same schema");
    let mut raw = RawPeer::dial(&url).await;
    let hello = Hello {
        fingerprint: 7,
        ..raw::hello()
    };
    raw.say(&raw::hello_frame(&hello)).await;
    let expected = format!(
        "ERROR c1: FAILED_PRECONDITION: the server's schema has the fingerprint {:016x}, the client's 0000000000000007",
        Lab::fingerprint()
    );
    assert_eq!(raw.hear_to_the_end().await, [expected]);
    echoes(&bystander).await.expect("untouched");
    connected(&mut events).await;
    assert!(events.try_recv().is_err(), "the handler saw one client");
}

#[tokio::test]
async fn a_client_that_breaks_off_in_the_middle_of_hello_leaves_nothing() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let bystander = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let hello = raw::hello_frame(&raw::hello());
    for len in [0, 1, 23, 24, 25, hello.len() - 1] {
        echoes(&bystander).await.expect("before");
        let mut raw = RawPeer::dial(&url).await;
        raw.say(&hello[..len]).await;
        drop(raw);
        echoes(&bystander).await.expect("after");
    }
    assert!(events.try_recv().is_err(), "the handler saw nobody else");
}

#[tokio::test]
async fn a_client_that_says_nothing_or_half_a_hello_is_let_go() {
    let limit = Duration::from_secs(5);
    let server = Server::<Lab>::builder(at!("tcp://127.0.0.1:0"))
        .handshake_timeout(limit)
        .bind()
        .await
        .expect("binds");
    let url = server.local_url().clone();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let bystander = Client::<Lab>::builder(url.to_string())
        .ping_interval(Duration::from_secs(3600))
        .connect()
        .await
        .expect("connects");
    connected(&mut events).await;
    let hello = raw::hello_frame(&raw::hello());
    for len in [0, 1, 24, hello.len() - 1] {
        let mut raw = RawPeer::dial(&url).await;
        raw.say(&hello[..len]).await;
        let heard = advance_until(limit, "the end", raw.hear_at_any_time()).await;
        assert!(heard.is_none(), "{len} bytes of a HELLO: {heard:?}");
        echoes(&bystander).await.expect("untouched");
    }
    assert!(events.try_recv().is_err(), "the handler saw nobody else");
}

/// What a raw server answers.
struct Answer {
    name: &'static str,
    /// The answer to a HELLO with this id for this session.
    bytes: fn(MsgId, u64) -> Vec<u8>,
    /// What the client's `connect` fails with, `URL` standing for the address.
    error: &'static str,
    /// The client's error.
    answers: &'static [&'static str],
}

const ANSWERS: [Answer; 20] = [
    Answer {
        name: "an HTTP answer",
        bytes: |_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        error: "URL does not speak MSIP: bad magic 48545450 (HTTP): frames begin with 4d534950 (MSIP)",
        answers: &[
            "ERROR connection: INVALID_ARGUMENT: bad magic 48545450 (HTTP): frames begin with 4d534950 (MSIP)",
        ],
    },
    Answer {
        name: "a banner shorter than a header",
        bytes: |_, _| b"220 ready\r\n".to_vec(),
        error: "URL does not speak MSIP: bad magic 32323020 (220 ): frames begin with 4d534950 (MSIP)",
        answers: &[
            "ERROR connection: INVALID_ARGUMENT: bad magic 32323020 (220 ): frames begin with 4d534950 (MSIP)",
        ],
    },
    Answer {
        name: "version 2",
        bytes: |id, session| {
            let mut bytes = raw::welcome_frame(id, session, &raw::welcome());
            bytes[4] = 2;
            bytes
        },
        error: "URL does not speak MSIP: unsupported version 2: version 1 is understood",
        answers: &[
            "ERROR connection: INVALID_ARGUMENT: unsupported version 2: version 1 is understood",
        ],
    },
    Answer {
        name: "an unknown flag",
        bytes: |id, session| {
            let mut bytes = raw::welcome_frame(id, session, &raw::welcome());
            bytes[5] = 0xff;
            bytes
        },
        error: "URL does not speak MSIP: unknown flags 0xff: 0x7f are understood",
        answers: &["ERROR connection: INVALID_ARGUMENT: unknown flags 0xff: 0x7f are understood"],
    },
    Answer {
        name: "a MIP server's answer",
        bytes: |id, session| raw::frame(FrameType::Ack, id, &session.to_be_bytes()),
        error: "URL speaks MIP, not MSIP",
        answers: &[],
    },
    Answer {
        name: "a MIP server's answer with session 0",
        bytes: |id, _| raw::frame(FrameType::Ack, id, &[0; 8]),
        error: "URL speaks MIP, not MSIP",
        answers: &[],
    },
    Answer {
        name: "an empty ACK",
        bytes: |id, _| raw::frame(FrameType::Ack, id, b""),
        error: "URL does not speak MSIP: the answer to the HELLO has 0 bytes: a session id alone has 8",
        answers: &[
            "ERROR c65536: INVALID_ARGUMENT: the answer to the HELLO has 0 bytes: a session id alone has 8",
        ],
    },
    Answer {
        name: "session id 0",
        bytes: |id, _| raw::welcome_frame(id, 0, &raw::welcome()),
        error: "URL does not speak MSIP: the session id is 0",
        answers: &["ERROR c65536: INVALID_ARGUMENT: the session id is 0"],
    },
    Answer {
        name: "another session",
        bytes: |id, _| raw::welcome_frame(id, raw::SESSION, &raw::welcome()),
        error: "URL does not speak MSIP: the answer to HELLO is for another session",
        answers: &[],
    },
    Answer {
        name: "a Welcome that is none",
        bytes: |id, session| {
            raw::frame(
                FrameType::Ack,
                id,
                &[&session.to_be_bytes()[..], &[0xff; 9]].concat(),
            )
        },
        error: "URL does not speak MSIP: the answer to the HELLO cannot be decoded",
        answers: &["ERROR c65536: INVALID_ARGUMENT: the answer to the HELLO cannot be decoded"],
    },
    Answer {
        name: "a Welcome to another HELLO",
        bytes: |_, session| {
            raw::welcome_frame(
                MsgId::exchange(Side::Connecting, 9),
                session,
                &raw::welcome(),
            )
        },
        error: "URL does not speak MSIP: ACK before the answer to HELLO",
        answers: &["ERROR c9: FAILED_PRECONDITION: ACK before the answer to HELLO"],
    },
    Answer {
        name: "a message instead of the Welcome",
        bytes: |_, _| {
            raw::message(
                Side::Accepting,
                Flags::NONE,
                MsgId::exchange(Side::Accepting, 1),
                &ServerToClient::NoteInd(NoteInd::default()),
            )
        },
        error: "URL does not speak MSIP: EVENT before the answer to HELLO",
        answers: &["ERROR s1: FAILED_PRECONDITION: EVENT before the answer to HELLO"],
    },
    Answer {
        name: "a PING instead of the Welcome",
        bytes: |_, _| raw::frame(FrameType::Ping, MsgId::exchange(Side::Accepting, 1), b""),
        error: "URL does not speak MSIP: PING before the answer to HELLO",
        answers: &["ERROR s1: FAILED_PRECONDITION: PING before the answer to HELLO"],
    },
    Answer {
        name: "a Welcome of 4 GiB",
        bytes: |id, _| raw::announced(FrameType::Ack, id, u32::MAX),
        error: "URL does not speak MSIP: ACK announces a payload of 4294967295 bytes: 4202755 are allowed",
        answers: &[
            "ERROR c65536: RESOURCE_EXHAUSTED: ACK announces a payload of 4294967295 bytes: 4202755 are allowed",
        ],
    },
    Answer {
        name: "a HELLO in answer to HELLO",
        bytes: |id, _| raw::frame(FrameType::Hello, id, &raw::hello_payload(&raw::hello())),
        error: "URL does not speak MSIP: HELLO before the answer to HELLO",
        answers: &["ERROR c65536: FAILED_PRECONDITION: HELLO before the answer to HELLO"],
    },
    Answer {
        name: "a refusal",
        bytes: |id, _| raw::frame(FrameType::Error, id, b"UNAUTHENTICATED: who are you?"),
        error: "refused by URL: UNAUTHENTICATED: who are you?",
        answers: &[],
    },
    Answer {
        name: "a refusal in other words, with an escape sequence",
        bytes: |_, _| raw::frame(FrameType::Error, MsgId::CONNECTION, b"go away\x1b[2J"),
        error: "refused by URL: UNKNOWN: go away\\u{1b}[2J",
        answers: &[],
    },
    Answer {
        name: "a goodbye",
        bytes: |_, _| raw::frame(FrameType::Close, MsgId::CONNECTION, b"UNAVAILABLE: closed"),
        error: "refused by URL: UNAVAILABLE: closed",
        answers: &[],
    },
    Answer {
        name: "the end",
        bytes: |_, _| Vec::new(),
        error: "URL does not speak MSIP: closed the connection instead of answering HELLO",
        answers: &["EOF"],
    },
    Answer {
        name: "the end in the middle of the Welcome",
        bytes: |id, session| raw::welcome_frame(id, session, &raw::welcome())[..30].to_vec(),
        error: "URL does not speak MSIP: closed the connection instead of answering HELLO",
        answers: &["EOF"],
    },
];

#[tokio::test]
async fn a_client_says_why_it_cannot_speak_with_a_server() {
    let address = ServiceUrl::parse(at!("tcp://127.0.0.1:0")).expect("an address");
    let listener = Listener::bind(&address).await.expect("binds");
    let url = listener.local_url().to_string();
    let mut failures = Vec::new();
    for case in &ANSWERS {
        let _playing = Playing(case.name);
        let connecting = Client::<Lab>::connect(&url);
        let (connected, heard) = tokio::join!(connecting, async {
            let mut raw = RawPeer::accept(&listener).await;
            let hello = raw.hear_type(FrameType::Hello).await;
            let session =
                u64::from_be_bytes(*hello.payload.first_chunk().expect("has a session id"));
            raw.say(&(case.bytes)(hello.header.msg_id, session)).await;
            if case.answers == ["EOF"] {
                return vec!["EOF".to_owned()];
            }
            raw.hear_to_the_end().await
        });
        let error = match connected {
            Ok(_) => "none: it is connected".to_owned(),
            Err(ConnectError::Protocol { rule, .. }) if rule.contains("is for session") => {
                // Its own session is random.
                "URL does not speak MSIP: the answer to HELLO is for another session".to_owned()
            }
            Err(error) => error.to_string().replace(&url, "URL"),
        };
        if error != case.error || heard != case.answers {
            failures.push(format!("{}: `{error}`, and says {heard:#?}", case.name));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases failed:\n{}",
        failures.len(),
        ANSWERS.len(),
        failures.join("\n")
    );
}

#[tokio::test]
async fn a_server_that_answers_nothing_is_given_up() {
    let address = ServiceUrl::parse(at!("tcp://127.0.0.1:0")).expect("an address");
    let listener = Listener::bind(&address).await.expect("binds");
    let limit = Duration::from_secs(5);
    let connecting = Client::<Lab>::builder(listener.local_url().to_string())
        .handshake_timeout(limit)
        .connect();
    let (connected, heard) = tokio::join!(connecting, async {
        let mut raw = RawPeer::accept(&listener).await;
        raw.hear_type(FrameType::Hello).await;
        advance(limit).await;
        raw.hear_to_the_end().await
    });
    let error = connected.expect_err("nobody answers");
    assert!(
        matches!(error, ConnectError::TimedOut { timeout, .. } if timeout == limit),
        "{error}"
    );
    assert_eq!(heard, Vec::<String>::new());
}

#[tokio::test]
async fn what_comes_together_with_the_welcome_is_seen_at_once() {
    let address = ServiceUrl::parse(at!("tcp://127.0.0.1:0")).expect("an address");
    let listener = Listener::bind(&address).await.expect("binds");
    let (handler, mut seen) = LabClient::new();
    let connecting = Client::<Lab>::builder(listener.local_url().to_string())
        .ping_interval(Duration::from_secs(3600))
        .handler(handler)
        .connect();
    let (client, _raw) = tokio::join!(connecting, async {
        let mut raw = RawPeer::accept(&listener).await;
        let hello = raw.hear_type(FrameType::Hello).await;
        let session = u64::from_be_bytes(*hello.payload.first_chunk().expect("has a session id"));
        let welcome = Welcome {
            server_name: "both at once".into(),
            ..raw::welcome()
        };
        let note = raw::message(
            Side::Accepting,
            Flags::NONE,
            MsgId::exchange(Side::Accepting, 1),
            &ServerToClient::NoteInd(NoteInd {
                number: 77,
                ..NoteInd::default()
            }),
        );
        let welcome = raw::welcome_frame(hello.header.msg_id, session, &welcome);
        raw.say(&[welcome, note].concat()).await;
        raw
    });
    let client = client.expect("connects");
    assert_eq!(client.connection().server_name(), "both at once");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(77)));
}
