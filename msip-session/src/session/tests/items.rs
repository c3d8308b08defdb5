//! Items on the fast path: batches, and items that are accepted by their header.

use super::{streams::streaming, *};

/// A batch of items with these bodies.
fn batch(session: &mut Session, end: StreamSide, bodies: &[&str]) -> ItemBatch {
    let head = session.item_head(end).expect("a stream");
    let mut batch = ItemBatch::default();
    for body in bodies {
        batch.push(&head, ANSWER, false, body.len(), text(body));
    }
    batch
}

fn begin_answers(pair: &mut Pair, callee: StreamSide) {
    let StreamSide::Callee(slot) = callee else {
        panic!("{callee:?}");
    };
    pair.server.session.begin_answers(slot);
}

/// How many items each side may send, of all streams.
fn windows(session: &Session) -> Vec<(Option<i64>, Option<i64>)> {
    let windows = session.streams.windows();
    windows.map(|it| (it.sends, it.receives)).collect()
}

#[test]
fn a_batch_is_written_as_its_items_one_by_one() {
    let bodies = ["one", "", "three and more"];
    for (request_stream, name) in [(false, "answers"), (true, "requests")] {
        let (mut together, caller, callee) = streaming(request_stream, !request_stream);
        let (mut one_by_one, ..) = streaming(request_stream, !request_stream);
        let mut sent = Vec::new();
        for (pair, is_batch) in [(&mut together, true), (&mut one_by_one, false)] {
            if !request_stream {
                begin_answers(pair, callee);
            }
            let (from, end) = if request_stream {
                (&mut pair.client, caller)
            } else {
                (&mut pair.server, callee)
            };
            if is_batch {
                let mut batch = batch(&mut from.session, end, &bodies);
                assert_eq!(from.session.send_items(end, &mut batch), Ok(()), "{name}");
                assert!(batch.is_empty());
            } else {
                for body in bodies {
                    let len = body.len();
                    let item = from.session.send_item(end, ANSWER, false, len, text(body));
                    assert_eq!(item, Ok(()), "{name}");
                }
            }
            sent.push((from.transmit(), windows(&from.session)));
        }
        assert_eq!(sent[0], sent[1], "{name}");
    }
}

#[test]
fn a_batch_of_items_is_sent_whole_or_not_at_all() {
    let (mut pair, caller, callee) = streaming(false, true);
    begin_answers(&mut pair, callee);
    let capacity = |session: &mut Session| session.item_capacity(callee);
    let session = &mut pair.server.session;
    assert_eq!(capacity(session).items, 16);
    let mut first = batch(session, callee, &["x"; 10]);
    assert_eq!(session.send_items(callee, &mut first), Ok(()));
    assert_eq!(capacity(session).items, 6);
    let mut second = batch(session, callee, &["y"; 10]);
    assert_eq!(
        session.send_items(callee, &mut second),
        Err(Blocked::NoCapacity)
    );
    assert_eq!((second.item_count(), capacity(session).items), (10, 6));
    pair.exchange();
    assert_eq!(pair.client.told, ["item x"; 10]);
    let taken = Credit {
        items: 10,
        bytes: 10,
    };
    let due = pair.client.session.items_consumed(caller, taken);
    assert_eq!(due.map(|due| due.items), Some(8));
    pair.exchange();
    let session = &mut pair.server.session;
    assert_eq!(session.send_items(callee, &mut second), Ok(()));
    pair.exchange();
    assert_eq!(pair.client.told[10..], ["item y"; 10]);
}

#[test]
fn the_last_item_of_a_batch_may_exceed_the_bytes() {
    let (mut pair, _, callee) = streaming(false, true);
    begin_answers(&mut pair, callee);
    let large = "x".repeat(300 * 1024);
    for (bodies, outcome) in [
        (
            ["small", &large, "late"].as_slice(),
            Err(Blocked::NoCapacity),
        ),
        (&["small", &large], Ok(())),
        (&["late"], Err(Blocked::NoCapacity)),
    ] {
        let session = &mut pair.server.session;
        let mut batch = batch(session, callee, bodies);
        let names: Vec<usize> = bodies.iter().map(|body| body.len()).collect();
        assert_eq!(session.send_items(callee, &mut batch), outcome, "{names:?}");
    }
    assert_eq!(pair.server.session.item_capacity(callee).bytes, 0);
    pair.exchange();
    assert_eq!(pair.client.told.len(), 2, "both were within the window");
}

#[test]
fn a_batch_of_an_exchange_that_has_ended_is_refused() {
    let (mut pair, caller, callee) = streaming(false, true);
    begin_answers(&mut pair, callee);
    let mut batch = batch(&mut pair.server.session, callee, &["x"]);
    let StreamSide::Caller(slot) = caller else {
        panic!("{caller:?}");
    };
    pair.client.session.forget(slot);
    pair.exchange();
    let session = &mut pair.server.session;
    assert_eq!(
        session.send_items(callee, &mut batch),
        Err(Blocked::Closing)
    );
    assert!(session.item_head(callee).is_none());
    let nothing = Credit { items: 0, bytes: 0 };
    assert_eq!(session.item_capacity(callee), nothing);
}

/// The frames of these items, as one end sends them to the other.
fn sent_items(request_stream: bool, bodies: &[&str]) -> (Pair, Vec<Frame>) {
    let (mut pair, caller, callee) = streaming(request_stream, !request_stream);
    let bytes = if request_stream {
        let mut batch = batch(&mut pair.client.session, caller, bodies);
        let sent = pair.client.session.send_items(caller, &mut batch);
        assert_eq!(sent, Ok(()));
        pair.client.transmit()
    } else {
        begin_answers(&mut pair, callee);
        let mut batch = batch(&mut pair.server.session, callee, bodies);
        let sent = pair.server.session.send_items(callee, &mut batch);
        assert_eq!(sent, Ok(()));
        pair.server.transmit()
    };
    (pair, frames(&bytes))
}

