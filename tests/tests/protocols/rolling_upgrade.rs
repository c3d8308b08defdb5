//! Two releases of one protocol, of which the newer has more members and fields: each speaks with the other.

use msip_runtime::{
    CallError, Client, Code, ConnectError, ConnectWith, Peer, Protocol as _, Server, Status,
};
use msip_tests::{Recorder, recorder, rolling_new as new, rolling_old as old, soon};
use tokio::sync::mpsc;

/// A handler of both sides in both releases, which reports what it receives.
#[derive(Debug, Clone)]
struct Hears<P>(Recorder<Heard<P>>);

#[derive(Debug)]
enum Heard<P> {
    Connected(P),
    Hint(String),
}

impl<P> Hears<P> {
    fn new() -> (Self, mpsc::Receiver<Heard<P>>) {
        let (heard, events) = recorder();
        (Self(heard), events)
    }

    fn hear(&self, what: Heard<P>) {
        self.0.record(what);
    }
}

impl old::HandleClientToServer for Hears<Peer<old::Rolling>> {
    async fn on_fetch_req(
        &self,
        _: &Peer<old::Rolling>,
        request: old::FetchReq,
    ) -> Result<old::FetchRsp, Status> {
        Ok(old::FetchRsp {
            value: format!("old {}", request.name),
        })
    }

    async fn on_hint_ind(&self, _: &Peer<old::Rolling>, message: old::HintInd) {
        self.hear(Heard::Hint(message.text));
    }

    async fn on_client_connected(&self, peer: &Peer<old::Rolling>) {
        self.hear(Heard::Connected(peer.clone()));
    }
}

