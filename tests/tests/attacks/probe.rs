//! Scratch.
#![allow(missing_docs)]
use msip_runtime::wire::{Codec, Credit, Flags, FrameType, Header, Hello, Metadata, MsgId, Side, Welcome};
use msip_tests::{
    attack::{AttackOnClient, AttackOnServer, Bounds, MIB, RawMessage, Served, Target, HostileServer, body, Attacker},
    lab::{ActReq, ClientToServer, ServerToClient, CountReq, CountRsp, EchoReq, EchoRsp, NoteInd, SaveInd, SumReq, AskReq},
    raw,
};

const WIDE: Bounds = Bounds { memory: 100_000 * MIB, lines: 1_000_000, descriptors: 100_000 };

fn say(m: ClientToServer) -> RawMessage { RawMessage::of(Flags::NONE, &m) }
fn req(m: ClientToServer) -> RawMessage { RawMessage::of(Flags::ACK_REQUIRED, &m) }
fn note() -> RawMessage { say(ClientToServer::NoteInd(NoteInd::default())) }
fn echo(len: usize) -> RawMessage { req(ClientToServer::EchoReq(EchoReq { ballast: vec![0; len], ..EchoReq::default() })) }
fn act(what: &str) -> RawMessage { req(ClientToServer::ActReq(ActReq { what: what.into() })) }
fn count(ballast_len: u32) -> RawMessage { req(ClientToServer::CountReq(CountReq { from: 20, to: 0, ballast_len })) }
fn credit(id: MsgId, items: u32, bytes: u32) -> Vec<u8> { raw::frame(FrameType::Credit, id, &Credit { items, bytes }.encode()) }
fn control(t: FrameType, id: MsgId) -> Vec<u8> { raw::frame(t, id, b"") }
fn json(t: &Target) -> Hello { Hello { codecs: vec![Codec::Json.into()], ..t.hello() } }
fn msgpack(t: &Target) -> Hello { Hello { codecs: vec![Codec::MessagePack.into()], ..t.hello() } }
async fn until_end(a: &mut Attacker) { a.hear_to_the_end().await; }

