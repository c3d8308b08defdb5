//! The handshake: HELLO, its answer, and its time limit.

use super::*;
use crate::wire::write_ping;

#[test]
fn nothing_is_sent_before_the_handshake() {
    let mut pair = Pair::before_handshake();
    let hello = pair.client.transmit();
    assert_eq!(frames(&hello).len(), 1, "HELLO and nothing else");
    for (name, end) in pair.ends() {
        assert_eq!(end.send("early"), Err(Blocked::Closing), "{name}");
        assert_eq!(end.call(1, at(1)), Err(Blocked::Closing), "{name}");
        assert_eq!(end.deliver(2, at(1)), Err(Blocked::Closing), "{name}");
        assert!(!end.session.has_transmit(), "{name}");
    }
    pair.server.receive(&hello, at(0)).expect("no fault");
    assert_eq!(pair.server.send("still early"), Err(Blocked::Closing));
}

#[test]
fn a_refusal_ends_the_session() {
    let mut pair = Pair::before_handshake();
    pair.exchange();
    pair.server
        .session
        .refuse(Code::Unauthenticated, "who are you?");
    assert!(!pair.server.session.is_finished(), "the text is still here");
    pair.exchange();
    assert_eq!(pair.client.told, ["refused UNAUTHENTICATED: who are you?"]);
    for (name, end) in pair.ends() {
        assert!(end.session.is_finished(), "{name}");
        assert_eq!(end.session.poll_timeout(), Duration::MAX, "{name}");
        assert_eq!(end.timeout(at(1_000_000)), Ok(()), "{name}");
    }
}

#[test]
fn a_handshake_times_out() {
    let mut pair = Pair::before_handshake();
    for (name, end) in pair.ends() {
        assert_eq!(end.session.poll_timeout(), at(5), "{name}");
        assert_eq!(end.timeout(at(4)), Ok(()), "{name}");
        assert_eq!(end.timeout(at(5)), Err(TimedOut::Handshake), "{name}");
    }
}

#[test]
fn a_frame_out_of_order_is_a_fault() {
    let mut pair = Pair::before_handshake();
    let hello = frames(&pair.client.transmit()).remove(0);
    let mut ping = Vec::new();
    write_ping(&mut ping, MsgId::new(9), &[]);
    let ping = frames(&ping).remove(0);
    let fault = pair
        .server
        .take(ping.clone(), at(0))
        .expect_err("before HELLO");
    assert_eq!(fault.rule, "PING before HELLO");
    let fault = pair
        .client
        .take(ping.clone(), at(0))
        .expect_err("before the answer");
    assert_eq!(fault.rule, "PING before the answer to HELLO");
    pair.server.take(hello, at(0)).expect("the HELLO is good");
    let fault = pair.server.take(ping, at(0)).expect_err("too early");
    assert_eq!(fault.rule, "PING before its HELLO was answered");
    assert_eq!(fault.code, Code::FailedPrecondition);
}

#[test]
fn the_server_limits_the_number_of_calls() {
    let mut pair = Pair::open();
    let open = (0..).take_while(|token| pair.client.call(*token, at(60)).is_ok());
    assert_eq!(open.count(), 4);
    assert_eq!(pair.client.call(9, at(60)), Err(Blocked::NoCapacity));
    pair.settle();
    assert!(
        pair.client.call(9, at(60)).is_ok(),
        "there is capacity again"
    );
}

#[test]
fn nothing_overtakes_the_welcome() {
    let mut pair = Pair::before_handshake();
    pair.exchange();
    pair.server
        .session
        .welcome(session_id(), &welcome(), 1 << 20);
    pair.server
        .session
        .ping(&[], Token::new(1), at(60))
        .expect("queued");
    let urgent = RequestHead {
        urgent: true,
        ..head(NOTE)
    };
    pair.server
        .session
        .send(&urgent, text("at once"))
        .expect("queued");
    pair.settle();
    assert_eq!(pair.client.told, ["welcome here"]);
    assert_eq!(pair.client.messages, ["at once"]);
}
