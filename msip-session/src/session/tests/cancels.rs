//! CANCELs: no faster than the peer takes them, and by turns.

use super::*;

#[test]
fn calls_are_cancelled_no_faster_than_the_peer_takes_it() {
    let mut pair = Pair::open();
    // As many as are cancelled at once.
    for token in 0..5000 {
        let slot = pair.client.call(token, at(60)).expect("there is room");
        pair.exchange();
        pair.client.session.forget(slot);
        pair.settle();
    }
    assert_eq!(pair.server.told.len(), 5001);
    let slots = [1, 2, 3].map(|token| pair.client.call(token, at(60)).expect("there is room"));
    pair.exchange();
    for slot in slots {
        pair.client.session.forget(slot);
    }
    pair.exchange();
    assert_eq!(pair.server.told.len(), 5001, "they wait");
    let ended = pair.server.waiting.remove(1);
    pair.server.finish(&ended);
    pair.exchange();
    let mut now = Duration::ZERO;
    while pair.server.told.len() < 5003 {
        let due = pair.client.session.poll_timeout();
        assert!(due <= at(1), "{due:?}");
        now = now.max(due);
        pair.client.timeout(now).expect("alive");
        pair.exchange();
    }
    assert_eq!(pair.server.session.unexpected, 0);
    // Nothing is left to be done, and their calls count no longer.
    assert!(pair.client.session.poll_timeout() > at(1));
    pair.settle();
    assert_eq!(pair.client.session.outbound.abandoned_count(), 0);
    // After a while as many are cancelled at once as before.
    pair.client.timeout(at(11)).expect("alive");
    assert!(pair.client.session.cancel_pacer.is_none());
}

#[test]
fn a_cancel_that_waits_is_sent_by_the_next_connection_if_at_all() {
    let mut pacer = CancelPacer::default();
    assert_eq!(pacer.poll_timeout(), Duration::MAX, "nothing waits");
    let mut pair = Pair::open();
    let slot = pair.client.call(1, at(60)).expect("there is room");
    pair.exchange();
    pacer.spend_all();
    pair.client.session.cancel_pacer = Some(Box::new(pacer));
    pair.client.session.forget(slot);
    assert!(pair.client.session.poll_timeout() < at(1), "one waits");
    pair.client.session.suspend(None);
    let pacer = pair.client.session.cancel_pacer.as_ref();
    assert_eq!(
        pacer.expect("it has no rights").poll_timeout(),
        Duration::MAX
    );
}

/// A pair whose server lets many calls be open, each of which hangs until it is cancelled.
struct Crowd {
    client: Peer,
    server: Peer,
    now: Duration,
}

impl Crowd {
    const MAX_CALLS: u32 = 1024;

    fn open() -> Self {
        let serving = Config {
            max_calls: to_usize(Self::MAX_CALLS),
            ..config(Side::Accepting)
        };
        let mut pair = Pair {
            server: Peer::new(Session::accepting(serving, Duration::ZERO)),
            ..Pair::before_handshake()
        };
        pair.exchange();
        let welcome = Welcome {
            max_open_calls: Self::MAX_CALLS,
            ..welcome()
        };
        let session = &mut pair.server.session;
        session.welcome(session_id(), &welcome, 1 << 20);
        pair.exchange();
        let Pair { client, server, .. } = pair;
        Self {
            client,
            server,
            now: Duration::ZERO,
        }
    }

    /// Makes a call for one of those who share the session.
    fn call(&mut self, caller: u32) -> Result<Slot, Blocked> {
        let head = RequestHead {
            caller,
            ..head(REQUEST)
        };
        let (shape, deadline) = (CallShape::UNARY, at(600));
        self.client
            .session
            .call(&head, shape, Token::new(1), deadline, text("?"))
    }

    /// Carries what both sides have to say, and returns which calls were cancelled.
    fn carry(&mut self) -> Vec<MsgId> {
        let mut cancelled = Vec::new();
        for frame in frames(&self.client.transmit()) {
            let id = frame.header.msg_id;
            let event = self.server.session.handle_any(frame, self.now);
            if let Some(Event::Cancelled(slot)) = event.expect("no fault") {
                cancelled.push(id);
                self.server.session.reply(slot, Reply::<NoBody>::END);
            }
        }
        let down = self.server.transmit();
        self.client.receive(&down, self.now).expect("no fault");
        cancelled
    }

    /// These callers give up calls as fast as they can make them, for a millisecond.
    fn give_up_many(&mut self, callers: u32) {
        let mut given_up = Vec::new();
        let mut turn = 0;
        while let Ok(slot) = self.call(1 + turn % callers) {
            given_up.push(slot);
            turn += 1;
        }
        self.carry();
        for slot in given_up {
            self.client.session.forget(slot);
        }
    }

    fn pass(&mut self) {
        self.now += Duration::from_millis(1);
        self.client.timeout(self.now).expect("alive");
    }
}

/// How long the CANCEL of one caller waits behind those of so many others, who give up thousands of calls.
fn delay_behind(others: u32) -> Duration {
    let mut crowd = Crowd::open();
    let slot = crowd.call(0).expect("there is room");
    let call = crowd.client.session.outbound.to_abandon(slot);
    let id = call.expect("it is open").cancel.id;
    assert_eq!(crowd.carry(), []);
    for _ in 0..1000 {
        crowd.give_up_many(others);
        crowd.carry();
        crowd.pass();
    }
    let given_up = crowd.now;
    crowd.client.session.forget(slot);
    while !crowd.carry().contains(&id) {
        assert!(crowd.now - given_up < at(10), "it is never sent");
        crowd.give_up_many(others);
        crowd.pass();
    }
    crowd.now - given_up
}

#[test]
fn callers_who_give_up_thousands_of_calls_hold_up_no_cancel_of_another() {
    // Ten are sent every 20 ms.
    for (others, turns) in [(1, 1), (8, 1), (40, 5)] {
        let delay = delay_behind(others);
        let fair = Duration::from_millis(20) * (turns + 1);
        assert!(delay <= fair, "{delay:?} behind {others} others");
    }
}
