//! What services of jesus have by other means than the gateway with its interface. The numbers are those of docs/dialects.md, "Line by line".

use tokio::task::JoinSet;

use crate::{
    client::ask,
    fixture::{Running, broker},
    rest::{model, service},
};
use futures_util::future::join_all;
use msip_runtime::{
    CallError, Client, Code, Codec, Compression, Server, Status,
    testing::{self, Answer, ClientRecorder},
};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer,
    lab::{BroadcastServerToClient as _, Lab, NoteInd},
    next,
    rest::{
        ClientToServer, HandleClientToServer as _, Rest, SendClientToServer, ServerToClient,
        SumReq, SumRsp,
    },
    soon,
};

fn sum_of(n: i32) -> SumReq {
    SumReq {
        n,
        ..SumReq::default()
    }
}

async fn client(url: String) -> Client<Rest> {
    let connecting = Client::<Rest>::connect(url);
    soon("a client", connecting).await.expect("connects")
}

/// 4: one service, asked by protobuf over TCP, by MessagePack with gzip over a Unix socket, and by JSON over HTTP.
#[cfg(unix)]
#[tokio::test]
async fn each_client_has_the_transport_codec_and_compression_of_its_url() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = format!("unix://{}", folder.path().join("net.sock").display());
    let server = Server::<Rest>::builder("tcp://127.0.0.1:0").also(&socket);
    let server = server.bind().await.expect("binds");
    let tcp = server.local_url().to_string();
    let (handler, _seen) = service();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.serve(handler));
    for (url, codec, compression) in [
        (tcp.clone(), Codec::Protobuf, Compression::None),
        (
            format!("{socket}?codec=msgpack&compress=gzip"),
            Codec::MessagePack,
            Compression::Gzip,
        ),
    ] {
        let client = client(url).await;
        let connection = client.connection();
        assert_eq!(
            (connection.codec(), connection.compression()),
            (codec, compression)
        );
        let answer = soon("an answer", client.sum_req(sum_of(4))).await;
        assert_eq!(answer.expect("is answered").sum, 4);
    }
    let gateway = msip_gateway::Gateway::builder("http://127.0.0.1:0").upstream(tcp, [model()]);
    let gateway = Running::start(gateway).await;
    let json = [("content-type", "application/json")];
    let answer = ask(&gateway.url, "POST /v1/rest/sum_req", &json, br#"{"n": 4}"#).await;
    assert_eq!(answer.json()["sum"], "4");
}

/// 5: an event reaches each service that hears its topic, by a method of its own.
#[tokio::test]
async fn one_event_reaches_many_services() {
    let (url, _broker) = broker().await;
    let topic = format!("{url}/orders");
    let (handler, mut seen) = LabServer::new();
    let emitter = Server::<Lab>::attach(&topic, handler).await;
    let emitter = emitter.expect("is attached");
    let mut services = Vec::new();
    for _ in 0..3 {
        services.push(LabClient::connect(&topic).await);
        let event = next(&mut seen).await;
        assert!(matches!(event, SeenByServer::Connected(_)), "{event:?}");
    }
    let event = NoteInd {
        number: 7,
        ..NoteInd::default()
    };
    emitter.broadcast().expect("one topic").note_ind(event);
    for (_client, heard) in &mut services {
        loop {
            match next(heard).await {
                SeenByClient::Note(number) => break assert_eq!(number, 7),
                SeenByClient::Connected => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// 5: all answers are those of a call to each, in the order in which they are named; who is dead is an error in its place.
#[tokio::test]
async fn all_services_answer_and_a_dead_one_is_an_error_in_its_place() {
    let (url, _broker) = broker().await;
    let mut attached = Vec::new();
    for net in ["net1", "net3"] {
        let (handler, seen) = service();
        let server = Server::<Rest>::attach(&format!("{url}/{net}"), handler).await;
        attached.push((server.expect("is attached"), seen));
    }
    let asked = ["net1", "net2", "net3"].map(async |net| {
        let client = client(format!("{url}/{net}")).await;
        client.sum_req(sum_of(5)).await
    });
    let answers = soon("all answers", join_all(asked)).await;
    let told: Vec<Result<i64, Code>> = answers
        .into_iter()
        .map(|answer| {
            answer
                .map(|answer| answer.sum)
                .map_err(|error| error.code())
        })
        .collect();
    assert_eq!(told, [Ok(5), Err(Code::Unavailable), Ok(5)]);
}

/// What a method of another service would do: it asks this one.
async fn doubled(shop: &impl SendClientToServer, n: i32) -> Result<i64, CallError> {
    Ok(shop.sum_req(sum_of(n)).await?.sum * 2)
}

/// 9: a double stands for a service, and says of each method what it answers.
#[tokio::test]
async fn a_double_answers_for_a_service() {
    let double = ClientRecorder::<Rest>::new();
    double.answer_with(|request: &ClientToServer| match request {
        ClientToServer::SumReq(request) if request.n == 4 => {
            let answer = SumRsp {
                sum: 21,
                ..SumRsp::default()
            };
            ServerToClient::SumRsp(answer).into()
        }
        _ => Answer::error(Status::new(Code::NotFound, "no such method")),
    });
    assert_eq!(doubled(&double, 4).await, Ok(42));
    assert!(doubled(&double, 5).await.is_err());
    assert_eq!(
        double.take_sent(),
        [4, 5].map(|n| ClientToServer::SumReq(sum_of(n)))
    );
}

/// 9: a method is called as what it is, a method.
#[tokio::test]
async fn a_method_is_called_in_its_own_process() {
    let (service, _seen) = service();
    let peer = testing::peer::<Rest>();
    let answer = service.on_sum_req(&peer, sum_of(4)).await;
    assert_eq!(answer.expect("is answered").sum, 4);
    let failed = service.on_fail_req(&peer, sum_of(4)).await;
    assert_eq!(failed.expect_err("fails").message(), "boom");
}
