//! Streaming calls: which options make them so, and whether methods agree.

use super::calls::{Call, Calls};
use crate::{Code, Diagnostic, Draft, DraftMember, DraftMethod, Reply};

/// Applies `(msip.request)` and `(msip.reply)` to the calls, after the methods.
pub(super) fn settle(draft: &Draft, calls: &mut Calls, out: &mut Vec<Diagnostic>) {
    let mut contradicted = Vec::new();
    for (request, call) in calls.iter_mut() {
        let member = draft.member(request);
        let method = call.method.and_then(|index| draft.methods.get(index));
        let found = [
            settle_request(member, method, call),
            settle_answer(member, method, call),
        ];
        for diagnostic in found.into_iter().flatten() {
            out.push(diagnostic);
            contradicted.push(request);
        }
    }
    calls.doubtful.extend(contradicted);
}

fn settle_request(
    member: &DraftMember,
    method: Option<&DraftMethod>,
    call: &mut Call,
) -> Option<Diagnostic> {
    let said = member.options.request_stream?;
    match method {
        None => call.request_stream = Some(said),
        Some(method) if call.request_stream.is_none() => {
            let text = format!(
                "`{}` takes one `{}`, but something else is said of it",
                method.name.value, member.name.value
            );
            return Some(
                Diagnostic::new(Code::METHOD_CONFLICT, method.request.span, text)
                    .label("one message is taken here")
                    .also(said, "it is a stream here")
                    .help("write `stream` before the request of the method, or remove `(msip.request)`"),
            );
        }
        Some(_) => {}
    }
    None
}

fn settle_answer(
    member: &DraftMember,
    method: Option<&DraftMethod>,
    call: &mut Call,
) -> Option<Diagnostic> {
    let reply = member.options.reply?;
    let name = &member.name.value;
    match (reply.value, method, call.response_stream) {
        (Reply::Stream, None, _) => {
            call.response_stream = Some(reply.span);
            None
        }
        (Reply::Stream, Some(method), None) => {
            let text = format!(
                "`{}` answers `{name}` with one message, but something else is said of it",
                method.name.value
            );
            Some(
                Diagnostic::new(Code::METHOD_CONFLICT, method.response.span, text)
                    .label("one message answers it here")
                    .also(reply.span, "its reply is STREAM here")
                    .help("write `stream` before the response of the method, or remove `(msip.reply)`"),
            )
        }
        (Reply::Response, Some(method), Some(stream)) => {
            let text = format!(
                "`{}` answers `{name}` with a stream, but something else is said of it",
                method.name.value
            );
            Some(
                Diagnostic::new(Code::METHOD_CONFLICT, stream, text)
                    .label("a stream answers it here")
                    .also(reply.span, "its reply is RESPONSE here")
                    .help("write `(msip.reply) = STREAM`, or remove `stream` before the response of the method"),
            )
        }
        _ => None,
    }
}
