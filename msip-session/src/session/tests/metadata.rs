//! Metadata: deadlines, keys and identities.

use std::sync::Arc;

use prost::Message as _;

use super::*;
use crate::wire::{Identity, Metadata};

/// Two ends that keep their session, and what is said without a connection, for later.
fn keeping() -> Pair {
    let mut pair = Pair::open();
    for (_, end) in pair.ends() {
        Arc::make_mut(&mut end.session.config).buffer_disconnected = 1024;
        end.session.keep_when_lost();
    }
    pair
}

fn suspend(end: &mut Peer) {
    end.session.suspend(None);
    end.decoder = Decoder::new(Limits::default().max_payload());
}

/// Brings both ends together again at this time.
fn resume(pair: &mut Pair, now: Duration) {
    pair.now = now;
    let theirs = pair.client.session.awaited_calls(&mut Vec::new());
    let ours = pair.server.session.awaited_calls(&mut Vec::new());
    for (end, awaited) in [(&mut pair.client, &ours), (&mut pair.server, &theirs)] {
        let agreed = PeerTerms {
            peer_max_body: 0,
            max_calls: 0,
            awaited,
        };
        end.session.resume(&agreed, now);
    }
}

#[test]
fn a_late_message_has_the_remaining_deadline() {
    let mut pair = keeping();
    suspend(&mut pair.client);
    suspend(&mut pair.server);
    let hurried = RequestHead {
        deadline_ms: Some(60_000),
        ..head(REQUEST)
    };
    let session = &mut pair.client.session;
    let sent = session.call(
        &hurried,
        CallShape::UNARY,
        Token::new(1),
        at(60),
        text("told"),
    );
    sent.expect("kept");
    let sent = session.call(
        &head(REQUEST),
        CallShape::UNARY,
        Token::new(2),
        at(30),
        text("usual"),
    );
    sent.expect("kept");
    let sent = session.call(
        &hurried,
        CallShape::UNARY,
        Token::new(3),
        at(20),
        text("too late"),
    );
    sent.expect("kept");
    let sent = session.deliver(&hurried, Token::new(4), at(60), text("delivery"));
    sent.expect("kept");
    let sent = session.deliver(&head(NOTE), Token::new(5), at(60), text("usual delivery"));
    sent.expect("kept");
    resume(&mut pair, at(20));
    pair.exchange();
    assert_eq!(
        pair.server.messages,
        ["told", "usual", "delivery", "usual delivery"]
    );
    let timeouts: Vec<_> = pair.server.waiting.iter().map(|one| one.timeout).collect();
    assert_eq!(timeouts, [Some(at(40)), Some(at(10)), Some(at(40)), None]);
    pair.client.timeout(at(20)).expect("in time");
    assert_eq!(pair.client.outcomes[&3], ["expired"]);
}

#[test]
fn not_received_differs_from_a_handler_with_the_same_error() {
    let mut pair = keeping();
    pair.client.call(1, at(60)).expect("sent");
    pair.exchange();
    pair.client.call(2, at(60)).expect("sent");
    assert!(!pair.client.transmit().is_empty(), "and lost on the way");
    suspend(&mut pair.client);
    suspend(&mut pair.server);
    resume(&mut pair, at(1));
    pair.exchange();
    assert_eq!(pair.client.outcomes[&2], ["not received"]);
    let Some(ReplyTo::Call(slot)) = pair.server.waiting.pop().map(|one| one.reply) else {
        panic!("a call");
    };
    let status = ErrorRef::new(Code::Unavailable, "not received");
    let reply = Reply::<NoBody>::Error(status);
    pair.server.session.reply(slot, reply);
    pair.exchange();
    assert_eq!(
        pair.client.outcomes[&1],
        ["error UNAVAILABLE: not received, says the handler"]
    );
}

#[test]
fn metadata_arrives_except_for_the_identity_of_a_client() {
    let mut pair = Pair::open();
    let metadata = Metadata {
        correlation_id: "order-17".to_owned(),
        identity: Some(Identity {
            user: "root".to_owned(),
            ..Identity::default()
        }),
        ..Metadata::default()
    };
    let encoded = metadata.encode_to_vec();
    let told = RequestHead {
        deadline_ms: Some(250),
        metadata: &encoded,
        ..head(NOTE)
    };
    pair.client.session.send(&told, text("up")).expect("sent");
    pair.server.session.send(&told, text("down")).expect("sent");
    pair.exchange();
    let came = pair.server.waiting.pop().expect("came");
    assert_eq!(came.timeout, Some(Duration::from_millis(250)));
    let up = came.metadata.expect("beside it");
    assert_eq!(
        (up.correlation_id.as_str(), up.identity),
        ("order-17", None)
    );
    let down = pair.client.waiting.pop().expect("came").metadata;
    assert_eq!(
        *down.expect("beside it"),
        metadata,
        "the server may say who"
    );
}
