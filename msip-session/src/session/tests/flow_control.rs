//! Flow control of one-way messages.

use super::*;

#[test]
fn senders_stop_at_the_window_and_continue_with_credit() {
    let mut pair = Pair::open();
    let sent = (0..).take_while(|_| pair.client.send("x").is_ok()).count();
    assert_eq!(sent, 1024);
    assert_eq!(pair.client.deliver(1, at(60)), Err(Blocked::NoCapacity));
    assert!(pair.client.call(2, at(60)).is_ok(), "calls need no credit");
    assert!(
        pair.client.session.ping(&[], Token::new(3), at(60)).is_ok(),
        "nor do pings"
    );
    pair.exchange();
    assert_eq!(pair.server.messages.len(), 1025);
    assert_eq!(pair.client.send("x"), Err(Blocked::NoCapacity));
    // Half of the window is worth a frame, and one less is not.
    let handled: Vec<Incoming> = pair.server.waiting.drain(..511).collect();
    handled.iter().for_each(|one| pair.server.finish(one));
    pair.exchange();
    assert_eq!(pair.client.send("x"), Err(Blocked::NoCapacity));
    let one = pair.server.waiting.remove(0);
    pair.server.finish(&one);
    pair.exchange();
    let sent = (0..).take_while(|_| pair.client.send("x").is_ok()).count();
    assert_eq!(sent, 512 + 1024, "what was used up to the end grows");
    pair.settle();
    assert!(pair.client.send("x").is_ok());
}

#[test]
fn one_message_may_exceed_the_bytes_of_the_window() {
    let mut pair = Pair::open();
    let almost = "x".repeat((1 << 20) - 3);
    pair.server.send(&almost).expect("sent");
    pair.server.send(&almost).expect("one byte was left");
    assert_eq!(pair.server.send(""), Err(Blocked::NoCapacity));
    pair.settle();
    assert_eq!(pair.client.messages.len(), 2);
    assert!(pair.server.send("").is_ok());
}

#[test]
fn calls_need_no_credit() {
    let mut pair = Pair::open();
    for (_, end) in pair.ends() {
        while end.send("x").is_ok() {}
        end.call(1, at(60)).expect("sent");
    }
    pair.exchange();
    // No handler of a message has returned; those of the calls do.
    for (name, end) in pair.ends() {
        let call = end.waiting.pop().expect("came last");
        assert!(matches!(call.reply, ReplyTo::Call(_)), "{name}");
        end.finish(&call);
    }
    pair.exchange();
    for (name, end) in pair.ends() {
        assert_eq!(end.outcomes[&1], ["answer 1"], "{name}");
    }
}

#[test]
fn a_message_that_exceeds_the_window_may_overtake_one_within_it() {
    let mut pair = Pair::open();
    for (_, end) in pair.ends() {
        end.send("small").expect("there is room");
        let urgent = RequestHead {
            urgent: true,
            ..head(NOTE)
        };
        let large = "x".repeat(1 << 20);
        let sent = end.session.send(&urgent, text(&large));
        assert_eq!(sent, Ok(()));
        assert_eq!(end.send("more"), Err(Blocked::NoCapacity));
    }
    pair.exchange();
    for (name, end) in pair.ends() {
        assert_eq!(end.messages.len(), 2, "{name}");
        assert_eq!(end.messages[1], "small", "{name}: it was overtaken");
    }
}

#[test]
fn a_message_without_credit_is_a_fault() {
    let mut pair = Pair::open();
    while pair.client.send("x").is_ok() {}
    pair.exchange();
    // A sender that has lost count.
    pair.client.session.send_window = SendWindow::new(Credit::CONNECTION_START);
    pair.client.send("one too many").expect("it believes so");
    let up = pair.client.transmit();
    let fault = pair.server.receive(&up, at(0)).expect_err("no credit");
    assert_eq!(
        (fault.code, fault.rule.as_str()),
        (
            Code::ResourceExhausted,
            "a message beyond the credit that was granted"
        )
    );
}
