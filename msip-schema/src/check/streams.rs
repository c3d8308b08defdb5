//! Which calls have a stream for a request or an answer: what options say of it, and whether methods agree.

use super::calls::Calls;
use crate::{Code, Diagnostic, Draft, Reply};

/// Adds what `(msip.reply)` says to the calls, of which methods have told theirs.
pub(super) fn settle(draft: &Draft, calls: &mut Calls, out: &mut Vec<Diagnostic>) {
    let mut contradicted = Vec::new();
    for (request, call) in calls.iter_mut() {
        let Some(reply) = draft.member(request).options.reply else {
            continue;
        };
        let name = &draft.member(request).name.value;
        let method = call.method.and_then(|index| draft.methods.get(index));
        let diagnostic = match (reply.value, method, call.response_stream) {
            (Reply::Stream, None, _) => {
                call.response_stream = Some(reply.span);
                continue;
            }
            (Reply::Stream, Some(method), None) => Diagnostic::new(
                Code::METHOD_CONFLICT,
                method.response.span,
                format!("`{}` answers `{name}` with one message, but something else is said of it", method.name.value),
            )
            .label("one message answers it here")
            .also(reply.span, "its reply is STREAM here")
            .help("write `stream` before the response of the method, or remove `(msip.reply)`"),
            (Reply::Response, Some(method), Some(stream)) => Diagnostic::new(
                Code::METHOD_CONFLICT,
                stream,
                format!("`{}` answers `{name}` with a stream, but something else is said of it", method.name.value),
            )
            .label("a stream answers it here")
            .also(reply.span, "its reply is RESPONSE here")
            .help("write `(msip.reply) = STREAM`, or remove `stream` before the response of the method"),
            _ => continue,
        };
        out.push(diagnostic);
        contradicted.push(request);
    }
    calls.doubtful.extend(contradicted);
}
