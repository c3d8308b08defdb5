//! Droppable messages: STATE, LOG and METRIC without capacity.

use super::*;

const LOG: u16 = 4;
const STATE: u16 = 5;

fn of_kind(variant: u16, kind: MsgKind) -> RequestHead<'static> {
    RequestHead {
        kind,
        ..head(variant)
    }
}

fn key(key: &str) -> Option<StateKey> {
    Some(StateKey {
        variant: STATE,
        key: key.as_bytes().to_vec(),
    })
}

impl super::Peer {
    /// Sends a LOG as a driver does.
    pub(super) fn log(&mut self, body: &str) -> Result<(), Blocked> {
        let head = of_kind(LOG, MsgKind::Log);
        match self.session.send(&head, text(body)) {
            Err(Blocked::NoCapacity) => {
                let droppable = self
                    .session
                    .enqueue_droppable(&head, None, None, text(body));
                droppable.map(|_| ())
            }
            sent => sent,
        }
    }

    fn state(&mut self, of: &str, body: &str) -> Result<(), Blocked> {
        let head = of_kind(STATE, MsgKind::State);
        match self.session.send(&head, text(body)) {
            Err(Blocked::NoCapacity) => {
                let droppable = self
                    .session
                    .enqueue_droppable(&head, key(of), None, text(body));
                droppable.map(|_| ())
            }
            sent => sent,
        }
    }

    /// Puts something on the droppable_queue that is to be acknowledged.
    fn enqueue_droppable(
        &mut self,
        head: &RequestHead<'_>,
        of: Option<StateKey>,
        token: Token,
    ) -> Slot {
        let waiter = Some((token, at(60)));
        let droppable = self
            .session
            .enqueue_droppable(head, of, waiter, text(&token.to_string()));
        droppable.expect("taken").expect("somebody waits")
    }

    fn told(&mut self) -> Vec<(usize, String)> {
        std::iter::from_fn(|| self.session.poll_dropped())
            .map(|(token, outcome)| (token.index(), format!("{outcome:?}")))
            .collect()
    }
}

/// Two ends, of which the client has no credit.
pub(super) fn out_of_credit() -> Pair {
    let mut pair = Pair::open();
    while pair.client.send("x").is_ok() {}
    pair.exchange();
    pair.server.messages.clear();
    pair
}

/// Lets the server handle all that was received, and the client go on, until nothing happens any more.
fn go_on(pair: &mut Pair) {
    loop {
        pair.settle();
        if !pair.client.session.is_waiting() {
            return;
        }
        pair.client.session.send_droppable(0);
    }
}

#[test]
fn the_oldest_logs_are_dropped_and_the_newest_are_sent() {
    let mut pair = out_of_credit();
    // The droppable queue takes an eighth of the outgoing queue, 1 MiB: three of these fit, and a fourth does not.
    let weight = "x".repeat(300_000);
    for number in 1..=5 {
        pair.client
            .log(&format!("{number}{weight}"))
            .expect("taken");
    }
    let dropped = pair.client.session.dropped();
    assert_eq!((dropped.logs, dropped.total()), (2, 2));
    go_on(&mut pair);
    let messages: Vec<&str> = pair.server.messages.iter().map(|body| &body[..1]).collect();
    assert_eq!(messages, ["3", "4", "5"]);
}

#[test]
fn a_message_larger_than_the_queue_is_queued_alone() {
    let mut pair = out_of_credit();
    pair.client.log("small").expect("taken");
    pair.client.log(&"x".repeat(1 << 20)).expect("taken");
    assert_eq!(pair.client.session.dropped().logs, 1);
    pair.client.log("small again").expect("taken");
    assert_eq!(pair.client.session.dropped().logs, 2);
    go_on(&mut pair);
    assert_eq!(pair.server.messages, ["small again"]);
}

