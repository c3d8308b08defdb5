//! Streams of requests as derives say them: the same protocol as with a service, and peers that talk.

#[expect(unreachable_pub, reason = "written as a library would")]
mod lab;

use lab::{
    ActReq, ActRsp, CountReq, CountRsp, EchoReq, EchoRsp, HandleClientToServer, Lab, SaveInd,
    SendClientToServer as _, ShoutReq, ShoutRsp, SumReq, SumRsp,
};
use msip_runtime::{
    Client, Envelope, Peer, Protocol as _, Server, Status, Stream, Streaming, Variant,
    testing::stream_of,
};
use msip_tests::{
    lab as spelled,
    lab::{Lab as SpelledLab, SendClientToServer as _},
    soon, start,
};

#[test]
fn a_service_and_options_are_one_protocol() {
    fn table<E: Envelope>() -> &'static [Variant] {
        E::VARIANTS
    }
    assert_eq!(Lab::fingerprint(), SpelledLab::fingerprint());
    assert_eq!(
        table::<lab::ClientToServer>(),
        table::<spelled::ClientToServer>()
    );
    assert_eq!(
        table::<lab::ServerToClient>(),
        table::<spelled::ServerToClient>()
    );
}

#[tokio::test]
async fn a_derived_client_streams_to_a_generated_server() {
    let (url, _events, _server) = start("tcp://127.0.0.1:0").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let requests = stream_of((101..=1_100).map(|number| SumReq { number }));
    let sum = soon("the sum", client.sum_req(requests)).await;
    assert_eq!(sum.expect("answered"), SumRsp { sum: 600_500 });
    let said = ["one", "two"].map(|text| ShoutReq {
        text: text.to_owned(),
    });
    let mut shouts = client.shout_req(stream_of(said)).await.expect("sent");
    let mut heard = Vec::new();
    while let Some(shout) = soon("a shout", shouts.next()).await {
        heard.push(shout.expect("a shout").text);
    }
    assert_eq!(heard, ["ONE", "TWO"]);
}

/// A server in Rust types, of what has streams.
struct Adder;

impl HandleClientToServer for Adder {
    async fn on_sum_req(
        &self,
        _: &Peer<Lab>,
        mut requests: Streaming<SumReq>,
    ) -> Result<SumRsp, Status> {
        let mut sum = 0;
        while let Some(request) = requests.next().await {
            sum += request?.number;
        }
        Ok(SumRsp { sum })
    }

    async fn on_shout_req(
        &self,
        _: &Peer<Lab>,
        mut requests: Streaming<ShoutReq>,
    ) -> Result<impl Stream<Item = Result<ShoutRsp, Status>> + Send + 'static, Status> {
        let first = requests.next().await;
        let text = first.map_or_else(|| Ok(String::new()), |first| first.map(|said| said.text))?;
        Ok(stream_of([Ok(ShoutRsp { text })]))
    }

    async fn on_count_req(
        &self,
        _: &Peer<Lab>,
        request: CountReq,
    ) -> Result<impl Stream<Item = Result<CountRsp, Status>> + Send + 'static, Status> {
        Ok(stream_of((request.from..request.to).map(|number| {
            Ok(CountRsp {
                number,
                ballast: Vec::new(),
            })
        })))
    }

    async fn on_save_ind(&self, _: &Peer<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }

    async fn on_echo_req(&self, _: &Peer<Lab>, _: EchoReq) -> Result<EchoRsp, Status> {
        Err(Status::unimplemented("echo_req"))
    }

    async fn on_act_req(&self, _: &Peer<Lab>, _: ActReq) -> Result<ActRsp, Status> {
        Err(Status::unimplemented("act_req"))
    }
}

#[tokio::test]
async fn a_generated_client_streams_to_a_derived_server() {
    let server = Server::<Lab>::bind("tcp://127.0.0.1:0")
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let serving = tokio::spawn(server.serve(Adder));
    let client = Client::<SpelledLab>::connect(url).await.expect("connects");
    let requests = stream_of((1..=1_000).map(|number| spelled::SumReq { number }));
    let sum = soon("the sum", client.sum_req(requests)).await;
    assert_eq!(sum.expect("answered").sum, 500_500);
    let said = stream_of([spelled::ShoutReq {
        text: "quietly".to_owned(),
    }]);
    let mut heard = client.shout_req(said).await.expect("sent");
    let shout = soon("a shout", heard.next()).await.expect("an item");
    assert_eq!(shout.expect("a shout").text, "quietly");
    assert!(soon("the end", heard.next()).await.is_none());
    client.close().await;
    serving.abort();
}
