//! Members, messages and fields whose names mean something to Rust or to the runtime, spoken over a live connection.
//!
//! That they compile, under the strictest lints, is shown by `msip_tests::tree`.

use msip_runtime::{CallError, Client, Code, Peer, Server, Status};
use msip_tests::{
    Recorder, recorder, soon,
    tree::names::{
        self, BroadcastServerToClient as _, HandleClientToServer, HandleServerToClient,
        NamesProtocolProtocol, SendClientToServer as _, SendServerToClient as _,
    },
};

type Events = Recorder<String>;

struct NamesServer(Events);

impl NamesServer {
    fn see(&self, what: impl Into<String>) {
        self.0.record(what.into());
    }
}

impl HandleClientToServer for NamesServer {
    async fn on_close(
        &self,
        _: &Peer<NamesProtocolProtocol>,
        message: names::Option,
    ) -> Result<(), Status> {
        self.see(format!("close {:?}", message.option));
        Ok(())
    }

    async fn on_ping(
        &self,
        _: &Peer<NamesProtocolProtocol>,
        message: names::Match,
    ) -> Result<(), Status> {
        Err(Status::not_found(message.r#match))
    }

    async fn on_union(&self, _: &Peer<NamesProtocolProtocol>) -> Result<(), Status> {
        Ok(())
    }

    async fn on_match(&self, peer: &Peer<NamesProtocolProtocol>) {
        self.see("match");
        let everyone = peer.everyone();
        // Beside `Broadcast::peers`, `Broadcast::except` and `Clone::clone`, which are something else.
        assert_eq!(everyone.peers().len(), 1);
        assert_eq!(everyone.send_peers(), 1);
        assert_eq!(everyone.send_clone(names::Match::default()), 1);
        assert_eq!(everyone.r#type(), 1);
        let sent = peer.send_into(names::Match {
            r#match: "into".into(),
            ..names::Match::default()
        });
        sent.await.expect("sent");
    }

    async fn on_self(&self, _: &Peer<NamesProtocolProtocol>, message: names::Self_) {
        self.see(format!("self {}", message.self_));
    }

    async fn on_with(&self, _: &Peer<NamesProtocolProtocol>, message: names::Type) {
        use names::r#type::{Enum, Self_};
        assert_eq!(message.r#enum(), Enum::Self_);
        assert_eq!(
            message.self_,
            Some(Self_::Crate(names::r#type::Match::default()))
        );
        self.see("with");
    }

    async fn on_match_req(
        &self,
        _: &Peer<NamesProtocolProtocol>,
        request: names::MatchReq,
    ) -> Result<names::MatchRsp, Status> {
        Ok(names::MatchRsp {
            r#match: request.r#match,
        })
    }

    async fn on_self_req(
        &self,
        _: &Peer<NamesProtocolProtocol>,
        request: names::SelfReq,
    ) -> Result<names::SelfRsp, Status> {
        Ok(names::SelfRsp {
            self_: request.self_,
        })
    }

    async fn on_await_req(
        &self,
        _: &Peer<NamesProtocolProtocol>,
    ) -> Result<names::MatchRsp, Status> {
        Ok(names::MatchRsp {
            r#match: "await".into(),
        })
    }

    async fn on_drop_it(
        &self,
        _: &Peer<NamesProtocolProtocol>,
        request: names::MatchRsp,
    ) -> Result<(), Status> {
        self.see(format!("drop {}", request.r#match));
        Ok(())
    }
}

struct NamesClient(Events);

impl NamesClient {
    fn see(&self, what: &str) {
        self.0.record(what.into());
    }
}

impl HandleServerToClient for NamesClient {
    async fn on_union(
        &self,
        _: &Client<NamesProtocolProtocol>,
        _: names::Option,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn on_peers(&self, _: &Client<NamesProtocolProtocol>) {
        self.see("peers");
    }

    async fn on_clone(&self, _: &Client<NamesProtocolProtocol>, _: names::Match) {
        self.see("clone");
    }

    async fn on_type(&self, _: &Client<NamesProtocolProtocol>) {
        self.see("type");
    }

    async fn on_into(&self, _: &Client<NamesProtocolProtocol>, message: names::Match) {
        self.see(&message.r#match);
    }
}

#[tokio::test]
async fn renamed_methods_send_what_they_are_named_after() {
    let server = Server::<NamesProtocolProtocol>::bind("mem://names")
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let (at_server, mut server_events) = recorder();
    let (at_client, mut client_events) = recorder();
    let _server = tokio::spawn(server.serve(NamesServer(at_server)));
    let client = Client::<NamesProtocolProtocol>::builder(&url)
        .handler(NamesClient(at_client))
        .connect()
        .await
        .expect("connects");

    let message = names::Option {
        option: Some("now".into()),
        some: None,
    };
    client.send_close(message).await.expect("handled");
    let refused = client
        .send_ping(names::Match {
            r#match: "pong".into(),
            ..names::Match::default()
        })
        .await;
    let Err(CallError::Status(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((status.code(), status.message()), (Code::NotFound, "pong"));
    client.union().await.expect("handled");
    client.r#match().await.expect("sent");
    client
        .self_(names::Self_ {
            self_: "me".into(),
            ..names::Self_::default()
        })
        .await
        .expect("sent");
    client
        .try_send_with(names::Type {
            r#enum: names::r#type::Enum::Self_.into(),
            self_: Some(names::r#type::Self_::Crate(names::r#type::Match::default())),
            ..names::Type::default()
        })
        .expect("sent");
    let answer = client
        .match_req(names::MatchReq {
            r#match: "it".into(),
        })
        .await
        .expect("answers");
    assert_eq!(answer.r#match, "it");
    let own = names::Self_ {
        self_: "own".into(),
        ..names::Self_::default()
    };
    let answer = client
        .self_req(names::SelfReq {
            self_: Some(own.clone()),
        })
        .await
        .expect("answers");
    assert_eq!(answer.self_, Some(own));
    assert_eq!(client.await_req().await.expect("answers").r#match, "await");
    client
        .drop_it(names::MatchRsp {
            r#match: "it".into(),
        })
        .await
        .expect("answers");

    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(
            soon("a message", server_events.recv())
                .await
                .expect("lives"),
        );
    }
    assert_eq!(
        seen,
        [
            r#"close Some("now")"#,
            "match",
            "self me",
            "with",
            "drop it"
        ]
    );
    seen.clear();
    for _ in 0..4 {
        seen.push(
            soon("a message", client_events.recv())
                .await
                .expect("lives"),
        );
    }
    assert_eq!(seen, ["peers", "clone", "type", "into"]);
    // What the names belong to is untouched by all this.
    client.clone().close().await;
}
