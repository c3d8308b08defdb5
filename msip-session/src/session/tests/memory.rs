//! Memory accounting, and a session while memory is short.

use super::*;
use crate::budget::Share;

const MAX: usize = 16 * Budget::STEP;

/// Two ends whose handshake is done, each with a budget of its own, and those.
fn open() -> (Pair, [Arc<Budget>; 2]) {
    let budgets = [Budget::new(MAX), Budget::new(MAX)];
    let [client, server] =
        [(Side::Connecting, 0), (Side::Accepting, 1)].map(|(side, place)| Config {
            budget: Arc::clone(&budgets[place]),
            ..config(side)
        });
    let mut pair = Pair {
        client: Peer::new(Session::connecting(
            client,
            session_id(),
            &hello(),
            Duration::ZERO,
        )),
        server: Peer::new(Session::accepting(server, Duration::ZERO)),
        now: Duration::ZERO,
    };
    pair.exchange();
    let welcome = welcome();
    pair.server.session.welcome(session_id(), &welcome, 1 << 20);
    pair.exchange();
    (pair, budgets)
}

/// Others that hold all that may be held, and a little more.
fn others(budget: &Arc<Budget>) -> Share {
    let mut others = Share::new(Arc::clone(budget));
    others.report(MAX + 1);
    others
}

#[test]
fn senders_share_the_floor_while_memory_is_short() {
    let (mut pair, [budget, _]) = open();
    let body = "x".repeat(8 * 1024);
    let others = others(&budget);
    pair.client.session.report_memory();
    while pair.client.send(&body).is_ok() {}
    let queued = pair.client.session.queued();
    assert!(
        (Budget::FLOOR..Budget::FLOOR + 2 * body.len()).contains(&queued),
        "{queued}"
    );
    assert_eq!(pair.client.call(1, at(60)), Err(Blocked::NoCapacity));
    pair.settle();
    assert_eq!(pair.client.session.queued(), 0);
    assert!(
        pair.client.call(1, at(60)).is_ok(),
        "the floor is free again"
    );
    drop(others);
    let sent = (0..)
        .take_while(|_| pair.client.send(&body).is_ok())
        .count();
    assert!(
        sent * body.len() > 8 * Budget::FLOOR,
        "up to the window: {sent}"
    );
}

#[test]
fn kept_deliveries_count_while_memory_is_short() {
    let (mut pair, [budget, _]) = open();
    pair.client.session.keep_when_lost();
    let body = "x".repeat(Budget::FLOOR);
    let deliver = |pair: &mut Pair, token| {
        let end = &mut pair.client.session;
        end.deliver(&head(NOTE), token, at(60), text(&body))
    };
    let others = others(&budget);
    pair.client.session.report_memory();
    assert!(deliver(&mut pair, Token::new(1)).is_ok());
    pair.exchange();
    assert_eq!(
        deliver(&mut pair, Token::new(2)),
        Err(Blocked::NoCapacity),
        "not answered"
    );
    pair.settle();
    assert!(
        deliver(&mut pair, Token::new(3)).is_ok(),
        "the first was answered"
    );
    drop(others);
    assert!(deliver(&mut pair, Token::new(4)).is_ok());
}

#[test]
fn calls_beyond_the_floor_are_refused_while_memory_is_short() {
    let (mut pair, [_, budget]) = open();
    let request = "x".repeat(40 * 1024);
    let call = |pair: &mut Pair, token| {
        let end = &mut pair.client.session;
        end.call(
            &head(REQUEST),
            CallShape::UNARY,
            token,
            at(60),
            text(&request),
        )
        .expect("there is room");
        pair.exchange();
    };
    let others = others(&budget);
    pair.server.session.report_memory();
    call(&mut pair, Token::new(1));
    assert!(pair.client.outcomes.is_empty(), "within the floor");
    for token in 2..5000 {
        call(&mut pair, Token::new(token));
        assert_eq!(
            pair.client.outcomes[&token],
            [
                "error RESOURCE_EXHAUSTED: out of memory: queues and sessions hold more than 1048576 bytes (max_memory)"
            ]
        );
    }
    drop(others);
    pair.server.session.report_memory();
    call(&mut pair, Token::new(5000));
    pair.settle();
    for token in [1, 5000] {
        assert_eq!(pair.client.outcomes[&token], [format!("answer {request}")]);
    }
}

