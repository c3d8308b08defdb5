//! Keepalive pings and pongs.

use super::*;

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut pair = Pair::open();
    pair.client.call(1, at(3600)).expect("sent");
    pair.client.transmit();
    assert_eq!(pair.client.session.poll_timeout(), at(10));
    pair.client.timeout(at(10)).expect("asked first");
    let ping = frames(&pair.client.transmit());
    assert_eq!(ping.len(), 1);
    assert_eq!(ping[0].header.frame_type, FrameType::Ping);
    assert_eq!(pair.client.session.poll_timeout(), at(20));
    assert_eq!(pair.client.timeout(at(20)), Err(TimedOut::Silence(at(20))));
    pair.client.lose();
    assert_eq!(pair.client.outcomes[&1], ["lost, sent"]);
}

#[test]
fn two_live_peers_stay_together_for_years() {
    let mut pair = Pair::open();
    let year = at(365 * 86_400);
    let mut steps = 0_u32;
    while pair.now < year {
        let next = pair
            .ends()
            .map(|(_, end)| end.session.poll_timeout())
            .into_iter()
            .min();
        let next = next.expect("there are two");
        assert!(next > pair.now, "it does not spin at {:?}", pair.now);
        // Steps of an hour keep the test short; no peer is considered dead because the clock moves in steps.
        pair.now = next + at(3600);
        let now = pair.now;
        for (name, end) in pair.ends() {
            assert_eq!(end.timeout(now), Ok(()), "the {name} at {now:?}");
        }
        pair.exchange();
        steps += 1;
    }
    assert!(steps > 8000, "{steps} steps");
    for (name, end) in pair.ends() {
        assert_eq!(end.session.round_trip(), Some(Duration::ZERO), "{name}");
        assert_eq!(end.session.ignored(), 0, "{name}");
    }
}

#[test]
fn pings_beyond_the_queued_pongs_are_ignored() {
    let mut pair = Pair::open();
    for sequence in 0..100 {
        pair.client
            .session
            .ping(b"x", Token::new(sequence), at(60))
            .expect("sent");
    }
    let up = pair.client.transmit();
    pair.server.receive(&up, at(0)).expect("no flood yet");
    let pongs = frames(&pair.server.transmit());
    assert_eq!(pongs.len(), 16);
    assert_eq!(pair.server.session.ignored(), 84);
}