impl new::HandleClientToServer for Hears<Peer<new::Rolling>> {
    async fn on_fetch_req(
        &self,
        _: &Peer<new::Rolling>,
        request: new::FetchReq,
    ) -> Result<new::FetchRsp, Status> {
        Ok(new::FetchRsp {
            value: format!("new {}", request.name),
            // An old client does not state how old it may be.
            age: Some(request.max_age),
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

    async fn on_client_connected(&self, peer: &Peer<new::Rolling>) {
        self.hear(Heard::Connected(peer.clone()));
    }
}

impl old::HandleServerToClient for Hears<()> {
    async fn on_check_req(
        &self,
        _: &Client<old::Rolling>,
        _: old::CheckReq,
    ) -> Result<old::CheckRsp, Status> {
        Ok(old::CheckRsp { is_well: true })
    }

    async fn on_hint_ind(&self, _: &Client<old::Rolling>, message: old::HintInd) {
        self.hear(Heard::Hint(message.text));
    }
}

/// Serves the old release.
async fn serve_old(url: &str) -> (String, mpsc::Receiver<Heard<Peer<old::Rolling>>>) {
    let server = Server::<old::Rolling>::bind(url).await.expect("listens");
    let url = server.local_url().to_string();
    let (handler, events) = Hears::new();
    tokio::spawn(server.serve(handler));
    (url, events)
}

/// Serves the new release.
async fn serve_new(url: &str) -> (String, mpsc::Receiver<Heard<Peer<new::Rolling>>>) {
    let server = Server::<new::Rolling>::bind(url).await.expect("listens");
    let url = server.local_url().to_string();
    let (handler, events) = Hears::new();
    tokio::spawn(server.serve(handler));
    (url, events)
}

async fn connected<P>(events: &mut mpsc::Receiver<Heard<P>>) -> P {
    match soon("a client", events.recv()).await {
        Some(Heard::Connected(peer)) => peer,
        Some(Heard::Hint(text)) => panic!("{text}"),
        None => panic!("the server is gone"),
    }
}

async fn hint<P>(events: &mut mpsc::Receiver<Heard<P>>) -> String {
    match soon("a hint", events.recv()).await {
        Some(Heard::Hint(text)) => text,
        Some(Heard::Connected(_)) => panic!("another client"),
        None => panic!("the handler is gone"),
    }
}

fn assert_unknown<T: std::fmt::Debug>(outcome: Result<T, CallError>, number: u16) {
    let Err(CallError::Status(status)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(status.message(), format!("unknown variant {number}"));
}

#[tokio::test]
async fn an_old_client_goes_on_with_a_new_server() {
    use new::SendServerToClient as _;
    use old::SendClientToServer as _;

    let (url, mut events) = serve_new("tcp://127.0.0.1:0").await;
    let (handler, mut heard) = Hears::<()>::new();
    let client = Client::<old::Rolling>::builder(&url)
        .handler(handler)
        .connect()
        .await
        .expect("connects");
    let peer = connected(&mut events).await;

    // Each knows that the other is of another release.
    assert_ne!(old::Rolling::fingerprint(), new::Rolling::fingerprint());
    assert_eq!(
        client.connection().server_fingerprint(),
        new::Rolling::fingerprint()
    );
    assert_eq!(
        peer.connection().client_fingerprint(),
        old::Rolling::fingerprint()
    );

    let request = old::FetchReq { name: "it".into() };
    let answer = client.fetch_req(request).await.expect("answers");
    assert_eq!(answer.value, "new it");
    let check = peer.check_req(new::CheckReq::default()).await;
    assert!(check.expect("answers").is_well);

    // What the client does not know: refused where an answer is wanted, else counted.
    assert_unknown(peer.probe_req(new::ProbeReq {}).await, 7);
    assert_unknown(peer.keep_ind(new::NudgeInd { force: 1 }).await, 6);
    let before = client.connection().ignored();
    peer.nudge_ind(new::NudgeInd { force: 1 })
        .await
        .expect("sent");
    peer.hint_ind(new::HintInd {
        text: "after".into(),
    })
    .await
    .expect("sent");
    assert_eq!(hint(&mut heard).await, "after");
    assert_eq!(client.connection().ignored(), before + 1);
}

#[tokio::test]
async fn a_new_client_goes_on_with_an_old_server() {
    use new::SendClientToServer as _;

    let (url, mut events) = serve_old("tcp://127.0.0.1:0").await;
    let client = Client::<new::Rolling>::connect(&url)
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    assert_eq!(
        client.connection().server_fingerprint(),
        old::Rolling::fingerprint()
    );
    assert_eq!(
        peer.connection().client_fingerprint(),
        new::Rolling::fingerprint()
    );

    let request = new::FetchReq {
        name: "it".into(),
        max_age: 60,
    };
    let answer = client.fetch_req(request).await.expect("answers");
    assert_eq!((answer.value.as_str(), answer.age), ("old it", None));

    assert_unknown(client.forget_req(new::ForgetReq::default()).await, 4);
    assert_unknown(client.keep_ind(new::NudgeInd { force: 1 }).await, 6);
    let before = peer.connection().ignored();
    client
        .nudge_ind(new::NudgeInd { force: 1 })
        .await
        .expect("sent");
    client
        .hint_ind(new::HintInd {
            text: "after".into(),
        })
        .await
        .expect("sent");
    assert_eq!(hint(&mut events).await, "after");
    assert_eq!(peer.connection().ignored(), before + 1);
}

#[tokio::test]
async fn a_strict_server_refuses_another_release() {
    let (url, _events) = serve_new("tcp://127.0.0.1:0?schema=strict").await;
    let refused = refusal::<old::Rolling>(&url).await;
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    for fingerprint in [old::Rolling::fingerprint(), new::Rolling::fingerprint()] {
        assert!(
            refused.message().contains(&format!("{fingerprint:016x}")),
            "{fingerprint:016x} is not in: {refused}"
        );
    }
    // Its own release is welcome, and what was refused left nothing behind.
    let client = Client::<new::Rolling>::connect(&url)
        .await
        .expect("connects");
    client.close().await;
}

async fn refusal<P: ConnectWith<()>>(url: &str) -> Status {
    match Client::<P>::connect(url).await {
        Err(ConnectError::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}