#[test]
fn an_idle_session_holds_no_memory() {
    let (mut pair, budgets) = open();
    let body = "x".repeat(2 * Budget::STEP);
    pair.client.session.keep_when_lost();
    let end = &mut pair.client.session;
    end.deliver(&head(NOTE), Token::new(1), at(60), text(&body))
        .expect("sent");
    end.send(&head(NOTE), text(&body)).expect("sent");
    end.call(
        &head(REQUEST),
        CallShape::UNARY,
        Token::new(2),
        at(60),
        text(&body),
    )
    .expect("sent");
    let uploads = CallShape {
        request_stream: true,
        response_stream: false,
    };
    let slot = end
        .call(&head(REQUEST), uploads, Token::new(3), at(60), text(""))
        .expect("sent");
    for _ in 0..2 {
        end.send_item(
            super::super::StreamSide::Caller(slot),
            1,
            false,
            body.len(),
            text(&body),
        )
        .expect("sent");
    }
    end.report_memory();
    assert!(
        end.held() > 6 * 2 * Budget::STEP,
        "the delivery is kept too"
    );
    assert!(budgets[0].held().abs_diff(end.held()) < Budget::STEP);
    pair.exchange();
    pair.server.session.report_memory();
    let held = pair.server.session.held();
    assert!(held > 5 * 2 * Budget::STEP, "{held}");
    assert!(budgets[1].held().abs_diff(held) < Budget::STEP);
    // One item is taken, the other goes with its call.
    let streaming = pair.server.waiting.iter().find_map(|incoming| {
        let ReplyTo::Call(slot) = incoming.reply else {
            return None;
        };
        incoming.is_stream.then_some(slot)
    });
    let streaming = super::super::StreamSide::Callee(streaming.expect("it came"));
    let item_len = u32::try_from(body.len() + 2).expect("fits");
    let taken = Credit {
        items: 1,
        bytes: item_len,
    };
    let _ = pair.server.session.items_consumed(streaming, taken);
    pair.exchange();
    assert_eq!(pair.server.session.held(), held - body.len() - 2);
    pair.settle();
    for (name, end) in pair.ends() {
        end.session.report_memory();
        assert_eq!(end.session.held(), 0, "{name}");
    }
    assert_eq!(budgets.map(|budget| budget.held()), [0, 0]);
}

#[test]
fn a_session_without_a_connection_counts_whole() {
    let (mut pair, [_, budget]) = open();
    pair.server.session.keep_when_lost();
    let end = &mut pair.server.session;
    end.deliver(&head(NOTE), Token::new(1), at(60), text("kept"))
        .expect("sent");
    end.report_memory();
    assert_eq!(budget.held(), 0, "less than a step");
    end.suspend(None);
    let queues = end.held();
    assert_eq!(budget.held(), queues);
    end.allow_eviction(Box::new(|| {}), 1000);
    assert_eq!(budget.held(), queues + 1000);
    let agreed = PeerTerms {
        peer_max_body: 0,
        max_calls: 0,
        awaited: &[],
    };
    end.resume(&agreed, at(1));
    assert_eq!(budget.held(), queues);
    drop(pair);
    assert_eq!(budget.held(), 0);
}

#[test]
fn a_session_may_be_evicted_while_it_has_no_connection() {
    let (mut pair, [_, budget]) = open();
    pair.server.session.keep_when_lost();
    let body = "x".repeat(2 * Budget::STEP);
    let end = &mut pair.server.session;
    end.deliver(&head(NOTE), Token::new(1), at(60), text(&body))
        .expect("sent");
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let end_it = |end: &mut Session| {
        let ended = Arc::clone(&ended);
        let evict = Box::new(move || {
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        end.allow_eviction(evict, 0);
    };
    let is_ended = || ended.load(std::sync::atomic::Ordering::Relaxed);
    let agreed = PeerTerms {
        peer_max_body: 0,
        max_calls: 0,
        awaited: &[],
    };
    end.suspend(None);
    end_it(end);
    end.resume(&agreed, at(1));
    drop(others(&budget));
    assert!(!is_ended(), "it has a connection");
    end.suspend(None);
    end_it(end);
    let others = others(&budget);
    assert!(is_ended());
    drop(others);
    assert!(budget.held() > 2 * Budget::STEP);
    end.lost(None);
    drop(pair);
    assert_eq!(budget.held(), 0);
}

#[test]
fn a_decoded_request_counts_until_its_handler_has_ended() {
    let (mut pair, [_, budget]) = open();
    let mut others = Share::new(Arc::clone(&budget));
    others.report(MAX - 4 * Budget::STEP);
    let [before, big] = [budget.held(), 2 * Budget::STEP];
    for token in [1, 2] {
        pair.client.call(token, at(60)).expect("sent");
    }
    pair.exchange();
    let slots: Vec<_> = pair
        .server
        .waiting
        .iter()
        .filter_map(|incoming| match incoming.reply {
            ReplyTo::Call(slot) => Some(slot),
            _ => None,
        })
        .collect();
    let [first, second] = slots[..] else {
        panic!("two calls came: {slots:?}");
    };
    let server = &mut pair.server.session;
    assert_eq!(server.request_grows(first, big), Ok(()));
    assert!(budget.held().abs_diff(before + big) < Budget::STEP);
    assert_eq!(
        server.request_grows(second, 4 * Budget::STEP),
        Err(Busy::Memory { max: MAX })
    );
    assert!(
        budget.held().abs_diff(before + big) < Budget::STEP,
        "what was refused is not held"
    );
    assert_eq!(
        server.request_grows(second, Budget::STEP),
        Ok(()),
        "what fits"
    );
    pair.settle();
    pair.server.session.report_memory();
    assert_eq!(budget.held(), before);
}

#[test]
fn a_decoded_message_counts_until_it_is_handled() {
    let (mut pair, [_, budget]) = open();
    let server = &mut pair.server.session;
    let big = MAX - Budget::STEP;
    assert_eq!(server.message_grows(big), Ok(()));
    assert!(budget.held().abs_diff(big) < Budget::STEP);
    server.message_handled();
    assert_eq!(budget.held(), 0);
    assert_eq!(
        server.message_grows(MAX + 1),
        Err(Busy::Memory { max: MAX })
    );
    assert_eq!(budget.held(), 0);
    let _others = others(&budget);
    assert_eq!(
        server.message_grows(Budget::FLOOR),
        Ok(()),
        "the floor is there in any case"
    );
    server.message_handled();
}