macro_rules! server { ($name:ident, $attack:expr, $f:expr) => { #[test] fn $name() { $attack.within(WIDE).run($f); } } }
fn on(name: &'static str) -> AttackOnServer { AttackOnServer::new(name) }

async fn zstd(t: &Target) -> Attacker { let h = Hello { compressions: vec![2], ..t.hello() }; t.enter_with(&h).await }
fn big_meta() -> Metadata { Metadata { headers: (0..400).map(|n| (format!("k{n}"), "v".repeat(10))).collect(), ..Metadata::default() } }

server!(traceparent_garbage, on("1 notes with 7 KiB of traceparent garbage x1000").attackers(2), async |t: Target| {
    let mut a = t.enter().await;
    let m = note().metadata(&Metadata { traceparent: "00-\u{1b}[2J".repeat(1000), tracestate: String::new(), ..Metadata::default() });
    let f = a.frames(&m, 1000); a.send(&f).await; a });
server!(meta_8k, on("2 echo calls with 8 KiB metadata of 400 headers x1000, unread").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = echo(0).metadata(&big_meta()); let f = a.frames(&m, 1000); a.send(&f).await; a });
server!(meta_8k_hang, on("3 1024 hanging calls with 8 KiB of metadata of headers").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = act("hang").metadata(&big_meta()); let f = a.frames(&m, 1024); a.send(&f).await; a });
server!(meta_garbage, on("4 calls with metadata that is no protobuf x5000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = echo(0).raw_metadata(&[0xff; 8000]); let f = a.frames(&m, 2000); a.send(&f).await; a });
server!(describe, on("5 calls of variant 65535 x20000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = RawMessage::call(65535, ""); let f = a.frames(&m, 20000); a.send(&f).await; a });
server!(describe_gzip, on("6 compressed calls of variant 65535, 4 MiB of zeros x1000").attackers(4), async |t: Target| {
    let mut a = zstd(&t).await; let m = RawMessage::call(65535, "").compressed(body::zstd_of_one_byte(0, 4 << 20)); let f = a.frames(&m, 1000); a.send(&f).await; a });
server!(credit_one_byte, on("7 stream credit of 1 byte and 1 item x200000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let id = a.next_id(); let f = count(0).frame(Side::Connecting, id); a.send(&f).await;
    a.send(&credit(id, 1, 1).repeat(200_000)).await; a });
server!(credit_conn, on("8 connection credit of 1 byte x200000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; a.send(&credit(MsgId::CONNECTION, 0, 1).repeat(200_000)).await; a });
server!(urgent, on("9 urgent alarms x50000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = say(ClientToServer::AlarmInd(NoteInd::default())).flags(Flags::URGENT); let f = a.frames(&m, 50_000); a.send(&f).await; a });
server!(urgent_calls, on("10 urgent echo calls x20000, read").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = echo(0).flags(Flags::URGENT); 
    for _ in 0..20 { let f = a.frames(&m, 1000); a.send(&f).await; for _ in 0..1000 { if a.hear().await.is_none() { return a; } } } a });
server!(reset_greeted, on("11 500 connections reset after HELLO").attackers(4), async |t: Target| {
    for _ in 0..125 { drop(t.enter().await); } });
server!(reset_silent, on("12 2000 connections reset at once").attackers(4), async |t: Target| {
    for _ in 0..500 { drop(t.connect().await); } });
server!(reset_midframe, on("13 300 connections reset in a frame of 1 MiB after 500 KiB").attackers(4), async |t: Target| {
    for _ in 0..75 { let mut a = t.enter().await; let mut f = raw::announced(FrameType::Publish, MsgId::exchange(Side::Connecting, 2), 1 << 20); f.resize(500_000, 0); a.send(&f).await; } });
server!(zero_window, on("14 1000 streams of 64 KiB items with credit of 4 GiB, unread").attackers(1), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..1000 { let id = a.next_id(); let mut f = count(65536).frame(Side::Connecting, id); f.extend(credit(id, 1 << 30, 1 << 31)); a.send(&f).await; } a });
server!(zero_window_few, on("14b 20 streams of 64 KiB items, unread").attackers(1), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..20 { let id = a.next_id(); let mut f = count(65536).frame(Side::Connecting, id); f.extend(credit(id, 1 << 30, 1 << 31)); a.send(&f).await; } a });
server!(zero_window_one_worker2, on("14c 200 streams of 64 KiB items, unread").attackers(1), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..200 { let id = a.next_id(); let mut f = count(65536).frame(Side::Connecting, id); f.extend(credit(id, 1 << 30, 1 << 31)); a.send(&f).await; } a });
server!(zw400, on("14d 400 streams of 64 KiB items, unread").attackers(1), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..400 { let id = a.next_id(); let mut f = count(65536).frame(Side::Connecting, id); f.extend(credit(id, 1 << 30, 1 << 31)); a.send(&f).await; } a });
server!(zw1000small, on("14e 1000 streams of 64 B items, unread").attackers(1), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..1000 { let id = a.next_id(); let mut f = count(64).frame(Side::Connecting, id); f.extend(credit(id, 1 << 30, 1 << 31)); a.send(&f).await; } a });
server!(endless_streams, on("15 1000 endless streams of empty items, read").attackers(2), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..1000 { let id = a.next_id(); let mut f = count(0).frame(Side::Connecting, id); f.extend(credit(id, 1 << 30, 1 << 31)); a.send(&f).await; }
    for _ in 0..50_000 { if a.hear().await.is_none() { break; } } a });
server!(slow_streams, on("16 1024 request streams with nothing after the first").attackers(4), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..1024 { let id = a.next_id(); let f = RawMessage::of(Flags::ACK_REQUIRED | Flags::MORE, &ClientToServer::SumReq(SumReq { number: 1 })).frame(Side::Connecting, id); a.send(&f).await; } a });
server!(streams_reopened, on("17 request streams opened and cancelled x20000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let mut f = vec![]; for _ in 0..20000 { let id = a.next_id(); f.extend(RawMessage::of(Flags::ACK_REQUIRED | Flags::MORE, &ClientToServer::SumReq(SumReq { number: 1 })).frame(Side::Connecting, id)); f.extend(control(FrameType::Cancel, id)); } a.send(&f).await; a });
server!(topics, on("18 calls with topics of 60 KiB x1000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = echo(0).topic(&vec![b'a'; 60_000]); let f = a.frames(&m, 300); a.send(&f).await; a });
server!(topics_ok, on("19 notes with topics of 255 bytes x20000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = note().topic(&vec![b'a'; 255]); let f = a.frames(&m, 20000); a.send(&f).await; a });
server!(broadcast_slow, on("20 notes of 16 KiB x1000 broadcast to 50 that do not read").served(Served::Sampler).attackers(50), async |t: Target| {
    let mut a = t.enter().await; let m = RawMessage::one_way(4, body::field(1, &vec![b'a'; 16384])); let f = a.frames(&m, 20); a.send(&f).await; a });
server!(takeovers, on("21 one session taken over x500").attackers(4), async |t: Target| {
    for _ in 0..125 { let mut a = t.connect().await; a.send(&raw::resuming_frame(&t.hello())).await; a.hear().await; } });
server!(long_names, on("22 sessions with a name of 15 KiB, left x300").attackers(4), async |t: Target| {
    for _ in 0..75 { let h = Hello { client_name: "n".repeat(15_000), ..t.hello() }; drop(t.enter_with(&h).await); } });
server!(json_keys, on("23 JSON: 100 KB of map keys x10").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = json(&t); let mut a = t.enter_with(&h).await;
    let mut b = String::from("{\"byString\":{"); for n in 0..8000 { if n > 0 { b.push(','); } b.push_str(&format!("\"k{n}\":\"1\"")); } b.push_str("}}");
    let m = RawMessage::call(1, b); let f = a.frames(&m, 10); a.send(&f).await; a });
server!(json_unknown, on("24 JSON: unknown field with 500 KB of nested arrays x10").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = json(&t); let mut a = t.enter_with(&h).await;
    let b = format!("{{\"nope\":[{}1]}}", "[[],{}],".repeat(60_000)); let m = RawMessage::call(1, b); let f = a.frames(&m, 10); a.send(&f).await; a });
server!(json_numbers, on("25 JSON: numbers of 100,000 digits x20").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = json(&t); let mut a = t.enter_with(&h).await;
    let b = format!("{{\"aDouble\":{}}}", "9".repeat(100_000)); let m = RawMessage::call(1, b); let f = a.frames(&m, 20); a.send(&f).await; a });
server!(json_int_numbers, on("26 JSON: int with 1e999999999 x1000").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = json(&t); let mut a = t.enter_with(&h).await;
    let b = "{\"anInt64\":1e999999999}"; let m = RawMessage::call(1, b); let f = a.frames(&m, 1000); a.send(&f).await; a });
server!(json_depth, on("27 JSON: Struct 90 deep x wide x50").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = json(&t); let mut a = t.enter_with(&h).await;
    let b = format!("{{\"value\":[{}1]}}", format!("{}{},", "[".repeat(80), "]".repeat(80)).repeat(500)); let m = RawMessage::call(2, b); let f = a.frames(&m, 10); a.send(&f).await; a });
server!(json_any, on("28 JSON: 3000 Any of unknown types x10").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = json(&t); let mut a = t.enter_with(&h).await;
    let b = format!("{{\"anys\":[{}]}}", vec!["{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}"; 3000].join(",")); let m = RawMessage::call(2, b); let f = a.frames(&m, 10); a.send(&f).await; a });
server!(json_escapes, on("29 JSON: 1 MB of escapes x5").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = json(&t); let mut a = t.enter_with(&h).await;
    let b = format!("{{\"aString\":\"{}\"}}", "\\u0041".repeat(160_000)); let m = RawMessage::call(1, b); let f = a.frames(&m, 5); a.send(&f).await; a });
