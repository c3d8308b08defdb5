//! LOG and METRIC messages that go by datagrams.

use bytes::Bytes;
use proptest::prelude::*;

use super::{droppable::out_of_credit, *};

const LOG: u16 = 4;
/// What a QUIC connection takes at first.
const MAX_LEN: usize = 1162;

fn of_kind(kind: MsgKind) -> RequestHead<'static> {
    RequestHead { kind, ..head(LOG) }
}

impl Peer {
    pub(super) fn by_kind(&mut self, kind: MsgKind, body: &str) -> Result<(), Blocked> {
        self.session.send(&of_kind(kind), text(body))
    }

    fn datagrams(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.session.poll_datagram()).collect()
    }
}

/// A frame of the client's that fits a datagram, but for what a test changes.
fn frame(change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header {
        kind: MsgKind::Log.into(),
        variant: LOG,
        payload_len: 6,
        ..Header::control(FrameType::Publish, MsgId::exchange(Side::Connecting, 70))
    };
    change(&mut header);
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(b"\0\0body");
    bytes
}

fn pair() -> Pair {
    let mut pair = Pair::open();
    for (_, peer) in pair.ends() {
        peer.session.allow_datagrams(MAX_LEN);
    }
    pair
}

#[test]
fn logs_and_metrics_go_by_datagrams_and_the_rest_by_the_stream() {
    let mut pair = pair();
    let before = pair.client.session.send_window.items();
    for kind in [
        MsgKind::Log,
        MsgKind::Event,
        MsgKind::Metric,
        MsgKind::Command,
        MsgKind::State,
    ] {
        pair.client.by_kind(kind, &format!("{kind:?}")).unwrap();
    }
    let acknowledged = Token::new(1);
    let head = of_kind(MsgKind::Log);
    pair.client
        .session
        .deliver(&head, acknowledged, at(60), text("awaited"))
        .unwrap();
    pair.exchange();
    assert_eq!(
        pair.server.messages,
        ["Event", "Command", "State", "awaited"]
    );
    assert_eq!(before - pair.client.session.send_window.items(), 4);
    let datagrams = pair.client.datagrams();
    let bodies: Vec<_> = datagrams
        .into_iter()
        .map(|datagram| {
            let incoming = pair.server.session.handle_datagram(datagram.into());
            let incoming = incoming.expect("is one");
            assert_eq!((incoming.payload_len, incoming.reply), (0, ReplyTo::Nobody));
            incoming.body
        })
        .collect();
    assert_eq!(bodies, ["Log", "Metric"]);
    assert_eq!(pair.server.session.dropped().total(), 0);
}

#[test]
fn an_excluded_kind_goes_by_the_stream_as_long_as_the_connection_lasts() {
    let mut pair = pair();
    let client = &mut pair.client.session;
    client.exclude_from_datagrams(MsgKind::Metric);
    // No other kind ever goes by one.
    client.exclude_from_datagrams(MsgKind::Event);
    pair.client.by_kind(MsgKind::Log, "log").unwrap();
    pair.client.by_kind(MsgKind::Metric, "metric").unwrap();
    pair.exchange();
    assert_eq!(pair.server.messages, ["metric"]);
    assert_eq!(pair.client.datagrams().len(), 1);
    pair.client.session.lose_datagrams();
    pair.client.session.allow_datagrams(MAX_LEN);
    pair.client.by_kind(MsgKind::Metric, "another").unwrap();
    assert_eq!(pair.client.datagrams().len(), 1);
}

#[test]
fn a_datagram_needs_no_credit_and_waits_behind_nothing() {
    let mut pair = out_of_credit();
    pair.client.session.allow_datagrams(MAX_LEN);
    pair.client.log("at once").unwrap();
    let head = of_kind(MsgKind::Log);
    let enqueued = pair
        .client
        .session
        .enqueue_droppable(&head, None, None, text("as well"));
    assert_eq!(enqueued, Ok(None));
    let datagrams = pair.client.datagrams();
    assert_eq!(datagrams.len(), 2);
    let ids: Vec<_> = datagrams
        .iter()
        .map(|datagram| frames(datagram)[0].header.msg_id)
        .collect();
    assert!(ids[0] < ids[1] && ids[0] > MsgId::CONNECTION, "{ids:?}");
}

#[test]
fn what_does_not_fit_a_datagram_goes_by_the_stream() {
    let mut pair = pair();
    let overhead = HEADER_LEN + 2;
    let (fits, too_long) = (
        "x".repeat(MAX_LEN - overhead),
        "y".repeat(MAX_LEN - overhead + 1),
    );
    pair.client.by_kind(MsgKind::Log, &fits).unwrap();
    pair.client.by_kind(MsgKind::Log, &too_long).unwrap();
    pair.exchange();
    assert_eq!(pair.server.messages, [too_long]);
    let datagrams = pair.client.datagrams();
    assert_eq!((datagrams.len(), datagrams[0].len()), (1, MAX_LEN));
}

#[test]
fn the_oldest_are_dropped_where_nothing_leaves_and_all_where_the_connection_is_lost() {
    let mut pair = pair();
    pair.client.session.keep_when_lost();
    let body = |number: u32| format!("{number:0>1000}");
    for number in 0..1000 {
        let kind = if number % 2 == 0 {
            MsgKind::Log
        } else {
            MsgKind::Metric
        };
        pair.client.by_kind(kind, &body(number)).unwrap();
    }
    let dropped = pair.client.session.dropped();
    let left = 1000 - dropped.total();
    assert!(dropped.logs.abs_diff(dropped.metrics) <= 1, "{dropped:?}");
    assert!(
        left > 200 && pair.client.session.held() < 300 * 1024,
        "{left}"
    );
    let first = pair.client.session.poll_datagram().expect("waits");
    let oldest = u32::try_from(dropped.total()).unwrap();
    assert!(first.ends_with(body(oldest).as_bytes()));
    pair.client.session.datagram_unsent(&first);
    pair.client.session.suspend(None);
    let dropped = pair.client.session.dropped();
    assert_eq!((dropped.total(), dropped.disconnected), (1000, left - 1));
    // The next connection may have none.
    assert_eq!(
        pair.client.by_kind(MsgKind::Log, "x"),
        Err(Blocked::Disconnected)
    );
}

