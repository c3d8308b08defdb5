//! Whom a server gives a session to, and what it tells of awaited calls.

use msip_runtime::wire::Hello;
use msip_tests::raw::{self, RawPeer};

use super::Groups;
use crate::{
    case::Driver,
    failure::fail,
    message::item,
    pair::Listening,
    raw::{Place, hear, hello, line, vector, welcome_in},
};

pub(super) fn add(groups: &mut Groups) {
    let server = &mut groups.server;
    server.server("wrong-secret", &["resume"], wrong_secret);
    server.server("takeover", &["resume"], takeover);
    server.server("awaited", &["resume"], awaited);
}

/// Another client that claims the session.
async fn claims(place: &Place, hello: &Hello) -> RawPeer {
    let Place::Server(listening) = place else {
        fail("the driver has no server");
    };
    let mut raw = Listening::dial(listening).await;
    raw.say(&raw::resuming_frame(hello)).await;
    raw
}

async fn wrong_secret(driver: Driver) {
    let mut owner = driver.meet("").await;
    let thief = Hello {
        session_secret: vec![8; 16],
        ..hello()
    };
    let mut thief = claims(&owner.place, &thief).await;
    let refused = line(&hear(&mut thief).await);
    assert!(refused.contains("UNAUTHENTICATED"), "{refused}");
    // The owner has noticed nothing.
    owner.goes_on().await;
}

async fn takeover(driver: Driver) {
    let mut first = driver.meet("").await;
    // The client has shown that it has the session.
    first.goes_on().await;
    let mut second = claims(&first.place, &hello()).await;
    let welcome = welcome_in(hear(&mut second).await);
    assert!(welcome.resumed, "{welcome:?}");
    let heard = first.hear_to_the_end().await;
    let is_told = |line: &String| line.contains("ABORTED: session taken over");
    assert!(heard.iter().any(is_told), "{heard:?}");
    second.say(&vector("publish-call")).await;
    let handling = first.end.handling("unary_req").await;
    handling.answer(&item(2)).await;
    assert_eq!(
        hear(&mut second).await.payload,
        first.body("unary_rsp", &item(2))
    );
}

/// What becomes of the calls that a client that comes back waits for.
async fn awaited(driver: Driver) {
    let mut met = driver.meet("").await;
    let [running, kept, given_up, unsent] = [5, 6, 7, 8].map(|number| met.id(number));
    let mut handlings = Vec::new();
    for id in [running, kept, given_up] {
        let call = met.call("unary_req", &item(id.sequence()));
        met.begin(&call, id).await;
        handlings.push(met.end.handling("unary_req").await);
    }
    drop(met.raw);
    met.end.disconnected().await;
    // There are as many as ids.
    let [runs, answers, lost] = <[_; 3]>::try_from(handlings).unwrap_or_else(|_| unreachable!());
    answers.answer(&item(60)).await;
    let coming_back = Hello {
        awaited: [running, kept, unsent].map(|id| id.number()).to_vec(),
        ..hello()
    };
    met.raw = claims(&met.place, &coming_back).await;
    assert!(welcome_in(met.hear().await).resumed);
    lost.dropped().await;
    let mut fates = [met.hear().await, met.hear().await];
    fates.sort_by_key(|frame| frame.header.msg_id.number());
    assert_eq!(fates[0].header.msg_id, kept);
    assert_eq!(fates[0].payload, met.body("unary_rsp", &item(60)));
    let not_received = format!("ERROR {unsent}: UNAVAILABLE: not received");
    assert_eq!(line(&fates[1]), not_received);
    runs.answer(&item(50)).await;
    let answer = met.hear().await;
    assert_eq!(answer.header.msg_id, running);
    assert_eq!(answer.payload, met.body("unary_rsp", &item(50)));
}