server!(msgpack_arrays, on("30 msgpack: 100 KB of empty maps in an array x10").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = msgpack(&t); let mut a = t.enter_with(&h).await;
    let mut b = vec![0x81, 0xa8]; b.extend(b"manyLeaf"); b.extend([0xdc, 0xff, 0xff]); b.extend(vec![0x80; 65535]); let m = RawMessage::call(1, b); let f = a.frames(&m, 10); a.send(&f).await; a });
server!(msgpack_lies, on("31 msgpack: array32 of 4 G elements x2000").served(Served::Sampler).attackers(1), async |t: Target| {
    let h = msgpack(&t); let mut a = t.enter_with(&h).await;
    let mut b = vec![0x81, 0xa8]; b.extend(b"manyLeaf"); b.extend([0xdd, 0xff, 0xff, 0xff, 0xff, 0x80, 0x80]); let m = RawMessage::call(1, b); let f = a.frames(&m, 2000); a.send(&f).await; a });
server!(pb_unknown, on("32 protobuf: 500 KB of unknown fields x10").served(Served::Sampler), async |t: Target| {
    let mut a = t.enter().await; let m = RawMessage::call(1, body::field(999, b"").repeat(150_000)); let f = a.frames(&m, 10); a.send(&f).await; a });
server!(pb_empty_elements, on("33 protobuf: 4 KB of empty Kinds.many_leaf / chain x100").served(Served::Sampler), async |t: Target| {
    let mut a = t.enter().await; let m = RawMessage::call(3, body::field(2, b"").repeat(2000)); let f = a.frames(&m, 100); a.send(&f).await; a });
