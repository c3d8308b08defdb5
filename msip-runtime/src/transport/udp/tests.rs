use msip_session::wire::Side;
use proptest::prelude::*;

use super::{
    datagram::{MAX_FRAME_LEN, MAX_LEN, RefusedDatagram, tag_of},
    grant::LaneGrant,
    replay_window::ReplayWindow,
};

fn grant(tag: u64) -> LaneGrant {
    LaneGrant::known(tag, [7; 32], 7401)
}

proptest! {
    #[test]
    fn what_one_side_seals_the_other_opens(frame in prop::collection::vec(any::<u8>(), 0..=MAX_FRAME_LEN), earlier in 0..3) {
        for side in [Side::Connecting, Side::Accepting] {
            let mut sealer = grant(1).sealer(side);
            for _ in 0..earlier {
                sealer.seal(&[]);
            }
            let datagram = sealer.seal(&frame).unwrap();
            prop_assert!(datagram.len() <= MAX_LEN);
            prop_assert_eq!(tag_of(&datagram), Ok(1));
            let opener = grant(1).opener(side.reverse());
            let mut window = ReplayWindow::default();
            let opened = opener.verify(&datagram).and_then(|authentic| authentic.accept(&mut window));
            prop_assert_eq!(opened, Ok((&frame[..], true)));
            let again = opener.verify(&datagram).and_then(|authentic| authentic.accept(&mut window));
            prop_assert_eq!(again, Err(RefusedDatagram::Repeated));
            // It does not come from this side.
            prop_assert_eq!(grant(1).opener(side).verify(&datagram), Err(RefusedDatagram::Forged));
        }
    }

    #[test]
    fn no_byte_of_a_datagram_may_change(frame in prop::collection::vec(any::<u8>(), 0..100), place: prop::sample::Index, change in 1..=255_u8) {
        let mut datagram = grant(1).sealer(Side::Connecting).seal(&frame).unwrap();
        let place = place.index(datagram.len());
        datagram[place] ^= change;
        let expected = match place {
            0..8 => RefusedDatagram::UnknownTag,
            _ => RefusedDatagram::Forged,
        };
        prop_assert_eq!(grant(1).opener(Side::Accepting).verify(&datagram), Err(expected));
    }

    #[test]
    fn whatever_comes_is_read_or_refused(datagram in prop::collection::vec(any::<u8>(), 0..1300)) {
        prop_assert!(grant(1).opener(Side::Accepting).verify(&datagram).is_err());
    }

    #[test]
    fn a_grant_is_read_as_it_was_written(tag: u64, key: [u8; 32], port: u16, later in prop::collection::vec(any::<u8>(), 0..9)) {
        let value = [LaneGrant::known(tag, key, port).encode(), later].concat();
        let read = LaneGrant::parse(&value).unwrap();
        prop_assert_eq!((read.tag(), read.port()), (tag, port));
        prop_assert_eq!(&read.encode(), &value[..42]);
        for len in 0..42 {
            prop_assert!(LaneGrant::parse(&value[..len]).is_none());
        }
    }
}

#[test]
fn lengths_beyond_the_limits_are_refused_whatever_they_hold() {
    let mut sealer = grant(1).sealer(Side::Connecting);
    assert!(sealer.seal(&[0; MAX_FRAME_LEN + 1]).is_none());
    let mut longest = sealer.seal(&[0; MAX_FRAME_LEN]).unwrap();
    assert_eq!(longest.len(), 1200);
    let opener = grant(1).opener(Side::Accepting);
    assert!(opener.verify(&longest).is_ok());
    longest.push(0);
    assert_eq!(opener.verify(&longest), Err(RefusedDatagram::Length));
    let shortest = sealer.seal(&[]).unwrap();
    assert_eq!(shortest.len(), 32);
    assert!(opener.verify(&shortest).is_ok());
    assert_eq!(opener.verify(&shortest[..31]), Err(RefusedDatagram::Length));
}

#[test]
fn counters_are_never_used_twice() {
    let mut sealer = grant(1).sealer(Side::Connecting);
    sealer.skip_to(u64::MAX - 1);
    assert!(sealer.seal(&[]).is_some());
    assert!(sealer.seal(&[]).is_none(), "there are no more");
    assert!(sealer.seal(&[]).is_none());
}

#[test]
fn a_key_is_not_printed() {
    assert_eq!(format!("{:?}", grant(1)), "LaneGrant { port: 7401, .. }");
}

/// The blocks of the page that begin with this word, each as its lines of the form `name: value`; `hex` is the last of them.
fn vectors(word: &str) -> Vec<Vec<(String, String)>> {
    let page = include_str!("../../../../docs/protocol.md");
    let begin = format!("```{word}\n");
    let blocks = page.split(&begin).skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    blocks
        .map(|block| {
            let (fields, hex) = block.split_once("hex:\n").unwrap();
            let mut fields: Vec<_> = fields.lines().filter_map(field).collect();
            fields.push(("hex".to_owned(), hex.to_owned()));
            fields
        })
        .collect()
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    let field = fields.iter().find(|(own, _)| own == name);
    &field.unwrap_or_else(|| panic!("no {name} in {fields:?}")).1
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn the_page_has_the_bytes_of_grants_and_datagrams() {
    let key = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let known = LaneGrant::known(0x0123_4567_89ab_cdef, key, 7401);
    let grants = vectors("udp-grant");
    assert_eq!(grants.len(), 1);
    assert_eq!(known.encode(), bytes(value(&grants[0], "hex")));
    let datagrams = vectors("udp-datagram");
    assert_eq!(datagrams.len(), 3);
    for fields in &datagrams {
        let side = match value(fields, "sender") {
            "connecting" => Side::Connecting,
            "accepting" => Side::Accepting,
            other => panic!("{other}"),
        };
        let counter: u64 = value(fields, "counter").parse().unwrap();
        let frame = bytes(value(fields, "frame"));
        let mut sealer = known.sealer(side);
        sealer.skip_to(counter - 1);
        let expected = bytes(value(fields, "hex"));
        assert_eq!(sealer.seal(&frame), Some(expected.clone()), "{fields:?}");
        let mut window = ReplayWindow::default();
        let authentic = known.opener(side.reverse()).verify(&expected).unwrap();
        assert_eq!(authentic.accept(&mut window), Ok((&frame[..], true)));
    }
}
