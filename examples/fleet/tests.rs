//! Tests of the fleet: the hub's handler with simulated peers, without a network; the two forms of the protocol; and the
//! guide, whose code is this program's.

use std::{fs, future::poll_fn, path::Path, pin::pin, time::Duration};

use msip_runtime::{
    Code, Identity, Protocol as _, Stream as _,
    testing::{self, TestPeer, stream_of, streaming},
};

use crate::{
    hub::Hub,
    protocol::{
        Arrival, ClientToServer, Drive, Fleet, HandleClientToServer as _, Heard, Line, Locate,
        Piece, Position, RegisterReq, RegisterRsp, ServerToClient, WatchReq,
    },
    schema,
    tokens::{DEVICE, OPERATOR},
};

/// A simulated peer, next to `other`, with this name and role.
fn peer(other: &TestPeer<Fleet>, name: &str, role: &str) -> TestPeer<Fleet> {
    let identity = Identity::new("token").with_user(name).with_role(role);
    other.beside().with_identity(identity)
}

/// One that is a device, and has registered.
async fn device(hub: &Hub, other: &TestPeer<Fleet>, name: &str) -> TestPeer<Fleet> {
    let device = peer(other, name, DEVICE);
    let model = "cargo bike".to_owned();
    let registered = hub.on_register_req(&device, RegisterReq { model }).await;
    assert_eq!(registered, Ok(RegisterRsp {}));
    device
}

fn locate(device: &str) -> Locate {
    let device = device.to_owned();
    Locate { device }
}

#[test]
fn both_forms_of_the_protocol_are_the_same() {
    assert_eq!(Fleet::fingerprint(), schema::Fleet::fingerprint());
}

#[tokio::test]
async fn a_command_is_passed_on_to_its_device() {
    let (hub, stranger) = (Hub::default(), testing::peer::<Fleet>());
    let olga = peer(&stranger, "olga", OPERATOR);
    let van = device(&hub, &stranger, "van-1").await;
    let other = device(&hub, &stranger, "van-2").await;

    let position = Position {
        place: "depot".to_owned(),
    };
    van.answer(ClientToServer::LocateRsp(position.clone()));
    let located = hub.on_locate_req(&olga, locate("van-1")).await;
    assert_eq!(located, Ok(position));
    assert_eq!(
        van.take_sent(),
        [ServerToClient::LocateReq(locate("van-1"))]
    );
    assert!(other.take_sent().is_empty());
}

#[tokio::test]
async fn only_operators_command_and_only_devices_that_are_there() {
    let (hub, stranger) = (Hub::default(), testing::peer::<Fleet>());
    let olga = peer(&stranger, "olga", OPERATOR);
    let van = device(&hub, &stranger, "van-1").await;
    for (peer, device, code) in [
        (&stranger, "van-1", Code::PermissionDenied),
        (&van, "van-1", Code::PermissionDenied),
        (&olga, "van-9", Code::Unavailable),
        // The room of all devices.
        (&olga, DEVICE, Code::Unavailable),
    ] {
        let refused = hub.on_locate_req(peer, locate(device)).await;
        assert_eq!(refused.map_err(|status| status.code()), Err(code));
    }
    assert!(van.take_sent().is_empty());
}

#[tokio::test]
async fn a_device_has_no_more_time_than_the_operator_has() {
    let (hub, stranger) = (Hub::default(), testing::peer::<Fleet>());
    let olga = peer(&stranger, "olga", OPERATOR);
    let van = device(&hub, &stranger, "van-1").await;
    let drive = Drive {
        device: "van-1".to_owned(),
        place: "station".to_owned(),
        steps: 1,
    };
    van.answer(ClientToServer::DriveRsp(Arrival {
        place: "station".to_owned(),
    }));
    let impatient = olga.with_deadline(Duration::ZERO);
    let refused = hub.on_drive_req(&impatient, drive).await;
    assert_eq!(
        refused.map_err(|status| status.code()),
        Err(Code::DeadlineExceeded)
    );
    assert!(van.take_sent().is_empty(), "it does not drive for nobody");
}