server!(pb_strings, on("34 protobuf: 60 KB of empty strings x50").served(Served::Sampler), async |t: Target| {
    let mut a = t.enter().await; let m = RawMessage::call(1, body::field(38, b"").repeat(20_000)); let f = a.frames(&m, 50); a.send(&f).await; a });
server!(pb_map, on("35 protobuf: 100 KB of map entries x10").served(Served::Sampler), async |t: Target| {
    let mut a = t.enter().await; let mut b = vec![]; for n in 0..10_000u32 { let mut e = body::field(1, &n.to_be_bytes().map(|b| b & 0x7f)); e.extend([0x10, 1]); b.extend(body::field(50, &e)); } let m = RawMessage::call(1, b); let f = a.frames(&m, 10); a.send(&f).await; a });
server!(pb_packed_bool, on("36 protobuf: 1 MB packed enum x4").served(Served::Sampler), async |t: Target| {
    let mut a = t.enter().await; let m = RawMessage::call(1, body::field(40, &vec![1; 1 << 20])); let f = a.frames(&m, 4); a.send(&f).await; a });
server!(pb_child_merge, on("37 protobuf: one Kinds child merged 200k times").served(Served::Sampler), async |t: Target| {
    let mut a = t.enter().await; let m = RawMessage::call(1, body::field(18, b"").repeat(200_000)); let f = a.frames(&m, 5); a.send(&f).await; a });
server!(untyped_notes, on("38 untyped: one-way of nothing x100000").served(Served::Untyped).attackers(4), async |t: Target| {
    let mut a = t.enter().await; let f = a.frames(&RawMessage::one_way(7, ""), 50_000); a.send(&f).await; a });
server!(untyped_calls, on("39 untyped: calls of nothing x20000, read").served(Served::Untyped).attackers(4), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..20 { let f = a.frames(&RawMessage::call(7, ""), 1000); a.send(&f).await; for _ in 0..1000 { if a.hear().await.is_none() { return a; } } } a });
server!(untyped_stream, on("40 untyped: request streams, one item x 10000 left open").served(Served::Untyped).attackers(4), async |t: Target| {
    let mut a = t.enter().await; let f = a.frames(&RawMessage::call(7, "").flags(Flags::MORE), 10_000); a.send(&f).await; a });
