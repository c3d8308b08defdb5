//! Services: calls that `service` blocks declare over members of the envelopes.

use std::collections::BTreeMap;

use super::calls::{Call, Calls, opted_out};
use super::members::MemberId;
use crate::{Code, Diagnostic, Draft, DraftMethod, Payload, Span, Spanned, TypeName, closest_name};

pub(super) fn find(draft: &Draft, calls: &mut Calls, out: &mut Vec<Diagnostic>) {
    let mut taken: BTreeMap<MemberId, Span> = BTreeMap::new();
    for (index, method) in draft.methods.iter().enumerate() {
        let Some((request, response)) = resolve(draft, method, calls, out) else {
            continue;
        };
        if let Some(&first) = taken.get(&request) {
            out.push(
                Diagnostic::new(
                    Code::DUPLICATE_METHOD,
                    method.name.span,
                    format!("two methods have `{}` as their request", draft.member(request).name.value),
                )
                .label("a second method for it")
                .also(first, "already the call of this method")
                .help("one request belongs to one call: remove a method, or give it a request of its own"),
            );
            continue;
        }
        taken.insert(request, method.name.span);
        if calls.doubtful.contains(&request)
            || contradicts(draft, method, request, response, calls, out)
        {
            continue;
        }
        if calls.call(request).is_none() {
            calls.insert(request, Call::new(response, method.name.span));
        }
        if let Some(call) = calls.call_mut(request) {
            call.method = Some(index);
            call.request_stream = method.request_stream;
            call.response_stream = method.response_stream;
        }
    }
}

/// The members that a method refers to.
fn resolve(
    draft: &Draft,
    method: &DraftMethod,
    calls: &mut Calls,
    out: &mut Vec<Diagnostic>,
) -> Option<(MemberId, MemberId)> {
    let requests = carriers(draft, &method.request.value);
    let responses = carriers(draft, &method.response.value);
    for (found, ty, what) in [
        (&requests, &method.request, "request"),
        (&responses, &method.response, "response"),
    ] {
        if found.is_empty() {
            out.push(not_member(draft, method, ty, what));
        }
    }
    if requests.is_empty() || responses.is_empty() {
        calls.doubtful.extend(requests.into_iter().chain(responses));
        return None;
    }
    let pairs: Vec<_> = requests
        .iter()
        .flat_map(|&request| responses.iter().map(move |&response| (request, response)))
        .filter(|(request, response)| request.direction != response.direction)
        .collect();
    if let [pair] = pairs[..] {
        return Some(pair);
    }
    // A method may repeat a pair that names or options have made already.
    let known: Vec<_> = pairs
        .iter()
        .filter(|(request, response)| {
            calls
                .call(*request)
                .is_some_and(|call| call.response == *response)
        })
        .collect();
    if let [pair] = known[..] {
        return Some(*pair);
    }
    let members = requests.iter().chain(&responses);
    let diagnostic = if pairs.is_empty() {
        let envelope = requests
            .first()
            .map_or("", |id| id.direction.envelope_name());
        Diagnostic::new(
            Code::METHOD_IN_ONE_DIRECTION,
            method.name.span,
            format!(
                "request and response of `{}` are both in {envelope}",
                method.name.value
            ),
        )
        .help("put the response's message into the other envelope, where the answer comes from")
    } else {
        Diagnostic::new(
            Code::METHOD_AMBIGUOUS,
            method.name.span,
            format!("several members carry the messages of `{}`", method.name.value),
        )
        .help("remove the method, and write `[(msip.response) = \"…\"]` on the request's member instead")
    };
    out.push(members.clone().fold(diagnostic, |diagnostic, &id| {
        diagnostic.also(
            draft.member(id).name.span,
            format!("a member of {}", id.direction.envelope_name()),
        )
    }));
    calls.doubtful.extend(members.copied());
    None
}

/// Every member that carries a type.
fn carriers(draft: &Draft, ty: &TypeName) -> Vec<MemberId> {
    let carries = |payload: &Payload| match payload {
        Payload::Message(name) => name == ty,
        Payload::Empty => ty.is_empty_message(),
    };
    draft
        .all_members()
        .filter(|(_, member)| carries(&member.payload.value))
        .map(|(id, _)| id)
        .collect()
}

fn not_member(
    draft: &Draft,
    method: &DraftMethod,
    ty: &Spanned<TypeName>,
    what: &str,
) -> Diagnostic {
    let carried = draft
        .all_members()
        .filter_map(|(_, member)| match &member.payload.value {
            Payload::Message(name) => Some(name.short()),
            Payload::Empty => None,
        });
    let help = match closest_name(ty.value.short(), carried) {
        Some(close) if close != ty.value.short() => format!("did you mean `{close}`?"),
        _ => "add a member of this type to ClientToServer or ServerToClient: a service adds calls over their members"
            .to_owned(),
    };
    let message = format!(
        "no member carries `{}`, the {what} of `{}`",
        ty.value, method.name.value
    );
    Diagnostic::new(Code::METHOD_NOT_MEMBER, ty.span, message).help(help)
}

/// Reports a method that contradicts an option or a pair of the same request; returns whether it does.
fn contradicts(
    draft: &Draft,
    method: &DraftMethod,
    request: MemberId,
    response: MemberId,
    calls: &mut Calls,
    out: &mut Vec<Diagnostic>,
) -> bool {
    let name = &draft.member(request).name.value;
    let (span, text) = match (calls.call(request), draft.member(request).options.reply) {
        (Some(call), _) if call.response != response => (
            call.origin,
            format!(
                "`{}` answers it here",
                draft.member(call.response).name.value
            ),
        ),
        (_, Some(reply)) if opted_out(draft, request) => (
            reply.span,
            format!("its reply is {} here", reply.value.name()),
        ),
        _ => return false,
    };
    let answer = &draft.member(response).name.value;
    out.push(
        Diagnostic::new(
            Code::METHOD_CONFLICT,
            method.name.span,
            format!(
                "`{}` says that `{answer}` answers `{name}`, but something else is said of it",
                method.name.value
            ),
        )
        .label(format!("`{answer}` answers it here"))
        .also(span, text)
        .help("let the method and the member say the same, or remove one of them"),
    );
    calls.doubtful.extend([request, response]);
    true
}
