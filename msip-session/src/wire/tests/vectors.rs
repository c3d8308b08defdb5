//! The vectors of docs/protocol.md, read from that very page.

use std::collections::BTreeMap;

use super::super::{
    Code, Codec, Compression, Credit, Detail, ErrorRef, ErrorText, HEADER_LEN, Hello, Identity,
    Limits, Metadata, Payload, SchemaRule, SessionId, Subscribe, Subscribed, Topic, Welcome,
    broker::{
        ClientToServer, Grant, PeerCredit, Presence, PresenceInd, ServerToClient, client_to_server,
        server_to_client,
    },
    parse_hello, parse_subscribe, parse_welcome, split_error, write_ack, write_cancel, write_close,
    write_credit, write_error, write_hello, write_long_error, write_metadata, write_ping,
    write_pong, write_subscribe, write_topic, write_welcome,
};
use super::*;

const PAGE: &str = include_str!("../../../../docs/protocol.md");

/// One fenced block: its name, its fields, and the bytes behind `hex:`.
struct Vector {
    name: &'static str,
    fields: BTreeMap<&'static str, &'static str>,
    bytes: Vec<u8>,
}

impl Vector {
    /// Every block of the page that begins with this word.
    fn all(word: &str) -> Vec<Self> {
        let fence = format!("```{word} name=");
        let mut vectors = Vec::new();
        let mut lines = PAGE.lines();
        while let Some(line) = lines.next() {
            let Some(name) = line.strip_prefix(&*fence) else {
                continue;
            };
            let mut fields = BTreeMap::new();
            for line in lines.by_ref().take_while(|line| *line != "hex:") {
                let (key, value) = line
                    .split_once(": ")
                    .unwrap_or_else(|| panic!("{name}: {line:?}"));
                assert!(
                    fields.insert(key, value).is_none(),
                    "{name}: {key} is there twice"
                );
            }
            let hex: String = lines.by_ref().take_while(|line| *line != "```").collect();
            vectors.push(Self {
                name,
                fields,
                bytes: from_hex(&hex),
            });
        }
        vectors
    }

    fn find(name: &str) -> Self {
        Self::all("vector")
            .into_iter()
            .find(|vector| vector.name == name)
            .unwrap()
    }