#[tokio::test]
async fn a_notice_reaches_the_devices_and_nobody_else() {
    let (hub, stranger) = (Hub::default(), testing::peer::<Fleet>());
    let olga = peer(&stranger, "olga", OPERATOR);
    let vans = [
        device(&hub, &stranger, "van-1").await,
        device(&hub, &stranger, "van-2").await,
    ];
    let notice = Line {
        text: "snow tonight".to_owned(),
    };
    let heard = hub.on_notice_req(&olga, notice.clone()).await;
    assert_eq!(heard, Ok(Heard { devices: 2 }));
    for van in vans {
        assert_eq!(van.take_sent(), [ServerToClient::NoticeInd(notice.clone())]);
    }
    assert!(olga.take_sent().is_empty() && stranger.take_sent().is_empty());
}

#[tokio::test]
async fn an_upload_is_reported_to_those_who_watch() {
    let (hub, stranger) = (Hub::default(), testing::peer::<Fleet>());
    let olga = peer(&stranger, "olga", OPERATOR);
    let van = device(&hub, &stranger, "van-1").await;
    let reports = hub.on_watch_req(&olga, WatchReq {}).await;
    let mut reports = pin!(reports.expect("she may watch"));

    let piece = || {
        Ok(Piece {
            data: vec![0; 1000],
        })
    };
    let pieces = streaming(stream_of([piece(), piece()]));
    let stored = hub.on_upload_req(&van, pieces).await.expect("stored");
    assert_eq!(stored.len, 2000);
    let report = poll_fn(|context| reports.as_mut().poll_next(context)).await;
    let report = report.expect("a report").expect("no error");
    assert_eq!(report.text, "has uploaded 2000 bytes");
}

/// Each block of Rust or protobuf in the guide names its file, and is in it word for word, however far it is indented
/// there. A line `// ...` stands for what is left out.
#[test]
fn the_guide_shows_what_is_compiled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(folder.join("../docs/guide.md")).expect("the guide");
    let mut count = 0;
    let mut before = "";
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if matches!(language, "rust" | "proto") {
                let file = before.rsplit_once("](../examples/").map(|(_, end)| end);
                let file = file.and_then(|end| end.strip_suffix("):"));
                let file = file.unwrap_or_else(|| panic!("whose code is behind `{before}`?"));
                let source = fs::read_to_string(folder.join(file)).expect(file);
                for excerpt in block.split(|line| line.trim() == "// ...") {
                    let text = excerpt.join("\n");
                    assert!(is_in(excerpt, &source), "not in {file}:\n{text}");
                    count += 1;
                }
            }
        } else if !line.is_empty() {
            before = line;
        }
    }
    assert!(count > 10, "only {count} excerpts were found");
}

/// Whether these lines follow each other in the source, all indented by as much.
fn is_in(excerpt: &[&str], source: &str) -> bool {
    let lines: Vec<&str> = source.lines().collect();
    (0..=12).step_by(4).any(|indent| {
        let indent = " ".repeat(indent);
        let is_line = |(line, found): (&&str, &&str)| match found.strip_prefix(&indent) {
            Some(found) => found == *line,
            None => found.is_empty() && line.is_empty(),
        };
        let mut windows = lines.windows(excerpt.len().max(1));
        windows.any(|window| excerpt.iter().zip(window).all(is_line))
    })
}

#[test]
fn an_excerpt_is_found_word_for_word_or_not_at_all() {
    let source = "impl A {\n    fn b() {\n        c();\n\n        d();\n    }\n}";
    assert!(is_in(
        &["fn b() {", "    c();", "", "    d();", "}"],
        source
    ));
    assert!(is_in(&["impl A {", "    fn b() {"], source));
    assert!(!is_in(&["fn b() {", "c();"], source), "indented by less");
    assert!(!is_in(&["c();", "d();"], source), "not one after the other");
    assert!(!is_in(&["c()"], source), "a part of a line");
}
