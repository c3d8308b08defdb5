//! The body of the fuzz target `udp_datagram`.

use std::collections::BTreeSet;

use msip_session::wire::Side;

use super::{
    datagram::{MAX_LEN, RefusedDatagram},
    grant::LaneGrant,
    replay_window::{ReplayWindow, WINDOW},
};

/// Operations on the datagrams of one connection, of two bytes and more each: some are made, and come once, again, changed, cut,
/// sent back, or with the tag of another connection; some are made up. Fails where anything is taken that was not made, or is
/// taken twice, or where what was made and is new is not taken.
pub(crate) fn udp_datagram(data: &[u8]) {
    let grant = LaneGrant::known(7, [1; 32], 0);
    let mut sealer = grant.sealer(Side::Connecting);
    let opener = grant.opener(Side::Accepting);
    let (mut window, mut seen) = (ReplayWindow::default(), BTreeSet::new());
    // Those that were made, and by that the counters: the first has 1.
    let mut made: Vec<Vec<u8>> = Vec::new();
    let mut rest = data;
    while let Some((&[operation, argument], after)) = rest.split_first_chunk() {
        rest = after;
        let picked = made.len().saturating_sub(1 + usize::from(argument) % 80);
        let datagram = match operation % 8 {
            0 | 1 => {
                let len = rest.len().min(usize::from(argument) * 5);
                let (frame, after) = rest.split_at(len);
                rest = after;
                let sealed = sealer.seal(frame);
                assert_eq!(sealed.is_some(), frame.len() + 32 <= MAX_LEN);
                made.extend(sealed);
                continue;
            }
            2 | 3 => made.get(picked).cloned().map(|made| (made, Some(picked))),
            // One bit of it is another.
            4 => made.get(picked).cloned().map(|mut made| {
                let bit = usize::from(operation) * 37 + usize::from(argument);
                let place = bit / 8 % made.len();
                made[place] ^= 1 << (bit % 8);
                (made, None)
            }),
            5 => made.get(picked).map(|made| {
                let len = made.len() - 1 - usize::from(operation / 8) % made.len();
                (made[..len].to_vec(), None)
            }),
            // What the other side could have made of the same bytes.
            6 => {
                let frame = rest.get(..usize::from(argument)).unwrap_or(rest);
                let reflected = grant.sealer(Side::Accepting).seal(frame);
                reflected.map(|datagram| (datagram, None))
            }
            _ => {
                let len = rest.len().min(usize::from(argument) * 5);
                let (raw, after) = rest.split_at(len);
                rest = after;
                Some((raw.to_vec(), None))
            }
        };
        let Some((datagram, index)) = datagram else {
            continue;
        };
        let opened = opener
            .verify(&datagram)
            .and_then(|authentic| authentic.accept(&mut window));
        let Some(index) = index else {
            assert!(opened.is_err(), "nobody has made {datagram:02x?}");
            assert_ne!(opened, Err(RefusedDatagram::Repeated));
            continue;
        };
        let counter = u64::try_from(index).map_or(0, |index| index + 1);
        let newest = seen.last().copied().unwrap_or(0);
        let is_new = counter + WINDOW > newest && seen.insert(counter);
        match opened {
            Ok((frame, is_newest)) => {
                assert!(is_new, "{counter} was taken twice, or is too old");
                assert_eq!(frame, &datagram[16..datagram.len() - 16]);
                assert_eq!(is_newest, counter > newest);
            }
            Err(why) => {
                assert_eq!(why, RefusedDatagram::Repeated);
                assert!(!is_new, "{counter} was new");
            }
        }
    }
}