server!(ack_flood, on("41 ACK of unknown ids x100000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; a.send(&control(FrameType::Ack, MsgId::exchange(Side::Accepting, 99)).repeat(100_000)).await; a });
server!(error_flood, on("42 ERROR id 0 with 60 KiB of text x500").attackers(4), async |t: Target| {
    let mut a = t.enter().await; a.send(&raw::frame(FrameType::Error, MsgId::CONNECTION, &vec![b'x'; 60_000]).repeat(300)).await; a });
server!(close_on, on("43 CLOSE with 60 KiB, then calls").attackers(4), async |t: Target| {
    let mut a = t.enter().await; a.send(&raw::frame(FrameType::Close, MsgId::CONNECTION, &vec![b'\n'; 60_000])).await; let f = a.frames(&echo(10), 10_000); a.send(&f).await; a });
server!(close_hang, on("44 hanging calls then CLOSE x200").attackers(4), async |t: Target| {
    let mut kept = vec![]; for _ in 0..50 { let mut a = t.enter().await; let f = a.frames(&act("hang"), 100); a.send(&f).await; a.send(&raw::frame(FrameType::Close, MsgId::CONNECTION, b"CANCELLED: x")).await; kept.push(a); } kept });
server!(cancel_scan, on("45 cancel of unknown with 32768 hanging").settings("max_calls=32768").attackers(1), async |t: Target| {
    let mut a = t.enter().await; let f = a.frames(&act("hang"), 32_000); a.send(&f).await; let id = MsgId::exchange(Side::Connecting, 1_000_000); a.send(&control(FrameType::Cancel, id).repeat(50_000)).await; a });
server!(hang_and_more, on("46 1024 hanging calls and 20000 waiting behind").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let f = a.frames(&act("hang"), 21_000); a.send(&f).await; a });
server!(large_answers, on("47 answers of 5 MiB (too large) x50").attackers(1), async |t: Target| {
    let mut a = t.enter().await; let f = a.frames(&act("large"), 50); a.send(&f).await; a });
server!(deliveries, on("48 deliveries x50000 unread").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let mut f = vec![]; for n in 1..20_000 { f.extend(raw::message(Side::Connecting, Flags::ACK_REQUIRED, MsgId::delivery(Side::Connecting, n), &ClientToServer::SaveInd(SaveInd { number: 1 }))); } a.send(&f).await; a });
server!(delivery_jumps, on("49 delivery ids that jump x1000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let mut f = vec![]; for n in 1..1000u64 { f.extend(raw::message(Side::Connecting, Flags::ACK_REQUIRED, MsgId::delivery(Side::Connecting, n * 4000), &ClientToServer::SaveInd(SaveInd { number: 1 }))); } a.send(&f).await; a });
server!(subscribe, on("50 SUBSCRIBE with 60 KiB x300").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let id = a.next_id(); a.send(&raw::frame(FrameType::Subscribe, id, &vec![b'a'; 60_000]).repeat(300)).await; a });
server!(byte_by_byte, on("51 echo calls a byte at a time").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let f = a.frames(&echo(0), 300); for b in f { a.send(&[b]).await; } a });
server!(kinds, on("52 notes of kind STATE/LOG/METRIC with keys x20000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let mut f = vec![]; for n in 0..20_000u64 { let id = a.next_id(); let h = Header { kind: msip_runtime::MsgKind::State.into(), variant: 2, flags: Flags::META, ..Header::control(FrameType::Publish, id) }; let mut p = vec![]; msip_runtime::wire::write_metadata(&mut p, &Metadata { key: n.to_string(), ..Metadata::default() }, 8192).unwrap(); p.extend([0, 0]); f.extend(raw::frame_of(h, &p)); } a.send(&f).await; a });
server!(deadlines, on("53 hanging calls with deadline 0 and 1 ms x20000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let mut f = vec![]; for n in 0..20_000u32 { f.extend({ let m = act("hang").metadata(&Metadata { deadline_ms: Some(n % 2), ..Metadata::default() }); a.frame(&m) }); } a.send(&f).await; a });
server!(correlation, on("54 notes with 8 KiB correlation ids x1000").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let m = note().metadata(&Metadata { correlation_id: "\n\u{1b}x".repeat(2600), ..Metadata::default() }); let f = a.frames(&m, 1000); a.send(&f).await; a });
server!(gzip_notes, on("55 one-way notes, 4 MiB of zeros in zstd x100").attackers(1), async |t: Target| {
    let mut a = zstd(&t).await; let m = note().compressed(body::zstd_of_one_byte(0, 4 << 20)); let f = a.frames(&m, 100); a.send(&f).await; a });
server!(gzip_items, on("56 stream items, 4 MiB of zeros in zstd x30").attackers(1), async |t: Target| {
    let mut a = zstd(&t).await; let id = a.next_id(); let m = RawMessage::of(Flags::ACK_REQUIRED | Flags::MORE, &ClientToServer::SumReq(SumReq { number: 1 })); let mut f = m.frame(Side::Connecting, id);
    let h = Header { flags: Flags::ITEM | Flags::MORE | Flags::COMPRESSED, variant: 9, ..Header::control(FrameType::Publish, id) }; let mut p = vec![0, 0]; p.extend(body::zstd_of_one_byte(0, 4 << 20)); for _ in 0..30 { f.extend(raw::frame_of(h, &p)); } a.send(&f).await; a });
server!(panics, on("57 calls whose handler panics x2000").attackers(2), async |t: Target| {
    let mut a = t.enter().await; for _ in 0..10 { let f = a.frames(&act("panic"), 100); a.send(&f).await; for _ in 0..100 { if a.hear().await.is_none() { return a; } } } a });
server!(leave, on("58 clients that ask to be disconnected x300").attackers(4), async |t: Target| {
    for _ in 0..75 { let mut a = t.enter().await; let f = a.frames(&act("leave"), 1); a.send(&f).await; a.hear().await; } });
server!(ask_back, on("59 calls that make the server ask, never answered x1024").attackers(4), async |t: Target| {
    let mut a = t.enter().await; let f = a.frames(&act("ask"), 1024); a.send(&f).await; a });
server!(refused_credential, on("60 refused credentials, 500, another fingerprint each").credential("known").attackers(4), async |t: Target| {
    for n in 0..125u64 { let h = Hello { credential: b"!no".to_vec(), fingerprint: 5000 + n, ..t.hello() }; let mut a = t.connect().await; a.send(&raw::hello_frame(&h)).await; until_end(&mut a).await; } });
server!(never_answered, on("61 500 HELLOs whose authentication hangs").credential("known").attackers(500), async |t: Target| {
    let h = Hello { credential: vec![b'x'; 6000], ..t.hello() }; let mut a = t.connect().await; a.send(&raw::hello_frame(&h)).await; a });
server!(awaited, on("62 HELLO with 2000 awaited ids, resumed x200").attackers(2), async |t: Target| {
    for _ in 0..100 { let h = Hello { awaited: (1..1900).map(|n| 0x4000_0000_0000_0000u64 | n).collect(), ..t.hello() }; let mut a = t.connect().await; a.send(&raw::resuming_frame(&h)).await; a.hear().await; } });
server!(two_workers, on("63 four clients, 20 zstd calls of 4 MiB each, 2 workers").workers(2).attackers(4), async |t: Target| {
    let mut a = zstd(&t).await; let m = RawMessage::call(1, "").compressed(body::zstd_of_one_byte(0, 4 << 20)); let f = a.frames(&m, 20); a.send(&f).await; a });
server!(protocols, on("64 500 HELLOs of other protocols").attackers(4), async |t: Target| {
    for n in 0..125 { let h = Hello { protocol: format!("p{n}"), ..t.hello() }; let mut a = t.connect().await; a.send(&raw::hello_frame(&h)).await; until_end(&mut a).await; } });
server!(no_codec, on("65 500 HELLOs of no codec that exists").attackers(4), async |t: Target| {
    for _ in 0..125 { let h = Hello { codecs: vec![99; 1000], ..t.hello() }; let mut a = t.connect().await; a.send(&raw::hello_frame(&h)).await; until_end(&mut a).await; } });
server!(fingerprints, on("66 500 fingerprints, accepted").attackers(4), async |t: Target| {
    for n in 0..125u64 { let h = Hello { fingerprint: 77 + n, ..t.hello() }; drop(t.enter_with(&h).await); } });

macro_rules! client { ($name:ident, $attack:expr, $f:expr) => { #[test] fn $name() { $attack.within(WIDE).run($f); } } }
fn from(name: &'static str) -> AttackOnClient { AttackOnClient::new(name) }
fn event(m: ServerToClient) -> RawMessage { RawMessage::of(Flags::NONE, &m) }

client!(c_goodbye, from("c1 CLOSE UNAVAILABLE at once, for 3 s"), async |s: HostileServer| {
    let begun = std::time::Instant::now(); let mut n = 0;
    while begun.elapsed().as_secs() < 3 { let Ok(mut a) = tokio::time::timeout(std::time::Duration::from_secs(3), s.welcome()).await else { break }; n += 1; a.send(&raw::frame(FrameType::Close, MsgId::CONNECTION, b"UNAVAILABLE: bye")).await; }
    eprintln!("c1: {n} connections in 3 s"); });
client!(c_reset, from("c2 reset after accept, 3 s"), async |s: HostileServer| {
    let begun = std::time::Instant::now(); let mut n = 0;
    while begun.elapsed().as_secs() < 3 { let Ok(a) = tokio::time::timeout(std::time::Duration::from_secs(3), s.accept()).await else { break }; n += 1; drop(a); }
    eprintln!("c2: {n} connections in 3 s"); });
client!(c_reset_welcomed, from("c2b reset after WELCOME, 3 s"), async |s: HostileServer| {
    let begun = std::time::Instant::now(); let mut n = 0;
    while begun.elapsed().as_secs() < 3 { let Ok(a) = tokio::time::timeout(std::time::Duration::from_secs(3), s.welcome()).await else { break }; n += 1; drop(a); }
    eprintln!("c2b: {n} connections in 3 s"); });
client!(c_notes, from("c3 notes x50000"), async |s: HostileServer| { let mut a = s.welcome().await; let f = a.frames(&event(ServerToClient::NoteInd(NoteInd::default())), 50_000); a.send(&f).await; a });
client!(c_asks, from("c4 ask_req x20000, unread"), async |s: HostileServer| { let mut a = s.welcome().await; let f = a.frames(&RawMessage::of(Flags::ACK_REQUIRED, &ServerToClient::AskReq(AskReq::default())), 20_000); a.send(&f).await; a });
client!(c_deliveries, from("c5 save_ind x20000"), async |s: HostileServer| { let mut a = s.welcome().await; let mut f = vec![]; for n in 1..20_000 { f.extend(raw::message(Side::Accepting, Flags::ACK_REQUIRED, MsgId::delivery(Side::Accepting, n), &ServerToClient::SaveInd(SaveInd { number: 1 }))); } a.send(&f).await; a });
client!(c_bombs, from("c6 zstd bombs of 4 MiB as notes x100").settings("compress=zstd"), async |s: HostileServer| { let mut a = s.accept().await; let hello = a.hear_type(FrameType::Hello).await; let session = u64::from_be_bytes(*hello.payload.first_chunk().unwrap());
    a.say(&raw::welcome_frame(hello.header.msg_id, session, &Welcome { compression: 2, ..raw::welcome() })).await; let f = a.frames(&event(ServerToClient::NoteInd(NoteInd::default())).compressed(body::zstd_of_one_byte(0, 4 << 20)), 100); a.send(&f).await; a });
client!(c_describe, from("c7 describe calls x20000"), async |s: HostileServer| { let mut a = s.welcome().await; let f = a.frames(&RawMessage::call(65535, ""), 20_000); a.send(&f).await; a });
client!(c_welcome_zero, from("c8 WELCOME with limits of 1"), async |s: HostileServer| { let mut a = s.accept().await; let hello = a.hear_type(FrameType::Hello).await; let session = u64::from_be_bytes(*hello.payload.first_chunk().unwrap());
    a.say(&raw::welcome_frame(hello.header.msg_id, session, &Welcome { max_body: 1, max_open_calls: 1, keepalive_ms: 1, session_expiry_ms: 1, ..raw::welcome() })).await; tokio::time::sleep(std::time::Duration::from_secs(1)).await; a });
client!(c_count_items, from("c9 items of a stream far beyond credit"), async |s: HostileServer| { let mut a = s.welcome().await; let mut id = None; while id.is_none() { let f = a.hear_type(FrameType::Publish).await; if f.header.variant == 8 { id = Some(f.header.msg_id); } }
    let h = Header { flags: Flags::ITEM | Flags::MORE, variant: 6, ..Header::control(FrameType::Ack, id.unwrap()) }; let p = raw::body(&ServerToClient::CountRsp(CountRsp { number: 1, ballast: vec![0; 1000] })); a.send(&raw::frame_of(h, &p).repeat(20_000)).await; a });
client!(c_answers, from("c10 answers to calls never made x100000"), async |s: HostileServer| { let mut a = s.welcome().await; a.send(&raw::answer(MsgId::exchange(Side::Connecting, 9_999_999), &ServerToClient::EchoRsp(EchoRsp::default())).repeat(100_000)).await; a });
client!(c_long_errors, from("c11 every call answered with an ERROR of 60 KiB of control characters, 2 s"), async |s: HostileServer| { let mut a = s.welcome().await; let begun = std::time::Instant::now(); while begun.elapsed().as_secs() < 2 { let Some(f) = a.hear().await else { break }; if f.header.frame_type == FrameType::Publish { a.send(&raw::frame(FrameType::Error, f.header.msg_id, &[b"INTERNAL: ", &vec![0x1b; 60_000][..]].concat())).await; } } a });
client!(c_garbage, from("c12 garbage instead of WELCOME, 200 times"), async |s: HostileServer| { for _ in 0..20 { let Ok(mut a) = tokio::time::timeout(std::time::Duration::from_secs(2), s.accept()).await else { break }; a.send(&[0xaa; 5000]).await; } });
client!(c_credit, from("c13 credit of 1 byte x200000"), async |s: HostileServer| { let mut a = s.welcome().await; a.send(&credit(MsgId::CONNECTION, 0, 1).repeat(200_000)).await; a });
client!(c_hello_unauth, from("c14 UNAUTHENTICATED to each HELLO, 2 s"), async |s: HostileServer| { let begun = std::time::Instant::now(); let mut n = 0; while begun.elapsed().as_secs() < 2 { let Ok(mut a) = tokio::time::timeout(std::time::Duration::from_secs(2), s.accept()).await else { break }; let h = a.hear_type(FrameType::Hello).await; a.send(&raw::frame(FrameType::Error, h.header.msg_id, b"UNAUTHENTICATED: no")).await; n += 1; } eprintln!("c14: {n}"); });
client!(c_other_session, from("c15 WELCOME of another session / with resumed=true"), async |s: HostileServer| { let mut a = s.accept().await; let hello = a.hear_type(FrameType::Hello).await; a.say(&raw::welcome_frame(hello.header.msg_id, 77, &Welcome { resumed: true, ..raw::welcome() })).await; a.hear_to_the_end().await; let mut a = s.accept().await; let hello = a.hear_type(FrameType::Hello).await; let session = u64::from_be_bytes(*hello.payload.first_chunk().unwrap()); a.say(&raw::welcome_frame(hello.header.msg_id, session, &Welcome { resumed: true, awaited: (1..1000).collect(), ..raw::welcome() })).await; tokio::time::sleep(std::time::Duration::from_millis(500)).await; a });
client!(c_trailers, from("c16 answers with 8 KiB of metadata to every call, 2 s"), async |s: HostileServer| { let mut a = s.welcome().await; let begun = std::time::Instant::now(); let mut meta = vec![]; msip_runtime::wire::write_metadata(&mut meta, &big_meta(), u16::MAX).unwrap(); while begun.elapsed().as_secs() < 2 { let Some(f) = a.hear().await else { break }; if f.header.frame_type == FrameType::Publish && f.header.variant == 1 { let h = Header { flags: Flags::META, variant: 1, ..Header::control(FrameType::Ack, f.header.msg_id) }; let mut p = meta.clone(); p.extend(raw::body(&ServerToClient::EchoRsp(EchoRsp::default()))); a.send(&raw::frame_of(h, &p)).await; } } a });
client!(c_close_loop, from("c17 CLOSE with ABORTED + 60 KiB of text, 2 s"), async |s: HostileServer| { let begun = std::time::Instant::now(); let mut n = 0; while begun.elapsed().as_secs() < 2 { let Ok(mut a) = tokio::time::timeout(std::time::Duration::from_secs(2), s.welcome()).await else { break }; n += 1; a.send(&raw::frame(FrameType::Close, MsgId::CONNECTION, &[b"ABORTED: ", &vec![b'\n'; 60_000][..]].concat())).await; } eprintln!("c17: {n}"); });