#[test]
fn only_a_log_or_metric_that_asks_for_nothing_may_come_by_a_datagram() {
    let by = |change: fn(&mut Header)| frame(change);
    let refused = [
        ("an event", by(|header| header.kind = MsgKind::Event.into())),
        ("a state", by(|header| header.kind = MsgKind::State.into())),
        (
            "an unknown kind",
            by(|header| header.kind = crate::wire::RawKind::new(99)),
        ),
        (
            "a delivery",
            by(|header| {
                header.flags = Flags::ACK_REQUIRED;
                header.msg_id = MsgId::delivery(Side::Connecting, 1);
            }),
        ),
        ("a call", by(|header| header.flags = Flags::ACK_REQUIRED)),
        (
            "a delivery's id",
            by(|header| header.msg_id = MsgId::delivery(Side::Connecting, 1)),
        ),
        (
            "the connection's id",
            by(|header| header.msg_id = MsgId::CONNECTION),
        ),
        (
            "the other side's id",
            by(|header| header.msg_id = MsgId::exchange(Side::Accepting, 9)),
        ),
        ("more to come", by(|header| header.flags = Flags::MORE)),
        ("an item", by(|header| header.flags = Flags::ITEM)),
        (
            "a repeated one",
            by(|header| header.flags = Flags::REDELIVERED),
        ),
        ("compressed", by(|header| header.flags = Flags::COMPRESSED)),
        (
            "metadata beyond the frame",
            by(|header| header.flags = Flags::META),
        ),
        (
            "the wrong direction",
            by(|header| header.frame_type = FrameType::Event),
        ),
        ("a ping", by(|header| header.frame_type = FrameType::Ping)),
        ("a close", by(|header| header.frame_type = FrameType::Close)),
        (
            "an error",
            by(|header| header.frame_type = FrameType::Error),
        ),
        (
            "a credit",
            by(|header| header.frame_type = FrameType::Credit),
        ),
        ("longer than it is", by(|header| header.payload_len = 7)),
        ("shorter than it is", by(|header| header.payload_len = 5)),
        ("two frames", [frame(|_| {}), frame(|_| {})].concat()),
        ("a header alone", frame(|_| {})[..HEADER_LEN].to_vec()),
        (
            "less than a header",
            frame(|_| {})[..HEADER_LEN - 1].to_vec(),
        ),
        ("nothing", Vec::new()),
        ("no frame", vec![0xff; 100]),
    ];
    let mut pair = pair();
    let server = &mut pair.server.session;
    for (count, (name, datagram)) in (1..).zip(refused) {
        assert!(server.handle_datagram(datagram.into()).is_none(), "{name}");
        assert_eq!(server.dropped().received, count, "{name}");
    }
    assert!(server.handle_datagram(frame(|_| {}).into()).is_some());
    assert!(server.is_open() && server.take_fault().is_none());
    pair.settle();
    assert_eq!(pair.client.told, ["welcome here"]);
}

#[test]
fn before_the_handshake_and_after_the_close_a_datagram_is_dropped() {
    let mut pair = Pair::before_handshake();
    let datagram = || Bytes::from(frame(|_| {}));
    assert!(pair.server.session.handle_datagram(datagram()).is_none());
    let mut pair = self::pair();
    assert!(pair.server.session.handle_datagram(datagram()).is_some());
    pair.client
        .session
        .begin_close(Code::Unavailable, "", pair.now);
    pair.exchange();
    assert!(pair.server.session.handle_datagram(datagram()).is_none());
    assert_eq!(pair.server.session.dropped().received, 1);
}

#[test]
fn while_too_many_wait_for_their_handlers_none_is_taken() {
    let mut pair = pair();
    let server = &mut pair.server.session;
    let mut taken = 0;
    while server.may_receive_datagram() {
        assert!(server.handle_datagram(frame(|_| {}).into()).is_some());
        taken += 1;
    }
    assert_eq!(taken, 256);
    let held = server.held();
    assert!(held > 256 * 64, "it counts: {held}");
    server.datagram_handled();
    assert!(server.may_receive_datagram() && server.held() < held);
    server.count_unreceived(3);
    assert_eq!(server.dropped().received, 3);
}

#[test]
fn a_session_whose_connections_have_no_datagrams_holds_nothing_for_them() {
    let mut pair = Pair::open();
    pair.client.session.allow_datagrams(0);
    pair.client.by_kind(MsgKind::Log, "by the stream").unwrap();
    assert!(pair.client.session.datagrams.is_none());
    pair.exchange();
    assert_eq!(pair.server.messages, ["by the stream"]);
}

proptest! {
    #[test]
    fn no_datagram_is_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..32usize) {
        let mut pair = pair();
        let mut almost = frame(|_| {});
        almost.truncate(cut);
        almost.extend_from_slice(&bytes);
        for datagram in [bytes, almost] {
            let is_taken = pair.server.session.handle_datagram(datagram.into()).is_some();
            prop_assert!(pair.server.session.dropped().received > 0 || is_taken);
        }
        prop_assert!(pair.server.session.is_open() && !pair.server.session.has_transmit());
    }
}
