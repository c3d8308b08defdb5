//! Derived types speak every codec too, although no `.proto` file was ever there.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime},
};

use msip_runtime::{
    Client, ClientToServer, Codec, Compression, Message, Peer, Server, ServerToClient, Status,
};
use msip_tests::soon;

#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "derived")]
#[expect(
    clippy::large_enum_variant,
    reason = "what the messages of a schema make of it"
)]
enum ClientToServer {
    #[msip(tag = 1)]
    PlanReq(Plan),
    #[msip(tag = 2)]
    NothingReq,
}

#[derive(Debug, Clone, PartialEq, ServerToClient)]
#[expect(
    clippy::large_enum_variant,
    reason = "what the messages of a schema make of it"
)]
enum ServerToClient {
    #[msip(tag = 1)]
    PlanRsp(Plan),
    #[msip(tag = 2)]
    NothingRsp,
}

#[derive(Debug, Clone, PartialEq, Message)]
struct Plan {
    #[msip(tag = 1)]
    title: String,
    #[msip(tag = 2)]
    big_number: i64,
    #[msip(tag = 3)]
    sealed: Vec<u8>,
    #[msip(tag = 4)]
    steps: Vec<Step>,
    #[msip(tag = 5)]
    prices: BTreeMap<String, f64>,
    #[msip(tag = 6)]
    by_id: HashMap<u64, Step>,
    #[msip(tag = 7)]
    begins: SystemTime,
    #[msip(tag = 8)]
    lasts: Option<Duration>,
    #[msip(tag = 9)]
    inner: Option<Box<Plan>>,
    #[msip(tag = 10)]
    color: Color,
    #[msip(tag = 11)]
    marks: Vec<i32>,
    #[msip(oneof)]
    end: Option<End>,
    #[msip(oneof)]
    cost: Cost,
}

/// A oneof beside the fields.
#[derive(Debug, Clone, PartialEq, Message)]
enum End {
    #[msip(tag = 20)]
    At(SystemTime),
    #[msip(tag = 21)]
    With(Step),
    #[msip(tag = 22)]
    Never,
    #[msip(tag = 23)]
    Plan(Box<Plan>),
}

/// Another one, which is always there.
#[derive(Debug, Clone, PartialEq, Message)]
enum Cost {
    #[msip(tag = 30)]
    Cents(u32),
    #[msip(tag = 31, as = "sint32")]
    Points(i32),
    #[msip(other)]
    Free,
}

/// An enum with data.
#[derive(Debug, Clone, PartialEq, Message)]
enum Step {
    #[msip(tag = 1)]
    Walk(Walk),
    #[msip(tag = 2)]
    Say(String),
    #[msip(tag = 3)]
    Rest,
}

#[derive(Debug, Clone, PartialEq, Message)]
struct Walk {
    #[msip(tag = 1)]
    metres: u32,
}

/// An enum without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
enum Color {
    #[msip(tag = 0, other)]
    Gray,
    #[msip(tag = 1)]
    Red,
}

struct Echo;

impl HandleClientToServer for Echo {
    async fn on_plan_req(&self, _: &Peer<Derived>, request: Plan) -> Result<Plan, Status> {
        Ok(request)
    }

    async fn on_nothing_req(&self, _: &Peer<Derived>) -> Result<(), Status> {
        Ok(())
    }
}

fn plan(depth: u32) -> Plan {
    let steps = vec![
        Step::Walk(Walk { metres: 5 }),
        Step::Say("hi".repeat(100)),
        Step::Rest,
    ];
    Plan {
        title: "a title that is long enough for a length of two bytes ".repeat(20),
        big_number: i64::MIN,
        sealed: (0..=255).collect(),
        by_id: steps
            .iter()
            .cloned()
            .zip([0, 1, u64::MAX])
            .map(|(step, id)| (id, step))
            .collect(),
        steps,
        prices: BTreeMap::from([("tea".to_owned(), 2.5), (String::new(), f64::INFINITY)]),
        begins: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
        lasts: Some(Duration::from_millis(1_500)),
        inner: (depth > 0).then(|| Box::new(plan(depth - 1))),
        color: Color::Red,
        marks: vec![1, -1, i32::MAX],
        end: match depth % 5 {
            0 => None,
            1 => Some(End::At(SystemTime::UNIX_EPOCH + Duration::from_secs(5))),
            2 => Some(End::With(Step::Rest)),
            3 => Some(End::Never),
            _ => Some(End::Plan(Box::new(plan(0)))),
        },
        cost: match depth % 3 {
            0 => Cost::Free,
            1 => Cost::Cents(0),
            _ => Cost::Points(-5),
        },
    }
}

#[tokio::test]
async fn derived_types_go_there_and_back_in_every_codec() {
    let server = Server::<Derived>::bind("mem://codec-derived")
        .await
        .expect("binds");
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(Echo));
    for codec in [Codec::Protobuf, Codec::Json, Codec::MessagePack] {
        for compression in [Compression::None, Compression::Zstd] {
            let builder = Client::<Derived>::builder(&url)
                .codec(codec)
                .compress(compression);
            let client = builder.connect().await.expect("connects");
            assert_eq!(
                (
                    client.connection().codec(),
                    client.connection().compression()
                ),
                (codec, compression)
            );
            for depth in [0, 20] {
                let plan = plan(depth);
                let back = soon("an answer", client.plan_req(plan.clone())).await;
                assert_eq!(back.as_ref(), Ok(&plan), "{codec} {compression} {depth}");
            }
            client.nothing_req().await.expect("answers");
        }
    }
}
