//! Releases of a schema at one topic of a broker: the difference is told, and each speaks with the other, unless the first service
//! is strict.

use msip_runtime::{
    AttachError, AttachedServer, Client, Code, ConnectError, ConnectWith, Peer, Protocol as _,
    Server, Status,
};
use msip_tests::{Recorder, next, recorder, rolling_new as new, rolling_old as old, soon};

use crate::fixture::Broker;
use new::SendClientToServer as _;
use old::SendClientToServer as _;

/// A service of both releases, which tells the fingerprints of its clients' schemas.
struct Service(Recorder<u64>);

impl old::HandleClientToServer for Service {
    async fn on_fetch_req(
        &self,
        peer: &Peer<old::Rolling>,
        request: old::FetchReq,
    ) -> Result<old::FetchRsp, Status> {
        self.0.record(peer.connection().client_fingerprint());
        Ok(old::FetchRsp {
            value: format!("old {}", request.name),
        })
    }
}

impl new::HandleClientToServer for Service {
    async fn on_fetch_req(
        &self,
        peer: &Peer<new::Rolling>,
        request: new::FetchReq,
    ) -> Result<new::FetchRsp, Status> {
        self.0.record(peer.connection().client_fingerprint());
        Ok(new::FetchRsp {
            value: format!("new {}", request.name),
            age: None,
        })
    }

    async fn on_forget_req(
        &self,
        _: &Peer<new::Rolling>,
        _: new::ForgetReq,
    ) -> Result<new::ForgetRsp, Status> {
        Ok(new::ForgetRsp {})
    }

    async fn on_keep_ind(&self, _: &Peer<new::Rolling>, _: new::NudgeInd) -> Result<(), Status> {
        Ok(())
    }
}

#[tokio::test]
async fn another_release_is_told_and_served() {
    let broker = Broker::start().await;
    let url = format!("{}/rolling", broker.url);
    let (told, mut heard) = recorder();
    let service = Server::<old::Rolling>::attach(&url, Service(told)).await;
    let service = service.expect("is attached");
    let newer = Client::<new::Rolling>::connect(&url)
        .await
        .expect("connects");
    let (ours, theirs) = (new::Rolling::fingerprint(), old::Rolling::fingerprint());
    assert_eq!(newer.connection().server_fingerprint(), theirs);
    let difference = soon("a comparison", newer.connection().schema_compared()).await;
    let difference = difference.expect("they differ").to_string();
    assert!(difference.contains("forget_req"), "{difference}");
    let request = new::FetchReq {
        name: "it".into(),
        max_age: 60,
    };
    let answer = newer.fetch_req(request).await.expect("is answered");
    assert_eq!(answer.value, "old it");
    assert_eq!(next(&mut heard).await, ours);

    // An instance of the other release shares the work, and clients are still told of the first one.
    let (told, mut heard_by_other) = recorder();
    let other = Server::<new::Rolling>::attach(&url, Service(told)).await;
    let _other = other.expect("is attached");
    let older = Client::<old::Rolling>::connect(&url)
        .await
        .expect("connects");
    assert_eq!(older.connection().server_fingerprint(), theirs);
    assert!(older.connection().schema_difference().is_none());
    soon("the end of the first", service.shutdown()).await;
    let request = old::FetchReq { name: "it".into() };
    let answer = older.fetch_req(request).await.expect("is answered");
    assert_eq!(answer.value, "new it");
    assert_eq!(next(&mut heard_by_other).await, theirs);
}

async fn strict(broker: &Broker, topic: &str) -> AttachedServer<new::Rolling> {
    let (told, _) = recorder();
    let server = Server::<new::Rolling>::attach_builder(format!("{}/{topic}", broker.url));
    let server = server.strict_schema().attach(Service(told)).await;
    server.expect("is attached")
}

#[tokio::test]
async fn where_the_first_service_is_strict_another_release_is_refused_at_its_topic_alone() {
    let broker = Broker::start().await;
    let first = strict(&broker, "strict").await;
    let fingerprints = [old::Rolling::fingerprint(), new::Rolling::fingerprint()];
    let fingerprints = fingerprints.map(|one| format!("{one:016x}"));
    let names_both = |text: &str| fingerprints.iter().all(|one| text.contains(one));
    let url = format!("{}/strict", broker.url);
    match Client::<old::Rolling>::connect(&url).await {
        Err(ConnectError::TopicRefused { status, .. }) => {
            assert_eq!(status.code(), Code::FailedPrecondition);
            assert!(names_both(status.message()), "{status}");
        }
        other => panic!("{other:?}"),
    }
    let (told, _heard) = recorder();
    match Server::<old::Rolling>::attach(&url, Service(told)).await {
        Err(AttachError::Refused { source, .. }) => {
            assert_eq!(source.code(), Code::FailedPrecondition);
            assert!(names_both(&source.to_string()), "{source}");
        }
        other => panic!("{other:?}"),
    }
    connect::<new::Rolling>(&url).await;
    // A second instance of the same release changes nothing, and goes on in place of the first one.
    let _second = strict(&broker, "strict").await;
    soon("the end of the first", first.shutdown()).await;
    let refused = Client::<old::Rolling>::connect(&url).await;
    assert!(matches!(refused, Err(ConnectError::TopicRefused { .. })));

    let (told, _heard) = recorder();
    let url = format!("{}/lenient", broker.url);
    let lenient = Server::<new::Rolling>::attach(&url, Service(told)).await;
    let _lenient = lenient.expect("is attached");
    connect::<old::Rolling>(&url).await;
}

async fn connect<P: ConnectWith<()>>(url: &str) {
    let client = Client::<P>::connect(url).await.expect("connects");
    client.close().await;
}
