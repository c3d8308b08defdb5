//! Bodies that inflate beyond what a body may have.

use std::io::Write as _;

use flate2::write::GzEncoder;
use msip_runtime::wire::{Compression, Flags, Side};

use super::Groups;
use crate::{
    case::Driver,
    message::item,
    protocol::conformance::Item,
    raw::{Meeting, Met, Opening, ack, envelope},
};

/// The limit of a body, as it is set.
const MAX_BODY: usize = 65_536;

/// What a bomb becomes.
const BOMB: usize = 12 << 20;

pub(super) fn add(groups: &mut Groups) {
    let all: [(&str, &[&str], Compression); 3] = [
        ("gzip", &["gzip"], Compression::Gzip),
        ("zstd", &["zstd"], Compression::Zstd),
        ("lz4", &["lz4"], Compression::Lz4),
    ];
    for (name, needs, compression) in all {
        groups.both(&format!("inflates-{name}"), needs, move |driver| {
            inflates(driver, compression)
        });
        groups.both(&format!("bombs-of-{name}"), needs, move |driver| {
            bombs(driver, compression)
        });
    }
}

/// What this becomes when it is inflated: the head of a body, and zeros up to this length.
fn deflated(compression: Compression, head: &[u8], len: usize) -> Vec<u8> {
    match compression {
        Compression::Gzip => gzip(head, len),
        Compression::Zstd => zstd(head, len),
        Compression::Lz4 => lz4(head, len),
        Compression::None => Vec::new(),
    }
}

fn gzip(head: &[u8], len: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![1], flate2::Compression::best());
    let zeros = vec![0; len - head.len()];
    // Writing to a Vec does not fail.
    let _ = encoder
        .write_all(head)
        .and_then(|()| encoder.write_all(&zeros));
    encoder.finish().unwrap_or_default()
}

/// A block of zstd: its type is 0 for bytes as they are, and 1 for one byte that is repeated.
fn zstd_block(is_last: bool, kind: u32, len: usize, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    let header = len << 3 | kind << 1 | u32::from(is_last);
    [&header.to_le_bytes()[..3], content].concat()
}

fn zstd(head: &[u8], len: usize) -> Vec<u8> {
    const MAX_BLOCK: usize = 64 << 10;
    // A frame that says no size, with a window of 64 KiB.
    let mut body = vec![2, 0x28, 0xb5, 0x2f, 0xfd, 0, 6 << 3];
    body.extend(zstd_block(false, 0, head.len(), head));
    let mut left = len - head.len();
    while left > MAX_BLOCK {
        body.extend(zstd_block(false, 1, MAX_BLOCK, &[0]));
        left -= MAX_BLOCK;
    }
    body.extend(zstd_block(true, 1, left, &[0]));
    body
}

/// A length of lz4 beyond the 15 that its token has.
fn lz4_len(mut len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while len >= 255 {
        bytes.push(255);
        len -= 255;
    }
    bytes.push(u8::try_from(len).unwrap_or_default());
    bytes
}

fn lz4(head: &[u8], len: usize) -> Vec<u8> {
    const LAST: usize = 5;
    let said = u32::try_from(len).unwrap_or(u32::MAX);
    let mut body = vec![3];
    body.extend_from_slice(&said.to_le_bytes());
    // The head and a zero as they are; that zero repeated; and five bytes as they are, as a block has to end.
    let literals = head.len() + 1;
    let repeated = len - literals - LAST;
    body.push(0xff);
    body.extend(lz4_len(literals - 15));
    body.extend_from_slice(head);
    body.extend_from_slice(&[0, 1, 0]);
    body.extend(lz4_len(repeated - 4 - 15));
    body.push((LAST << 4) as u8);
    body.extend_from_slice(&[0; LAST]);
    body
}

/// The head of a body of a member that has this length with zeros behind it, and the message that it is.
fn message_of(variant: u16, len: usize) -> (Vec<u8>, Item) {
    let mut message = Item {
        text: "more than fifteen bytes".to_owned(),
        ..item(1)
    };
    let mut ballast = len;
    while envelope(variant, &message).len() != len {
        ballast -= 1;
        message.ballast = vec![0; ballast];
    }
    let mut head = envelope(variant, &message);
    head.truncate(len - ballast);
    (head, message)
}

