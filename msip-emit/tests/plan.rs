//! The plan that every language's emitter reads.

// The little language in which msip-schema's own tests write schemas.
#[path = "../../msip-schema/src/check/tests/source.rs"]
mod source;

use std::time::Duration;

use msip_emit::plan::{Plan, Shape};
use msip_schema as model;
use msip_schema::{Direction, Schema};

fn schema(text: &str) -> Schema {
    let (sources, draft) = source::parse(text);
    draft
        .check()
        .unwrap_or_else(|mistakes| panic!("{}", sources.render_all(&mistakes)))
}

#[test]
fn members_have_their_shape_and_time_limit() {
    let schema = schema(
        "package p;
        ClientToServer {
            A a_ind = 1; A b_ind = 2 [reply = ACK]; A c_req = 3 [timeout_ms = 5]; A d_req = 4 [reply = STREAM];
            A e_req = 5 [request = STREAM, timeout_ms = 7]; A f_req = 6;
        }
        ServerToClient { A c_rsp = 1; A d_rsp = 2; Empty e_rsp = 3; A f_rsp = 4; }",
    );
    let plan = Plan::new(&schema);
    let shapes: Vec<String> = plan
        .envelope(Direction::ClientToServer)
        .members
        .iter()
        .map(|member| {
            let shape = match &member.shape {
                Shape::OneWay => "one-way".to_owned(),
                Shape::Acknowledged => "acknowledged".to_owned(),
                Shape::Answer => "answer".to_owned(),
                Shape::Call(call) => format!(
                    "{} -> {} {} {}",
                    call.request_stream,
                    call.response_stream,
                    call.answer.name,
                    call.answer.payload.is_some()
                ),
            };
            format!("{} {shape} {:?}", member.name, member.time_limit())
        })
        .collect();
    assert_eq!(
        shapes,
        [
            "a_ind one-way None",
            "b_ind acknowledged Some(30s)",
            "c_req false -> false c_rsp true Some(5ms)",
            "d_req false -> true d_rsp true None",
            "e_req true -> false e_rsp false Some(7ms)",
            "f_req false -> false f_rsp true Some(30s)",
        ]
    );
    let back = plan.envelope(Direction::ServerToClient);
    assert!(
        back.members
            .iter()
            .all(|member| member.shape == Shape::Answer && member.time_limit().is_none())
    );
    assert_eq!(back.members[0].timeout, None::<Duration>);
}

#[test]
fn comments_and_keys_come_from_the_message() {
    let schema = schema(
        "package p;
        ClientToServer { /Own./ Door a_ind = 1; Door b_state = 2 [key = \"id\"]; Empty c_ind = 3 [deprecated = true]; }
        ServerToClient { Empty d = 1; }
        /The message's./ message Door { bool open = 1; int32 id = 7; }",
    );
    let plan = Plan::new(&schema);
    let members = &plan.envelope(Direction::ClientToServer).members;
    let docs: Vec<&str> = members.iter().map(|member| member.doc).collect();
    assert_eq!(docs, ["Own.", "The message's.", ""]);
    let key = members[1].key.expect("a key");
    assert_eq!(
        (key.name, key.field.map(|field| field.number)),
        ("id", Some(7))
    );
    assert!(members[2].deprecated && members[2].payload.is_none());
}