    fn take(&mut self, key: &str) -> Option<&'static str> {
        self.fields.remove(key)
    }

    fn text(&mut self, key: &str) -> String {
        self.take(key).unwrap_or_default().to_owned()
    }

    fn number(&mut self, key: &str) -> u64 {
        let text = self.take(key).unwrap_or("0");
        let number = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        };
        number.unwrap_or_else(|_| panic!("{}: {key}: {text:?}", self.name))
    }

    fn small<T: TryFrom<u64, Error: std::fmt::Debug>>(&mut self, key: &str) -> T {
        self.number(key).try_into().unwrap()
    }

    fn hex(&mut self, key: &str) -> Vec<u8> {
        from_hex(self.take(key).unwrap_or_default())
    }

    fn header(&mut self) -> Header {
        let frame_type = self.text("frame_type");
        let kind = self.text("kind");
        let flags = self.text("flags");
        let flag = |name: &str| {
            (0..7)
                .map(|bit| Flags::from_bits(1 << bit).unwrap())
                .find(|flag| flag.to_string() == name)
                .unwrap_or_else(|| panic!("flag {name:?}"))
        };
        Header {
            flags: match &*flags {
                "none" => Flags::NONE,
                names => names
                    .split('|')
                    .fold(Flags::NONE, |all, name| all | flag(name)),
            },
            frame_type: FrameType::ALL
                .into_iter()
                .find(|ty| ty.name() == frame_type)
                .unwrap(),
            kind: msip_schema::MsgKind::ALL
                .into_iter()
                .find(|of| of.name() == kind)
                .unwrap()
                .into(),
            variant: self.small("variant"),
            payload_len: self.small("payload_len"),
            msg_id: MsgId::new(self.number("msg_id")),
        }
    }

    fn hello(&mut self) -> Hello {
        Hello {
            protocol: self.text("protocol"),
            fingerprint: self.number("fingerprint"),
            codecs: self.enums("codecs", |name| Codec::from_str_name(name).map(i32::from)),
            compressions: self.enums("compressions", |name| {
                Compression::from_str_name(name).map(i32::from)
            }),
            keepalive_ms: self.small("keepalive_ms"),
            max_body: self.small("max_body"),
            credential: self.hex("credential"),
            client_name: self.text("client_name"),
            client_version: self.text("client_version"),
            session_secret: self.hex("session_secret"),
            awaited: self.ids("awaited"),
            extensions: self.extensions(),
        }
    }

    fn welcome(&mut self) -> Welcome {
        Welcome {
            fingerprint: self.number("fingerprint"),
            codec: self.enums("codec", |name| Codec::from_str_name(name).map(i32::from))[0],
            compression: self.enums("compression", |name| {
                Compression::from_str_name(name).map(i32::from)
            })[0],
            resumed: self.text("resumed") == "true",
            keepalive_ms: self.small("keepalive_ms"),
            max_body: self.small("max_body"),
            max_open_calls: self.small("max_open_calls"),
            session_expiry_ms: self.small("session_expiry_ms"),
            peer_id: self.number("peer_id"),
            broker: self.text("broker") == "true",
            server_name: self.text("server_name"),
            server_version: self.text("server_version"),
            awaited: self.ids("awaited"),
            extensions: self.extensions(),
        }
    }

    fn subscribe(&mut self) -> Subscribe {
        let grant = Grant {
            publish: self.texts("subscribe.grant.publish"),
            subscribe: self.texts("subscribe.grant.subscribe"),
            request: self.texts("subscribe.grant.request"),
        };
        Subscribe {
            group: self.text("subscribe.group"),
            protocol: self.text("subscribe.protocol"),
            fingerprint: self.number("subscribe.fingerprint"),
            grant: prost::Message::encode_to_vec(&grant),
            by_peer: self.text("subscribe.by_peer") == "true",
            schema_rule: self
                .take("subscribe.schema_rule")
                .map_or(0, |name| SchemaRule::from_str_name(name).unwrap().into()),
            own_window: self.text("subscribe.own_window") == "true",
        }
    }

    /// The body: as bytes, or as the message of a broker that it encodes.
    fn body(&mut self) -> Vec<u8> {
        let Some(message) = self.take("body.message") else {
            return self.hex("body");
        };
        match message {
            "Subscribed" => prost::Message::encode_to_vec(&Subscribed {
                protocol: self.text("body.protocol"),
                fingerprint: self.number("body.fingerprint"),
            }),
            "PresenceInd" => prost::Message::encode_to_vec(&ServerToClient {
                message: Some(server_to_client::Message::PresenceInd(PresenceInd {
                    topic: self.text("body.topic"),
                    peer: self.text("body.peer"),
                    presence: self.enums("body.presence", |name| {
                        Presence::from_str_name(name).map(i32::from)
                    })[0],
                    principal: self.text("body.principal"),
                    user: self.text("body.user"),
                    roles: self.texts("body.roles"),
                    address: self.text("body.address"),
                    client_name: self.text("body.client_name"),
                    protocol: self.text("body.protocol"),
                    fingerprint: self.number("body.fingerprint"),
                    looks_after: self.text("body.looks_after") == "true",
                    ..PresenceInd::default()
                })),
            }),
            "PeerCredit" => prost::Message::encode_to_vec(&ClientToServer {
                message: Some(client_to_server::Message::PeerCredit(PeerCredit {
                    peer: self.text("body.peer"),
                    items: self.small("body.items"),
                    window: self.small("body.window"),
                })),
            }),
            other => panic!("{other} is no message of a broker"),
        }
    }

    fn metadata(&mut self) -> Metadata {
        let headers = self.text("meta.headers");
        Metadata {
            deadline_ms: self.take("meta.deadline_ms").map(|ms| ms.parse().unwrap()),
            correlation_id: self.text("meta.correlation_id"),
            traceparent: self.text("meta.traceparent"),
            response_time_us: self
                .take("meta.response_time_us")
                .map(|us| us.parse().unwrap()),
            idempotent: self.text("meta.idempotent") == "true",
            headers: headers
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            identity: self.take("meta.identity.user").map(|user| Identity {
                user: user.to_owned(),
                roles: self.texts("meta.identity.roles"),
                ..Identity::default()
            }),
            details: self.details(),
            cleared: from_hex(&self.text("meta.cleared")),
            ..Metadata::default()
        }
    }

    /// The names of extensions, with their values where these are not empty.
    fn extensions(&mut self) -> BTreeMap<String, Vec<u8>> {
        let all = self.text("extensions");
        let each = all.split(", ").filter(|one| !one.is_empty());
        each.map(|one| match one.split_once('=') {
            Some((name, value)) => (name.to_owned(), from_hex(value)),
            None => (one.to_owned(), Vec::new()),
        })
        .collect()
    }

    fn details(&mut self) -> Vec<Detail> {
        let details = self.text("meta.details");
        let details = details.split(", ").filter_map(|one| one.split_once('='));
        details
            .map(|(type_name, value)| Detail {
                type_name: type_name.to_owned(),
                value: from_hex(value),
            })
            .collect()
    }

    fn enums(&mut self, key: &str, number: fn(&str) -> Option<i32>) -> Vec<i32> {
        let names = self.text(key);
        let names = names.split(", ").filter(|name| !name.is_empty());
        names
            .map(|name| number(name).unwrap_or_else(|| panic!("{name:?}")))
            .collect()
    }

    fn texts(&mut self, key: &str) -> Vec<String> {
        let texts = self.text(key);
        let texts = texts.split(", ").filter(|text| !text.is_empty());
        texts.map(str::to_owned).collect()
    }

    fn ids(&mut self, key: &str) -> Vec<u64> {
        let ids = self.text(key);
        let ids = ids.split(", ").filter_map(|id| id.strip_prefix("0x"));
        ids.map(|id| u64::from_str_radix(id, 16).unwrap()).collect()
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

/// Checks the payload of `frame` against the fields, and writes the whole frame anew from the fields alone.
fn check(vector: &mut Vector, header: Header, frame: Frame) -> Vec<u8> {
    let name = vector.name;
    let id = header.msg_id;
    let mut buf = Vec::new();
    let mark = begin_frame(
        &mut buf,
        &Header {
            payload_len: 0,
            ..header
        },
    );
    match header.frame_type {
        FrameType::Hello => {
            let read = parse_hello(header.kind, frame.payload).unwrap();
            let session_id = SessionId::new(vector.number("session_id")).unwrap();
            let hello = vector.hello();
            assert_eq!(
                (read.session_id, read.hello),
                (session_id, hello.clone()),
                "{name}"
            );
            write_hello(&mut buf, session_id, &hello);
        }
        FrameType::Ack if vector.fields.contains_key("session_id") => {
            let read = parse_welcome(frame.payload).unwrap();
            let session_id = SessionId::new(vector.number("session_id")).unwrap();
            let welcome = vector.welcome();
            assert_eq!(
                (read.session_id, read.welcome),
                (session_id, welcome.clone()),
                "{name}"
            );
            write_welcome(&mut buf, session_id, &welcome);
        }
        FrameType::Publish | FrameType::Event | FrameType::Ack => {
            let read = Payload::parse(frame, &Limits::default()).unwrap();
            let topic = Topic::new(vector.text("topic").into(), 255).unwrap();
            assert_eq!(read.topic, topic, "{name}");
            let body = vector.body();
            assert_eq!(read.body, body, "{name}");
            if header.flags.contains(Flags::META) {
                let metadata = vector.metadata();
                let encoded = read.metadata.unwrap();
                assert_eq!(
                    <Metadata as prost::Message>::decode(encoded),
                    Ok(metadata.clone()),
                    "{name}"
                );
                write_metadata(&mut buf, &metadata, 8192).unwrap();
            } else {
                assert_eq!(read.metadata, None, "{name}");
            }
            if header.frame_type != FrameType::Ack {
                write_topic(&mut buf, &topic);
            }
            buf.extend_from_slice(&body);
            if body.is_empty()
                && header.frame_type == FrameType::Ack
                && !header.flags.contains(Flags::META)
            {
                assert_eq!(
                    written(|buf| write_ack(buf, header.flags, id)),
                    vector.bytes,
                    "{name}"
                );
            }
        }
        FrameType::Subscribe | FrameType::Unsubscribe => {
            let read = parse_subscribe(header.flags, frame.payload, &Limits::default()).unwrap();
            let topic = Topic::new(vector.text("topic").into(), 255).unwrap();
            let subscribe = header
                .flags
                .contains(Flags::META)
                .then(|| vector.subscribe());
            assert_eq!(read.topic, topic, "{name}");
            assert_eq!(read.subscribe.as_deref(), subscribe.as_ref(), "{name}");
            write_subscribe(&mut buf, subscribe.as_ref(), &topic, 8192).unwrap();
        }
        FrameType::Error if header.flags.contains(Flags::META) => {
            let (encoded, text) = split_error(header.flags, frame.payload).unwrap();
            let read = ErrorText::parse_long(&text);
            let code = Code::from_name(&vector.text("code")).unwrap();
            let message = vector.text("message");
            assert_eq!((read.code, &read.message), (code, &message), "{name}");
            let metadata = vector.metadata();
            assert_eq!(
                <Metadata as prost::Message>::decode(encoded.unwrap()),
                Ok(metadata.clone()),
                "{name}"
            );
            let error = ErrorRef {
                metadata: Some(&metadata),
                ..ErrorRef::new(code, &message)
            };
            let flags = header.flags.without(Flags::META);
            return written(|buf| write_long_error(buf, flags, id, error, 1 << 16));
        }
        FrameType::Error | FrameType::Close => {
            let read = ErrorText::parse(&frame.payload);
            let code = Code::from_name(&vector.text("code")).unwrap();
            let message = vector.text("message");
            assert_eq!((read.code, &read.message), (code, &message), "{name}");
            buf.extend_from_slice(ErrorText::format(code, &message).as_bytes());
            let whole = written(|buf| match header.frame_type {
                FrameType::Error => write_error(buf, header.flags, id, code, &message),
                _ => write_close(buf, code, &message),
            });
            assert_eq!(whole, vector.bytes, "{name}");
        }
        FrameType::Ping | FrameType::Pong => {
            let data = vector.hex("data");
            assert_eq!(frame.payload, data, "{name}");
            buf.extend_from_slice(&data);
            let whole = written(|buf| match header.frame_type {
                FrameType::Ping => write_ping(buf, id, &data),
                _ => write_pong(buf, id, &data),
            });
            assert_eq!(whole, vector.bytes, "{name}");
        }
        FrameType::Credit => {
            let credit = Credit {
                items: vector.small("items"),
                bytes: vector.small("bytes"),
            };
            assert_eq!(Credit::parse(&frame.payload), Ok(credit), "{name}");
            buf.extend_from_slice(&credit.encode());
            assert_eq!(
                written(|buf| write_credit(buf, Flags::NONE, id, credit)),
                vector.bytes,
                "{name}"
            );
        }
        FrameType::Cancel => {
            assert_eq!(frame.payload, Bytes::new(), "{name}");
            assert_eq!(
                written(|buf| write_cancel(buf, header.flags, id)),
                vector.bytes,
                "{name}"
            );
        }
    }
    finish_frame(&mut buf, mark).unwrap();
    buf
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut buf = Vec::new();
    write(&mut buf);
    buf
}

#[test]
fn every_vector_reads_and_writes_as_the_page_says() {
    let mut types = Vec::new();
    for mut vector in Vector::all("vector") {
        let name = vector.name;
        let (frames, error) = decode_all(&vector.bytes, &[1000], Limits::default().max_payload());
        assert_eq!(error, None, "{name}");
        let [frame] = <[Frame; 1]>::try_from(frames).unwrap();
        let header = vector.header();
        assert_eq!(frame.header, header, "{name}");
        assert_eq!(
            vector.bytes.len() - HEADER_LEN,
            frame.payload.len(),
            "{name}"
        );
        let anew = check(&mut vector, header, frame);
        assert_eq!(anew, vector.bytes, "{name}");
        assert!(
            vector.fields.is_empty(),
            "{name}: unknown fields {:?}",
            vector.fields
        );
        types.push(header.frame_type);
    }
    for frame_type in FrameType::ALL {
        assert!(types.contains(&frame_type), "{frame_type} has no vector");
    }
}

#[test]
fn the_vectors_are_one_stream_too() {
    let vectors = Vector::all("vector");
    let bytes: Vec<u8> = vectors
        .iter()
        .flat_map(|vector| vector.bytes.clone())
        .collect();
    let (frames, error) = decode_all(&bytes, &[1, 5, 24, 100], Limits::default().max_payload());
    assert_eq!((frames.len(), error), (vectors.len(), None));
}

/// The text of the first fault that a receiver of these bytes meets.
fn first_fault(bytes: &[u8], max_payload: u32, answers_hello: bool) -> Option<String> {
    let (frames, error) = decode_all(bytes, &[1000], max_payload);
    if let Some(error) = error {
        return Some(error.to_string());
    }
    let frame = frames.into_iter().next()?;
    let text = |error: &dyn std::error::Error| Some(error.to_string());
    match frame.header.frame_type {
        FrameType::Hello => text(&parse_hello(frame.header.kind, frame.payload).err()?),
        FrameType::Ack if answers_hello => text(&parse_welcome(frame.payload).err()?),
        FrameType::Credit => text(&Credit::parse(&frame.payload).err()?),
        _ => match frame.header.kind.known() {
            Err(error) => text(&error),
            Ok(_) => text(&Payload::parse(frame, &Limits::default()).err()?),
        },
    }
}

#[test]
fn every_malformed_vector_is_refused_in_the_words_of_the_page() {
    let vectors = Vector::all("malformed");
    assert!(
        vectors.len() >= 15,
        "only {} malformed vectors were found",
        vectors.len()
    );
    for mut vector in vectors {
        let name = vector.name;
        let max_payload = match vector.small("max_payload") {
            0 => Limits::default().max_payload(),
            max => max,
        };
        let answers_hello = vector.text("answers") == "HELLO";
        let expected = vector.text("error");
        let found = first_fault(&vector.bytes, max_payload, answers_hello);
        assert_eq!(found.as_deref(), Some(&*expected), "{name}");
        assert!(
            vector.fields.is_empty(),
            "{name}: unknown fields {:?}",
            vector.fields
        );
    }
}

#[test]
fn a_vector_that_is_cut_short_is_no_frame() {
    let vector = Vector::find("publish");
    for len in 0..vector.bytes.len() {
        let (frames, error) = decode_all(&vector.bytes[..len], &[1000], 1 << 20);
        assert_eq!((frames.len(), error), (0, None), "{len} bytes");
    }
}
