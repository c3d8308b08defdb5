//! Which frames are urgent, and that they overtake others.

use msip_runtime::wire::{Flags, FrameType};

use super::Groups;
use crate::{
    case::Driver,
    message::item,
    protocol::conformance::Item,
    raw::{Opening, Place, line},
};

pub(super) fn add(groups: &mut Groups) {
    groups.both("urgency", &[], urgency);
    groups.both("urgency-of-answers", &[], urgency_of_answers);
    groups.both("urgent-first", &[], urgent_first);
    groups.server.server("urgent-overtakes", &[], overtakes);
    groups.server.server("urgent-takes-half", &[], takes_half);
}

/// All frames of an exchange have its urgency, and so has its CANCEL.
async fn urgency(driver: Driver) {
    let mut met = driver.meet("").await;
    for (member, is_urgent) in [
        ("urgent_req", true),
        ("unary_req", false),
        ("alarm_ind", true),
        ("note_ind", false),
    ] {
        let exchange = met.end.start(member, &item(1)).await;
        let mut frames = vec![met.hear().await];
        if member.ends_with("req") {
            exchange.cancel().await;
            let cancel = met.hear().await;
            assert_eq!(cancel.header.frame_type, FrameType::Cancel);
            frames.push(cancel);
        }
        for frame in frames {
            let flags = frame.header.flags;
            assert_eq!(flags.contains(Flags::URGENT), is_urgent, "{member}");
        }
    }
}

async fn urgency_of_answers(driver: Driver) {
    let mut met = driver.meet("").await;
    for (number, urgent) in [(2, Flags::URGENT), (3, Flags::NONE)] {
        let call = met.call("download_req", &item(1)).with(urgent);
        met.begin(&call, met.id(number)).await;
        let handling = met.end.handling("download_req").await;
        handling.send(&item(1), 1).await;
        let first = met.hear().await;
        handling.end_items().await;
        let last = met.hear().await;
        for frame in [first, last] {
            let flags = frame.header.flags;
            let is_urgent = urgent == Flags::URGENT;
            assert_eq!(flags.contains(Flags::URGENT), is_urgent, "{}", line(&frame));
        }
    }
}

/// Of frames that wait for the same write the urgent ones go first, however few they are.
async fn urgent_first(driver: Driver) {
    let mut met = driver.meet("").await;
    // They come together, and each is answered at once.
    let mut calls = Vec::new();
    for (number, flags) in [(2, Flags::NONE), (3, Flags::URGENT)] {
        let unknown = Opening::call(60_000, &item(1)).with(flags);
        calls.extend(unknown.frame(met.side, met.id(number)));
    }
    met.raw.say(&calls).await;
    for number in [3, 2] {
        let refusal = met.refusal(met.id(number)).await;
        assert!(refusal.contains("60000"), "{refusal}");
    }
    met.goes_on().await;
}

/// While others wait urgent frames take half of the bytes: they do not hold up the rest.
async fn takes_half(driver: Driver) {
    const COUNT: u64 = 15;
    let mut met = driver.meet("").await;
    let large = Item {
        ballast: vec![1; 1 << 20],
        ..item(1)
    };
    let mut handlings = Vec::new();
    for (member, first, flags) in [
        ("urgent_req", 2, Flags::URGENT),
        ("unary_req", 2 + COUNT, Flags::NONE),
    ] {
        for number in first..first + COUNT {
            let call = met.call(member, &item(1)).with(flags);
            met.begin(&call, met.id(number)).await;
            handlings.push(met.end.handling(member).await);
        }
    }
    // The urgent ones are more than the buffers of the system hold, so that the others meet some that wait.
    for handling in handlings {
        handling.answer(&large).await;
    }
    if let Place::Server(listening) = &met.place {
        // By now the driver has been told all of it.
        listening.end.broadcast("trace_log", &item(3)).await;
    }
    let (mut urgent, mut is_urgent) = (0, true);
    while is_urgent {
        is_urgent = met.hear().await.header.flags.contains(Flags::URGENT);
        urgent += u64::from(is_urgent);
    }
    assert!(urgent < COUNT, "all urgent answers came before the others");
}

/// An urgent answer overtakes those that wait because their receiver does not read.
async fn overtakes(driver: Driver) {
    const COUNT: u64 = 15;
    let mut met = driver.meet("").await;
    let large = Item {
        ballast: vec![1; 1 << 20],
        ..item(1)
    };
    let mut handlings = Vec::new();
    for number in 2..2 + COUNT {
        met.begin(&met.call("unary_req", &item(1)), met.id(number))
            .await;
        handlings.push(met.end.handling("unary_req").await);
    }
    let urgent = met.call("urgent_req", &item(1)).with(Flags::URGENT);
    met.begin(&urgent, met.id(90)).await;
    let alarm = met.end.handling("urgent_req").await;
    // More than the buffers of the system hold.
    for handling in handlings {
        handling.answer(&large).await;
    }
    alarm.answer(&item(2)).await;
    if let Place::Server(listening) = &met.place {
        // By now the driver has been told all of it.
        listening.end.broadcast("trace_log", &item(3)).await;
    }
    let mut before = 0;
    while met.hear().await.header.msg_id != met.id(90) {
        before += 1;
    }
    assert!(before < COUNT, "the urgent answer came last");
}
