//! Answers that the peer does not read: what is begun, read and counted meanwhile.

use super::*;
use crate::{budget::Share, wire::write_ping};

const MAX: usize = 16 * Budget::STEP;

/// A server whose handshake is done, with a budget of its own, and its client.
fn open() -> (Pair, Arc<Budget>) {
    let budget = Budget::new(MAX);
    let mut pair = Pair::before_handshake();
    let config = Config {
        budget: Arc::clone(&budget),
        max_calls: 16,
        ..config(Side::Accepting)
    };
    pair.server = Peer::new(Session::accepting(config, Duration::ZERO));
    pair.exchange();
    pair.server
        .session
        .welcome(session_id(), &welcome(), 1 << 20);
    pair.exchange();
    pair.client.session.outbound.set_max_calls(100);
    (pair, budget)
}

impl Pair {
    /// The client calls with this body, and the server has the call.
    fn call_server(&mut self, token: usize, body: &str) {
        self.client
            .session
            .call(
                &head(REQUEST),
                CallShape::UNARY,
                Token::new(token),
                at(60),
                text(body),
            )
            .expect("sent");
        let up = self.client.transmit();
        self.server.receive(&up, self.now).expect("no fault");
    }

    /// The call that came last.
    fn last_call(&self) -> InboundSlot {
        match self.server.waiting.last().map(|incoming| incoming.reply) {
            Some(ReplyTo::Call(slot)) => slot,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn while_memory_is_short_no_handler_begins_beyond_the_floor() {
    let (mut pair, budget) = open();
    let body = "x".repeat(40 * 1024);
    for token in 1..=2 {
        pair.call_server(token, "");
        let slot = pair.last_call();
        pair.server.session.reply(slot, answer(&body));
    }
    assert!(!pair.server.session.update_backlog(), "8 MiB are allowed");
    let mut others = Share::new(Arc::clone(&budget));
    others.report(MAX + 1);
    pair.server.session.report_memory();
    assert!(pair.server.session.update_backlog(), "and the floor now");
    assert!(!pair.server.session.is_read_paused(), "it is read on");
    pair.server.transmit();
    assert!(!pair.server.session.update_backlog());
}

#[test]
fn requests_wait_unread_only_while_answers_are_owed() {
    let (mut pair, _) = open();
    let mib = "x".repeat(1 << 20);
    for token in 1..=8 {
        pair.call_server(token, "");
        let slot = pair.last_call();
        pair.server.session.reply(slot, answer(&mib));
    }
    // Without answers beyond the limit, requests are taken up to theirs.
    pair.server.transmit();
    pair.call_server(9, &"x".repeat(600 * 1024));
    assert!(!pair.server.session.defers_requests());
    for token in 10..=18 {
        pair.call_server(token, "");
        let slot = pair.last_call();
        pair.server.session.reply(slot, answer(&mib));
    }
    assert!(pair.server.session.is_backlogged() && pair.server.session.defers_requests());
    pair.server.transmit();
    assert!(!pair.server.session.is_backlogged() && !pair.server.session.defers_requests());
}

#[test]
fn what_reading_alone_leads_to_stops_reading() {
    let (mut pair, _) = open();
    let mut ping = Vec::new();
    write_ping(
        &mut ping,
        MsgId::exchange(Side::Connecting, 99),
        &[7; 64 * 1024],
    );
    let mut pings = 0;
    while !pair.server.session.is_read_paused() {
        pair.server.receive(&ping, at(0)).expect("no fault");
        pings += 1;
    }
    assert_eq!(pings, 4, "256 KiB of PONGs");
    assert!(!pair.server.session.is_backlogged(), "8 MiB are allowed");
    pair.server.transmit();
    assert!(!pair.server.session.is_read_paused());
}

#[test]
fn what_running_calls_are_expected_to_be_answered_with_counts() {
    let (mut pair, budget) = open();
    let mut others = Share::new(Arc::clone(&budget));
    others.report(MAX - 2 * Budget::STEP);
    let mut running = Vec::new();
    for token in 1..=4 {
        assert!(!pair.server.session.update_backlog(), "{token}");
        pair.call_server(token, "");
        running.push(pair.last_call());
        pair.server.session.call_runs(running[token - 1], REQUEST);
    }
    let session = &mut pair.server.session;
    assert!(!session.is_short_of_memory(), "nothing of it is held yet");
    assert!(session.update_backlog(), "four times 64 KiB are awaited");
    // One more may begin after some time, and no more than that.
    let again = session.relax_backlog(at(1)).expect("it waits for others");
    assert!(session.update_backlog());
    session.relax_backlog(again);
    assert!(!session.update_backlog());
    session.call_runs(running[0], REQUEST);
    // An answer tells how long the others will be.
    session.reply(running[0], answer("short"));
    pair.call_server(5, "");
    let slot = pair.last_call();
    pair.server.session.call_runs(slot, REQUEST);
    assert_eq!(
        pair.server.session.inbound.expected(),
        3 * Budget::FLOOR + "short".len()
    );
    for slot in running[1..].iter().chain([&slot]) {
        pair.server.session.reply(*slot, answer(""));
    }
    pair.server.transmit();
    pair.server.session.report_memory();
    assert_eq!(pair.server.session.inbound.expected(), 0);
    assert!(!pair.server.session.update_backlog());
}
