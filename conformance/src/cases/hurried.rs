//! Calls whose time is short. On a busy machine it may be up before they have arrived: then they are made again, with more of it.

use super::within;
use crate::{call::Call, end::End, handler::Handler, message::item};

/// Short enough for a test, and mostly long enough for a call to arrive.
pub(super) const SHORT_MS: u32 = 250;

/// A call that has its handler before its time is up. `limit_ms` is how long it takes, and longer with each try.
pub(super) async fn hurried(
    caller: &End,
    handler: &End,
    member: &str,
    limit_ms: &mut u32,
) -> (Call, Handler) {
    loop {
        let call = caller.start_with(member, within(*limit_ms)).await;
        match handled(&call, caller, handler).await {
            Some(handling) => return (call, handling),
            None => *limit_ms *= 4,
        }
    }
}

/// The handler of a call; `None` where its time was up before.
pub(super) async fn handled(call: &Call, caller: &End, handler: &End) -> Option<Handler> {
    let member = &call.member;
    tokio::select! {
        biased;
        handling = handler.handling(member) => return Some(handling),
        failure = call.failure() => assert_eq!(failure.code, "DEADLINE_EXCEEDED"),
    }
    // It may have been sent all the same: what was before this has arrived with it, and is no other call's.
    caller.start("save_ind", &item(1)).await.sent().await;
    handler.handling("save_ind").await;
    handler.has_handled(member);
    None
}