#[test]
fn both_paths_accept_and_count_the_same_items() {
    for request_stream in [false, true] {
        let mut seen = Vec::new();
        for is_short in [true, false] {
            let (mut pair, frames) = sent_items(request_stream, &["one", "two"]);
            let to = if request_stream {
                &mut pair.server
            } else {
                &mut pair.client
            };
            let mut items = Vec::new();
            for frame in frames {
                let taken = if is_short {
                    to.session.handle_item(FrameRef::from(&frame))
                } else {
                    match to.session.handle_frame(frame, at(0)) {
                        Ok(Some(Event::Item { token, item })) => {
                            Some((ItemTarget::Answers(token), item))
                        }
                        Ok(Some(Event::RequestItem { slot, item, .. })) => {
                            item.map(|item| (ItemTarget::Requests(slot), item))
                        }
                        _ => None,
                    }
                };
                items.push(format!("{:?}", taken.expect("an item")));
            }
            seen.push((items, windows(&to.session)));
        }
        assert_eq!(seen[0], seen[1], "requests: {request_stream}");
    }
}

#[test]
fn an_unusual_item_takes_the_slow_path() {
    type Change = fn(&mut Frame);
    let unusual: [(&str, Change); 8] = [
        ("the last", |frame| {
            frame.header.flags = frame.header.flags.without(Flags::MORE);
        }),
        ("with metadata", |frame| {
            frame.header.flags = frame.header.flags.union(Flags::META);
        }),
        ("compressed, which was not agreed", |frame| {
            frame.header.flags = frame.header.flags.union(Flags::COMPRESSED);
        }),
        ("in the wrong direction", |frame| {
            frame.header.frame_type = match frame.header.frame_type {
                FrameType::Publish => FrameType::Event,
                _ => FrameType::Publish,
            };
        }),
        ("of nothing that is open", |frame| {
            frame.header.msg_id = MsgId::new(frame.header.msg_id.number() + 40);
        }),
        ("empty", |frame| {
            let topic_len = if frame.header.frame_type == FrameType::Ack {
                0
            } else {
                2
            };
            frame.payload.truncate(topic_len);
        }),
        ("too large", |frame| {
            let len = to_usize(Limits::default().max_body) + 3;
            frame.payload = vec![0; len].into();
        }),
        ("that asks for an answer", |frame| {
            frame.header.flags = frame.header.flags.union(Flags::ACK_REQUIRED);
        }),
    ];
    for request_stream in [false, true] {
        for (name, change) in unusual {
            let (mut pair, mut frames) = sent_items(request_stream, &["one"]);
            let to = if request_stream {
                &mut pair.server
            } else {
                &mut pair.client
            };
            let mut frame = frames.remove(0);
            change(&mut frame);
            frame.header.payload_len = u32::try_from(frame.payload.len()).expect("short");
            let before = windows(&to.session);
            let taken = to.session.handle_item(FrameRef::from(&frame));
            assert!(taken.is_none(), "{name}");
            assert_eq!(windows(&to.session), before, "{name}");
        }
    }
}

#[test]
fn an_item_beyond_the_credit_takes_the_slow_path_and_is_a_fault() {
    let bodies = ["x"; 16];
    for request_stream in [false, true] {
        let (mut pair, frames) = sent_items(request_stream, &bodies);
        let to = if request_stream {
            &mut pair.server
        } else {
            &mut pair.client
        };
        let one_more = frames[0].clone();
        for frame in frames {
            assert!(to.session.handle_item(FrameRef::from(&frame)).is_some());
        }
        let taken = to.session.handle_item(FrameRef::from(&one_more));
        assert!(taken.is_none(), "no credit");
        let fault = to.session.handle_frame(one_more, at(0));
        let fault = fault.expect_err("a window of 16");
        assert_eq!(fault.code, Code::ResourceExhausted);
    }
}

#[test]
fn interleaved_items_of_two_calls_reach_their_calls() {
    let mut pair = Pair::open();
    let shape = CallShape {
        request_stream: true,
        response_stream: false,
    };
    let session = &mut pair.client.session;
    let slots: Vec<Slot> = (1..=2)
        .map(|token| {
            let head = super::head(REQUEST);
            session
                .call(&head, shape, Token::new(token), Duration::MAX, text("open"))
                .expect("capacity")
        })
        .collect();
    for place in 0..6 {
        let end = StreamSide::Caller(slots[place % 2]);
        let mut batch = batch(session, end, &[&place.to_string()]);
        assert_eq!(session.send_items(end, &mut batch), Ok(()));
    }
    let bytes = pair.client.transmit();
    let server = &mut pair.server.session;
    let mut came = std::collections::BTreeMap::<_, Vec<String>>::new();
    for frame in frames(&bytes) {
        match server.handle_item(FrameRef::from(&frame)) {
            Some((ItemTarget::Requests(slot), item)) => {
                let body = String::from_utf8_lossy(&item.body).into_owned();
                came.entry(slot).or_default().push(body);
            }
            Some(other) => panic!("{other:?}"),
            None => {
                server.handle_frame(frame, at(0)).expect("a call");
            }
        }
    }
    let came: Vec<String> = came.into_values().map(|bodies| bodies.concat()).collect();
    assert_eq!(came, ["024", "135"]);
}
