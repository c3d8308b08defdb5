//! Any transport: cut at every byte, and in any chunks.

use super::*;

/// A small conversation with every shape of exchange in both directions, over a transport that breaks after so many
/// bytes each way. Returns how many bytes went each way.
fn converse(up_limit: usize, down_limit: usize) -> (usize, usize) {
    let name = format!("cut after {up_limit} bytes up, {down_limit} down");
    let mut pair = Pair::before_handshake();
    let mut opened = [0, 0];
    let (mut up_len, mut down_len) = (0, 0);
    for round in 0..12 {
        if round == 2 {
            pair.server
                .session
                .welcome(session_id(), &welcome(), 1 << 20);
        }
        for (index, (_, end)) in pair.ends().into_iter().enumerate() {
            let deadline = at(60);
            let count = &mut opened[index];
            // A message that is blocked is not an exchange.
            *count += usize::from(end.call(*count, deadline).is_ok());
            *count += usize::from(end.deliver(*count, deadline).is_ok());
            *count += usize::from(end.session.ping(b"?", Token::new(*count), deadline).is_ok());
            // Whether it is blocked does not matter here.
            let _ = end.send("note");
            if round == 8 {
                end.session.begin_close(Code::Cancelled, "done", at(1));
            }
            end.handle();
        }
        let (up, down) = (pair.client.transmit(), pair.server.transmit());
        for (end, bytes, passed, limit) in [
            (&mut pair.server, up, &mut up_len, up_limit),
            (&mut pair.client, down, &mut down_len, down_limit),
        ] {
            let len = limit.saturating_sub(*passed).min(bytes.len());
            *passed += len;
            end.receive(&bytes[..len], at(1))
                .unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
    }
    for (index, (side, end)) in pair.ends().into_iter().enumerate() {
        end.lose();
        end.handle();
        assert_eq!(
            end.outcomes.len(),
            opened[index],
            "{name}: the {side} has an outcome of each exchange"
        );
        for (token, outcomes) in &end.outcomes {
            assert_eq!(
                outcomes.len(),
                1,
                "{name}: exchange {token} of the {side}: {outcomes:?}"
            );
        }
        assert_eq!(end.session.open_exchanges(), 0, "{name}");
    }
    (up_len, down_len)
}

#[test]
fn a_conversation_may_be_cut_at_every_byte() {
    let (up, down) = converse(usize::MAX, usize::MAX);
    assert!(
        up > 1000 && down > 1000,
        "{up} bytes up and {down} down are more than a handshake"
    );
    for cut in 0..=up {
        converse(cut, usize::MAX);
    }
    for cut in 0..=down {
        converse(usize::MAX, cut);
    }
    for cut in (0..=up.max(down)).step_by(7) {
        converse(cut, cut);
    }
}

#[test]
fn any_chunking_gives_the_same_conversation() {
    let mut whole = Pair::open();
    let mut bytewise = Pair::open();
    for pair in [&mut whole, &mut bytewise] {
        for token in 0..4 {
            pair.client.call(token, at(60)).expect("sent");
            pair.client.send("between").expect("sent");
            pair.client.deliver(100 + token, at(60)).expect("sent");
        }
    }
    whole.settle();
    loop {
        let (up, down) = (bytewise.client.transmit(), bytewise.server.transmit());
        if up.is_empty() && down.is_empty() {
            break;
        }
        for byte in up {
            bytewise.server.receive(&[byte], at(0)).expect("no fault");
        }
        for byte in down {
            bytewise.client.receive(&[byte], at(0)).expect("no fault");
        }
        bytewise.server.handle();
    }
    assert_eq!(bytewise.server.messages, whole.server.messages);
    assert_eq!(bytewise.client.outcomes, whole.client.outcomes);
    assert_eq!(bytewise.client.outcomes.len(), 8);
}
