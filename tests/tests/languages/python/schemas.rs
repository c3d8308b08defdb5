//! Peers of another release, of which one is in Python: each compares schemas as Rust does.

use std::{fmt::Write as _, future::pending};

use msip_broker::Broker;
use msip_runtime::{
    CallError, Client, ClientToServer, Code, Message, Peer, Server, ServerToClient, Status,
    bytes::Bytes,
};
use msip_schema::compare::{Description, Sides, compare};
use msip_tests::{ServerProcess, rolling_old as old, soon};
use tokio::io::AsyncWriteExt as _;

use super::programs::{program, said};

struct Echo;

impl old::HandleClientToServer for Echo {
    async fn on_fetch_req(
        &self,
        _: &Peer<old::Rolling>,
        request: old::FetchReq,
    ) -> Result<old::FetchRsp, Status> {
        let value = request.name;
        Ok(old::FetchRsp { value })
    }
}

#[tokio::test]
async fn a_newer_client_is_served_where_the_schemas_are_compatible() {
    let Some(mut command) = program("rolling_client.py") else {
        return;
    };
    let server = Server::<old::Rolling>::bind("tcp://127.0.0.1:0?schema=compatible")
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(Echo));
    assert_eq!(said(command.arg(url)).await, "tea\n");
}

/// The same protocol by someone who changed what must not be changed.
mod broken {
    use super::{Bytes, ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "rolling")]
    pub(super) enum ClientToServer {
        #[msip(tag = 1)]
        FetchReq(FetchReq),
    }

    #[derive(Debug, ServerToClient)]
    pub(super) enum ServerToClient {
        #[msip(tag = 1)]
        FetchRsp(FetchRsp),
    }

    #[derive(Debug, Message)]
    pub(super) struct FetchReq {
        /// It was a string.
        #[msip(tag = 1)]
        pub(super) name: Bytes,
    }

    #[derive(Debug, Message)]
    pub(super) struct FetchRsp {
        #[msip(tag = 1)]
        pub(super) value: String,
    }
}

struct Silent;

impl old::HandleServerToClient for Silent {
    async fn on_check_req(
        &self,
        _: &Client<old::Rolling>,
        _: old::CheckReq,
    ) -> Result<old::CheckRsp, Status> {
        Ok(old::CheckRsp::default())
    }
}

impl broken::HandleServerToClient for Silent {}

#[tokio::test]
async fn a_server_serves_an_older_client_and_refuses_a_broken_one() {
    use broken::SendClientToServer as _;
    use old::SendClientToServer as _;

    let Some(mut command) = program("rolling_server.py") else {
        return;
    };
    command.arg("tcp://127.0.0.1:0?schema=compatible");
    let mut server = ServerProcess::start(command).await;
    let connecting = Client::<old::Rolling>::builder(&server.url).handler(Silent);
    let client = soon("a client", connecting.connect()).await;
    let client = client.expect("connected");
    let request = old::FetchReq { name: "tea".into() };
    let answer = soon("an answer", client.fetch_req(request)).await;
    assert_eq!(answer.expect("answered").value, "tea");
    let difference = server.line("what differs").await;
    let expected = "client-to-server `forget_req` (4): only on the server [harmless]";
    assert!(difference.starts_with(expected), "{difference}");
    client.close().await;

    let connecting = Client::<broken::Rolling>::builder(&server.url).handler(Silent);
    let client = soon("a client", connecting.connect()).await;
    let client = client.expect("connected");
    let request = broken::FetchReq {
        name: Bytes::from_static(b"\xff"),
    };
    let refused = soon("a refusal", client.fetch_req(request)).await;
    // A call that the server has received is told why; one that meets the CLOSE is told of that.
    if let CallError::Status(status) = refused.expect_err("refused") {
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    }
    let mut lost = client.connection().lost_sessions();
    let lost = soon("the end", lost.wait_for(Option::is_some)).await;
    let reason = lost.expect("lives").clone().expect("lost").reason;
    let why = "field `name` (1): string on the server, bytes on the client [wire-breaking]";
    assert!(reason.contains(why), "{reason}");
}

#[tokio::test]
async fn a_service_behind_a_broker_is_told_what_differs() {
    use old::SendClientToServer as _;

    let Some(mut command) = program("rolling_server.py") else {
        return;
    };
    let broker = Broker::builder().listen("tcp://127.0.0.1:0").bind().await;
    let broker = broker.expect("listens");
    let topic = format!("{}/kitchen", broker.local_urls().next().expect("a URL"));
    let serving = tokio::spawn(broker.serve_until(pending::<()>()));
    command.args(["attach", &topic]);
    let mut server = ServerProcess::start(command).await;
    let connecting = Client::<old::Rolling>::builder(&topic).handler(Silent);
    let client = soon("a client", connecting.connect()).await;
    let client = client.expect("connected");
    let request = old::FetchReq { name: "tea".into() };
    let answer = soon("an answer", client.fetch_req(request)).await;
    assert_eq!(answer.expect("answered").value, "tea");
    let difference = server.line("what differs").await;
    let expected = "client-to-server `forget_req` (4): only on the server [harmless]";
    assert!(difference.starts_with(expected), "{difference}");
    serving.abort();
}