async fn meet(driver: &Driver, compression: Compression) -> Met {
    let name = match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::Lz4 => "lz4",
    };
    let settings = format!("max_body={MAX_BODY}");
    let of_client = format!("{settings}&compress={name}");
    let meeting = Meeting {
        settings: match driver.raw_side {
            Side::Connecting => &settings,
            Side::Accepting => &of_client,
        },
        compression,
        ..Meeting::default()
    };
    driver.meet_as(&meeting).await
}

/// A body that becomes as long as a body may be.
async fn inflates(driver: Driver, compression: Compression) {
    let mut met = meet(&driver, compression).await;
    let (head, message) = message_of(met.said("unary_req"), MAX_BODY);
    let call = Opening {
        body: deflated(compression, &head, MAX_BODY),
        ..met.call("unary_req", &())
    };
    met.begin(&call.with(Flags::COMPRESSED), met.id(2)).await;
    let handling = met.end.handling("unary_req").await;
    assert!(handling.message::<Item>() == message);
    handling.answer(&item(2)).await;
    assert_eq!(met.hear().await.header.msg_id, met.id(2));
}

/// One that becomes a byte more, and one that becomes two hundred times as much, in a body of each kind.
async fn bombs(driver: Driver, compression: Compression) {
    let mut met = meet(&driver, compression).await;
    for (number, len) in [(1, MAX_BODY + 1), (2, BOMB)] {
        let bomb = |variant| deflated(compression, &message_of(variant, MAX_BODY).0, len);
        let opening = Opening {
            body: bomb(met.said("unary_req")),
            ..met.call("unary_req", &())
        };
        let opening = opening.with(Flags::COMPRESSED);
        assert!(opening.body.len() < MAX_BODY || len == BOMB);
        let id = met.id(10 * number);
        met.begin(&opening, id).await;
        let refused = met.refusal(id).await;
        assert!(refused.contains("RESOURCE_EXHAUSTED"), "{len}: {refused}");
        let note = Opening {
            body: bomb(met.said("note_ind")),
            ..Opening::event(met.said("note_ind"), &())
        };
        let note = note.with(Flags::COMPRESSED);
        met.begin(&note, met.id(10 * number + 1)).await;
        let delivery = note.with(Flags::ACK_REQUIRED);
        met.begin(&delivery, met.delivery(number)).await;
        let refused = met.refusal(met.delivery(number)).await;
        assert!(refused.contains("RESOURCE_EXHAUSTED"), "{len}: {refused}");
        // An item ends its call.
        let (upload, id) = (met.said("upload_req"), met.id(10 * number + 2));
        met.begin(&Opening::stream(upload), id).await;
        let handling = met.end.handling("upload_req").await;
        handling.read(u64::MAX).await;
        let item_of_bomb = Opening {
            body: bomb(upload),
            ..Opening::item(upload, &())
        };
        met.begin(&item_of_bomb.with(Flags::COMPRESSED), id).await;
        let why = handling.items_ended().await.unwrap_or_default();
        assert_eq!(why.code, "RESOURCE_EXHAUSTED", "{len}: {why:?}");
        handling.fail_with(why).await;
        let refused = met.refusal(id).await;
        assert!(refused.contains("RESOURCE_EXHAUSTED"), "{len}: {refused}");
        // Of an answer its caller is told.
        let call = met.end.start("unary_req", &item(1)).await;
        let asked = met.hear_opening().await.header.msg_id;
        let variant = met.said("unary_rsp");
        let answer = ack(asked, Flags::COMPRESSED, variant, &bomb(variant));
        met.raw.say(&answer).await;
        let failure = call.failure().await;
        let codes = ["INTERNAL", "RESOURCE_EXHAUSTED"];
        assert!(codes.contains(&&*failure.code), "{len}: {failure:?}");
        assert!(!met.end.has_handled("note_ind"), "{len} bytes");
        met.goes_on().await;
    }
}
