//! Which messages a role may send, and be sent, over the wire.

use msip_runtime::{
    CallError, CallOptions, Client, Code, ConnectRequest, Identity, Peer, SendError, Server,
    Status, middleware::Authorize,
};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer, connected,
    lab::{
        AskReq, BroadcastServerToClient as _, CountReq, EchoReq, Lab, SaveInd,
        SendClientToServer as _, SendServerToClient as _,
    },
    messages::{echo, note},
    next, soon,
};
use tokio::sync::mpsc;

/// A credential is a list of roles.
async fn by_roles(client: ConnectRequest) -> Result<Identity, Status> {
    let roles = std::str::from_utf8(client.credential()).unwrap_or_default();
    let roles = roles.split(',').filter(|role| !role.is_empty());
    Ok(Identity::new("roles").with_user("ada").with_roles(roles))
}

/// A client with these roles, and both ends of it.
struct Pair {
    client: Client<Lab>,
    told: mpsc::Receiver<SeenByClient>,
    peer: Peer<Lab>,
}

async fn connect(url: &str, roles: &str, events: &mut mpsc::Receiver<SeenByServer>) -> Pair {
    let (handler, mut told) = LabClient::new();
    let client = Client::<Lab>::builder(url)
        .credential(roles)
        .handler(handler);
    let client = soon("a client", client.connect()).await.expect("connects");
    let peer = connected(events).await;
    assert!(matches!(next(&mut told).await, SeenByClient::Connected));
    Pair { client, told, peer }
}

fn is_refused<T: std::fmt::Debug>(result: Result<T, CallError>) {
    let expected = Status::permission_denied("not permitted");
    assert_eq!(result.expect_err("is refused"), CallError::Status(expected));
}

#[tokio::test]
async fn a_client_sends_and_is_sent_what_its_roles_allow() {
    let rules = Authorize::of::<Lab>()
        .allow("*", ["note_ind"])
        .allow("member", ["echo_req", "count_req"])
        .allow("writer", ["*"])
        .deny("muted", ["save_ind", "echo_req"])
        .allow_to("member", ["*"])
        .deny_to("muted", ["ask_req"])
        .build()
        .expect("are right");
    let server = Server::<Lab>::builder("mem://authorize")
        .authenticate(by_roles)
        .incoming(rules.clone())
        .outgoing(rules)
        .bind()
        .await
        .expect("binds");
    let url = server.local_url().to_string();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let save = |number| SaveInd { number };
    let count = || CountReq {
        from: 0,
        to: 2,
        ..CountReq::default()
    };

    let Pair {
        client,
        peer,
        mut told,
    } = connect(&url, "guest", &mut events).await;
    is_refused(client.echo_req(EchoReq::default()).await);
    let mut answers = client.count_req(count()).await.expect("is sent");
    is_refused(soon("a refusal", answers.next()).await.expect("an item"));
    let refused = client.save_ind(save(1)).await.expect_err("is refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = peer.note_ind(note(1)).await.expect_err("is refused");
    assert!(matches!(refused, SendError::Refused(_)), "{refused:?}");
    client.note_ind(note(1)).await.expect("sends");
    assert!(matches!(next(&mut events).await, SeenByServer::Note(1)));
    assert!(told.try_recv().is_err());
    client.close().await;
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));

    let Pair {
        client,
        peer,
        mut told,
    } = connect(&url, "member", &mut events).await;
    client.echo_req(echo("hi")).await.expect("answers");
    let mut answers = client.count_req(count()).await.expect("is sent");
    for _ in 0..2 {
        answers.next().await.expect("an item").expect("an answer");
    }
    assert!(answers.next().await.is_none());
    peer.note_ind(note(2)).await.expect("sends");
    assert!(matches!(next(&mut told).await, SeenByClient::Note(2)));
    let question = AskReq {
        question: "tell".into(),
    };
    let answer = peer.ask_req(question.clone()).await.expect("answers");
    assert_eq!(answer.answer, "tell me");
    client.close().await;
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));

    // Deny wins, in both directions.
    let Pair { client, peer, .. } = connect(&url, "writer,member,muted", &mut events).await;
    is_refused(client.echo_req(EchoReq::default()).await);
    let refused = client.save_ind(save(1)).await.expect_err("is refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = peer.ask_req(question).await.expect_err("is refused");
    assert!(
        matches!(&refused, CallError::NotSent(SendError::Refused(_))),
        "{refused:?}"
    );
    // What a role may not send one way is not handled, and what follows is.
    let tick = client.with(CallOptions::new());
    tick.tick_ind().await.expect("sends");
    assert!(matches!(next(&mut events).await, SeenByServer::Tick));
    client.close().await;
}

#[tokio::test]
async fn a_broadcast_reaches_those_who_may_be_sent_the_message() {
    let rules = Authorize::of::<Lab>()
        .allow_to("member", ["note_ind"])
        .allow_to("operator", ["*"])
        .deny_to("muted", ["*"])
        .build()
        .expect("are right");
    let server = Server::<Lab>::builder("mem://authorize-broadcast")
        .authenticate(by_roles)
        .outgoing(rules)
        .bind()
        .await
        .expect("binds");
    let url = server.local_url().to_string();
    let everyone = server.broadcast();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let mut pairs = Vec::new();
    for roles in ["", "guest", "member", "operator", "operator,muted"] {
        pairs.push((roles, connect(&url, roles, &mut events).await));
    }
    assert_eq!(everyone.note_ind(note(1)), 2);
    let of = |index: usize| {
        let id = pairs.get(index).map(|(_, pair)| pair.peer.id());
        everyone.clone().only(id)
    };
    assert_eq!(of(1).note_ind(note(2)), 0, "a guest");
    assert_eq!(of(2).note_ind(note(2)), 1, "a member");
    assert_eq!(of(4).note_ind(note(2)), 0, "deny wins");
    assert_eq!(everyone.peers().len(), pairs.len(), "all are there");
    for (roles, pair) in &mut pairs {
        // What each has heard comes before the end.
        pair.peer.disconnect(Status::unavailable("that was all"));
        let mut heard = Vec::new();
        loop {
            match next(&mut pair.told).await {
                SeenByClient::Note(number) => heard.push(number),
                SeenByClient::Disconnected(_) | SeenByClient::ClosedByServer(_) => break,
                _ => {}
            }
        }
        let expected: &[u64] = match *roles {
            "member" => &[1, 2],
            "operator" => &[1],
            _ => &[],
        };
        assert_eq!(heard, expected, "{roles:?}");
    }
}