#[test]
fn the_waiter_of_a_dropped_message_has_an_outcome_by_its_kind() {
    let mut pair = out_of_credit();
    let log = of_kind(LOG, MsgKind::Log);
    let state = of_kind(STATE, MsgKind::State);
    pair.client.enqueue_droppable(&log, None, Token::new(1));
    pair.client
        .enqueue_droppable(&state, key("a"), Token::new(2));
    pair.client
        .enqueue_droppable(&state, key("b"), Token::new(3));
    pair.client
        .enqueue_droppable(&state, key("a"), Token::new(4));
    assert_eq!(pair.client.told(), [(2, format!("{:?}", Outcome::NOTHING))]);
    pair.client.log(&"x".repeat(1 << 20)).expect("taken");
    // The large one does not fit in addition to the states, and is dropped itself.
    assert_eq!(pair.client.told(), [(1, "Dropped".to_owned())]);
    assert_eq!(pair.client.session.dropped().logs, 2);
    go_on(&mut pair);
    assert_eq!(
        pair.server.messages,
        ["4", "3"],
        "the newest, in the oldest's place"
    );
    assert_eq!(pair.client.outcomes[&3], ["answer "]);
    assert_eq!(pair.client.outcomes[&4], ["answer "]);
    assert!(pair.client.deliver(5, at(60)).is_ok());
    pair.settle();
    assert_eq!(
        pair.client.outcomes[&5],
        ["answer "],
        "the ids have no gap that would hold up later ones"
    );
    assert!(pair.client.session.outbound.is_idle());
}

#[test]
fn a_full_queue_refuses_a_new_state_and_takes_a_log() {
    let mut pair = out_of_credit();
    let large = "x".repeat((1 << 20) - 200);
    pair.client.state("a", &large).expect("taken");
    assert_eq!(pair.client.state("b", &large), Err(Blocked::NoCapacity));
    pair.client
        .state("a", "newer")
        .expect("it takes the older one's place");
    pair.client.state("b", &large).expect("there is room now");
    pair.client.log(&large).expect("taken, and dropped");
    let dropped = pair.client.session.dropped();
    assert_eq!((dropped.replaced, dropped.logs), (1, 1));
}

#[test]
fn logs_yield_to_waiting_messages_and_states_do_not() {
    let mut pair = out_of_credit();
    pair.client.log("1").expect("taken");
    pair.client.state("a", "2").expect("taken");
    pair.client.log("3").expect("taken");
    pair.server.handle();
    let down = pair.server.transmit();
    pair.client.receive(&down, at(0)).expect("no fault");
    // More wait than there is credit for.
    pair.client.session.send_droppable(5000);
    assert!(pair.client.transmit().is_empty(), "logs leave it to them");
    pair.client.session.send_window = SendWindow::new(Credit {
        items: 2,
        bytes: 1000,
    });
    assert_eq!(pair.client.send("4"), Ok(()));
    assert_eq!(pair.client.session.dropped().logs, 2, "they made way");
    let up = pair.client.transmit();
    pair.server.receive(&up, at(0)).expect("no fault");
    assert_eq!(pair.server.messages, ["2", "4"], "no more credit than that");
}

#[test]
fn a_forgotten_droppable_delivery_is_sent_all_the_same() {
    let mut pair = out_of_credit();
    let slot =
        pair.client
            .enqueue_droppable(&of_kind(STATE, MsgKind::State), key("a"), Token::new(1));
    pair.client.session.forget(slot);
    go_on(&mut pair);
    assert_eq!(pair.server.messages, ["1"]);
    assert!(pair.client.outcomes.is_empty());
    assert!(pair.client.session.outbound.is_idle());
    assert_eq!(pair.client.session.dropped(), Dropped::default());
}

#[test]
fn a_loss_drops_the_queue_and_counts_the_reason() {
    let mut pair = out_of_credit();
    pair.client.log("1").expect("taken");
    pair.client.state("a", "2").expect("taken");
    pair.client
        .enqueue_droppable(&of_kind(LOG, MsgKind::Log), None, Token::new(7));
    pair.client.lose();
    assert_eq!(pair.client.session.dropped().disconnected, 2);
    assert_eq!(pair.client.outcomes[&7], ["lost, unsent"]);
}

#[test]
fn a_closing_session_sends_its_droppable_queue_first() {
    let mut pair = out_of_credit();
    pair.client.log("last words").expect("taken");
    pair.client
        .session
        .begin_close(Code::Cancelled, "enough", at(0));
    pair.exchange();
    assert!(!pair.client.session.is_drained());
    go_on(&mut pair);
    assert!(pair.client.session.is_drained() && pair.server.session.is_finished());
    assert_eq!(pair.server.messages, ["last words"]);
}