/// A schema with one of everything that is compared.
const SOURCE: &str = "msip-description 1
package fleet.v1
client-to-server
1 where_req COMMAND call single single 1 .fleet.v1.Where
2 door_state STATE one-way .fleet.v1.Door
3 note EVENT acknowledged .fleet.v1.Note
4 bye EVENT one-way empty
5 log_line EVENT one-way .fleet.v1.Note
server-to-client
1 where_rsp EVENT answer .fleet.v1.Place
2 alarm_event EVENT one-way .fleet.v1.Alarm
3 other_rsp EVENT one-way .fleet.v1.Place
types
message fleet.v1.Where
1 vehicle implicit string
2 within optional int32
3 since optional .google.protobuf.Timestamp
4 mark implicit bytes
message fleet.v1.Door
1 id implicit int32
2 colour implicit enum:.fleet.v1.Colour
message fleet.v1.Note
1 text implicit string wording
2 size implicit int32
message fleet.v1.Place
2 metres oneof:2 double
4 mark oneof:2 .fleet.v1.Mark
7 tags map:string int64
8 old implicit bool
message fleet.v1.Alarm
1 notes repeated .fleet.v1.Note
enum fleet.v1.Colour
0 NONE
1 RED
2 BLUE
2 AZURE
message fleet.v1.Mark
1 words repeated string
2 next optional .fleet.v1.Mark
3 colour implicit enum:.fleet.v1.Colour
4 tags repeated .fleet.v1.Tag
message fleet.v1.Tag
1 key implicit string
2 value implicit int64
";

/// What words become others, most of which mean something where they stand.
const WORDS: &[&str] = &[
    "-1",
    "0",
    "1",
    "2",
    "3",
    "4",
    "7",
    "99",
    "4294967296",
    "EVENT",
    "STATE",
    "acknowledged",
    "one-way",
    "answer",
    "call",
    "single",
    "stream",
    "empty",
    ".fleet.v1.Note",
    ".fleet.v1.Tag",
    ".fleet.v1.Mark",
    "enum:.fleet.v1.Colour",
    ".google.protobuf.Timestamp",
    "enum:.google.protobuf.NullValue",
    ".fleet.v1.None",
    "implicit",
    "optional",
    "repeated",
    "oneof:1",
    "oneof:2",
    "map:string",
    "map:int64",
    "string",
    "bytes",
    "int32",
    "int64",
    "key",
    "value",
    "text",
    "old_name",
    "size",
    "RED",
    "GREEN",
    "fleet.v1.Tag",
    "fleet.v1.Colour",
    "enum",
    "message",
    "é",
    "",
];

/// A change of a text at a place that `random` says: a word or a line becomes another one, moves, or goes.
fn edit(lines: &mut Vec<String>, mut random: impl FnMut(usize) -> usize) {
    let at = random(lines.len());
    match random(6) {
        0 if lines.len() > 8 => {
            lines.remove(at);
        }
        1 => {
            let line = lines[at].clone();
            lines.insert(random(lines.len()), line);
        }
        2 => {
            let other = random(lines.len());
            lines.swap(at, other);
        }
        3 => lines[at].push_str(" jsonName"),
        _ => {
            let mut words: Vec<&str> = lines[at].split(' ').collect();
            let word = random(words.len());
            // What stands at this place in another line is understood more often.
            let other = lines[random(lines.len())].split(' ').nth(word);
            words[word] = match other {
                Some(other) if random(3) > 0 => other,
                _ => WORDS[random(WORDS.len())],
            };
            lines[at] = words.join(" ");
        }
    }
}

#[tokio::test]
async fn descriptions_are_read_and_compared_as_in_rust() {
    let Some(mut command) = program("schema_comparer.py") else {
        return;
    };
    let ours = Description::parse(SOURCE.as_bytes()).expect("it is one");
    let sides = Sides {
        ours: "here",
        theirs: "there",
    };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    let (mut input, mut expected, mut understood) = (Vec::new(), String::new(), 0);
    let mut put = |text: &str| {
        input.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
        input.extend(text.as_bytes());
    };
    put(SOURCE);
    for _ in 0..1000 {
        let mut lines: Vec<String> = SOURCE.lines().map(str::to_owned).collect();
        for _ in 0..=random(2) {
            edit(&mut lines, &mut random);
        }
        let text = lines.join("\n") + "\n";
        put(&text);
        let said = match Description::parse(text.as_bytes()) {
            Ok(theirs) => {
                let comparison = compare(&ours, &theirs);
                understood += 1;
                format!(
                    "{:016x} {} {} {}: {}",
                    theirs.fingerprint(),
                    comparison.count(),
                    comparison.breaking_count(),
                    comparison.breaks(),
                    comparison.summary(sides)
                )
            }
            Err(error) => error.to_string(),
        };
        writeln!(expected, "{said}").expect("a String");
    }
    put("");
    assert!(understood > 150, "{understood} are descriptions");
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let writing = tokio::spawn(async move {
        stdin.write_all(&input).await.expect("written");
    });
    let output = soon("all of it", child.wait_with_output()).await;
    let output = output.expect("it ends");
    writing.await.expect("written");
    let said = String::from_utf8(output.stdout).expect("text");
    for (number, (said, expected)) in said.lines().zip(expected.lines()).enumerate() {
        assert_eq!(said, expected, "pair {number}");
    }
    assert_eq!(said.lines().count(), expected.lines().count());
}
