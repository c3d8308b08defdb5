//! The largest body that a side takes, and one byte more.

use msip_runtime::wire::{Flags, FrameType, Metadata};

use super::Groups;
use crate::{
    case::Driver,
    failure::fail,
    message::item,
    protocol::conformance::Item,
    raw::{envelope, line},
};

const MAX_BODY: usize = 4096;

pub(super) fn add(groups: &mut Groups) {
    groups.both("max-body", &[], requests);
    groups.both("max-body-of-answers", &[], answers);
}

/// An item whose body, for the member of this number, has so many bytes.
fn of_len(number: u16, len: usize) -> Item {
    let items = (0..len).rev().map(|ballast| Item {
        ballast: vec![1; ballast],
        ..item(1)
    });
    let mut items = items.filter(|item| envelope(number, item).len() == len);
    match items.next() {
        Some(item) => item,
        None => fail(format_args!("no item has {len} bytes")),
    }
}

async fn requests(driver: Driver) {
    let mut met = driver.meet("max_body=4KiB").await;
    let number = met.said("unary_req");
    let largest = of_len(number, MAX_BODY);
    met.begin(&met.call("unary_req", &largest), met.id(2)).await;
    let handling = met.end.handling("unary_req").await;
    assert_eq!(handling.message::<Item>(), largest);
    handling.answer(&item(2)).await;
    let answer = met.hear().await;
    assert_eq!(
        answer.header.frame_type,
        FrameType::Ack,
        "{}",
        line(&answer)
    );
    // One with a deadline is read in another way.
    for (number_of_call, timeout) in [(3, None), (4, Some(10_000))] {
        let mut larger = met.call("unary_req", &of_len(number, MAX_BODY + 1));
        if let Some(deadline_ms) = timeout {
            larger = larger.metadata(Metadata {
                deadline_ms: Some(deadline_ms),
                ..Metadata::default()
            });
        }
        met.begin(&larger, met.id(number_of_call)).await;
        let refusal = met.refusal(met.id(number_of_call)).await;
        assert!(refusal.contains("4097 bytes"), "{refusal}");
        assert!(refusal.contains("max_body"), "{refusal}");
    }
    met.goes_on().await;
}

async fn answers(driver: Driver) {
    let mut met = driver.meet("max_body=4KiB").await;
    let number = met.said("unary_rsp");
    for (len, is_taken) in [(MAX_BODY, true), (MAX_BODY + 1, false)] {
        let call = met.end.start("unary_req", &item(1)).await;
        let asked = met.hear_opening().await.header.msg_id;
        let answer = of_len(number, len);
        met.answer(asked, Flags::NONE, "unary_rsp", &answer).await;
        if is_taken {
            assert_eq!(call.answer::<Item>().await, answer);
        } else {
            assert_eq!(call.failure().await.code, "INTERNAL");
        }
    }
    met.goes_on().await;
}
