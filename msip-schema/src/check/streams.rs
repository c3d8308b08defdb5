//! Calls whose request or response is a stream. The model, the canonical form and the wire know them; the
//! emitter and the runtime do not yet, so this refuses them. Nothing else has to change to let them in.

use super::calls::Calls;
use crate::{Code, Diagnostic};

pub(super) fn check(calls: &Calls, out: &mut Vec<Diagnostic>) {
    for span in calls
        .iter()
        .flat_map(|call| [call.request_stream, call.response_stream])
        .flatten()
    {
        out.push(
            Diagnostic::new(
                Code::STREAM_NOT_SUPPORTED,
                span,
                "streams are not supported yet",
            )
            .help("send the items as one-way messages, or one message with a `repeated` field"),
        );
    }
}
