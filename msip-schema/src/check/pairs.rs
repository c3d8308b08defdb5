//! Pairing: which member answers which, by options, by names and by services.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Call, Calls, opted_out};
use super::members::MemberId;
use super::{services, streams};
use crate::words::{response_words, words};
use crate::{
    Code, Diagnostic, Direction, Draft, MAX_DIAGNOSTICS, Reply, Span, Spanned, closest_name,
};

/// Finds the calls: first by options, then by names, then by services.
pub(super) fn find(draft: &Draft, out: &mut Vec<Diagnostic>) -> Calls {
    let names = Names::new(draft);
    let mut calls = Calls::default();
    for id in draft.ids() {
        by_option(draft, &names, id, &mut calls, out);
    }
    for id in draft.ids() {
        by_name(draft, &names, id, &mut calls);
    }
    services::find(draft, &mut calls, out);
    for id in draft.ids() {
        check_unpaired(draft, &names, id, &mut calls, out);
    }
    streams::settle(draft, &mut calls, out);
    check_answers(draft, &mut calls, out);
    calls
}

/// Members by exact name and by words; of several of one name, the first.
struct Names {
    exact: BTreeMap<(Direction, String), MemberId>,
    words: BTreeMap<(Direction, String), MemberId>,
    /// The words of all responses that the members of a direction would have, by their names.
    responses: BTreeSet<(Direction, String)>,
}

impl Names {
    fn new(draft: &Draft) -> Self {
        let mut names = Self {
            exact: BTreeMap::new(),
            words: BTreeMap::new(),
            responses: BTreeSet::new(),
        };
        for (id, member) in draft.all_members() {
            names
                .exact
                .entry((id.direction, member.name.value.clone()))
                .or_insert(id);
            names
                .words
                .entry((id.direction, words(&member.name.value)))
                .or_insert(id);
            let response = response_words(&member.name.value);
            let response = response.map(|response| (id.direction, response));
            names.responses.extend(response);
        }
        names
    }

    fn exact(&self, direction: Direction, name: &str) -> Option<MemberId> {
        self.exact.get(&(direction, name.to_owned())).copied()
    }

    /// The member of this direction that completes a pair: `connect_rsp` for `connect_req`.
    fn response_of(
        &self,
        draft: &Draft,
        request: MemberId,
        direction: Direction,
    ) -> Option<MemberId> {
        let response = response_words(&draft.member(request).name.value)?;
        self.words.get(&(direction, response)).copied()
    }
}

fn by_option(
    draft: &Draft,
    names: &Names,
    id: MemberId,
    calls: &mut Calls,
    out: &mut Vec<Diagnostic>,
) {
    let member = draft.member(id);
    let Some(wanted) = &member.options.response else {
        return;
    };
    let request = &member.name.value;
    let back = id.direction.reverse();
    if let Some(reply) = member.options.reply.filter(|_| opted_out(draft, id)) {
        out.push(
            Diagnostic::new(
                Code::REPLY_CONTRADICTS_RESPONSE,
                wanted.span,
                format!(
                    "`{request}` names a response although its reply is {}",
                    reply.value.name()
                ),
            )
            .label("a response is named here")
            .also(reply.span, "but not asked for here")
            .help("remove one of the two options"),
        );
        calls.doubtful.insert(id);
        calls.doubtful.extend(names.exact(back, &wanted.value));
        return;
    }
    if let Some(response) = names.exact(back, &wanted.value) {
        calls.insert(id, Call::new(response, wanted.span));
        return;
    }
    calls.doubtful.insert(id);
    calls
        .doubtful
        .extend(names.exact(id.direction, &wanted.value));
    let is_shown = out.len() < MAX_DIAGNOSTICS;
    out.push(no_such_response(draft, names, id, wanted, is_shown));
}

/// Reports a response that is not a member of the other direction.
fn no_such_response(
    draft: &Draft,
    names: &Names,
    id: MemberId,
    wanted: &Spanned<String>,
    is_shown: bool,
) -> Diagnostic {
    let request = &draft.member(id).name.value;
    let back = id.direction.reverse();
    if let Some(same) = names.exact(id.direction, &wanted.value) {
        let message = if same == id {
            format!("`{request}` names itself as its response")
        } else {
            format!(
                "`{}` goes the same way as `{request}`, so it cannot answer it",
                wanted.value
            )
        };
        return Diagnostic::new(Code::RESPONSE_IN_SAME_DIRECTION, wanted.span, message)
            .also(
                draft.member(same).name.span,
                format!("a member of {}", id.direction.envelope_name()),
            )
            .help(format!(
                "name a member of {}, where the answer comes from",
                back.envelope_name()
            ));
    }
    let candidates = draft
        .members(back)
        .map(|(_, member)| member.name.value.as_str());
    let close = is_shown.then(|| closest_name(&wanted.value, candidates));
    let help = match close.flatten() {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!(
            "name a member of {}, where the answer comes from",
            back.envelope_name()
        ),
    };
    Diagnostic::new(
        Code::RESPONSE_NOT_FOUND,
        wanted.span,
        format!(
            "there is no `{}` in {} to answer `{request}`",
            wanted.value,
            back.envelope_name()
        ),
    )
    .help(help)
}

fn by_name(draft: &Draft, names: &Names, id: MemberId, calls: &mut Calls) {
    let member = draft.member(id);
    if member.options.response.is_some() || opted_out(draft, id) {
        return;
    }
    if let Some(response) = names.response_of(draft, id, id.direction.reverse()) {
        calls.insert(id, Call::new(response, member.name.span));
    }
}

/// Reports a member that is not a call although its name or an option asks for one.
fn check_unpaired(
    draft: &Draft,
    names: &Names,
    id: MemberId,
    calls: &mut Calls,
    out: &mut Vec<Diagnostic>,
) {
    let member = draft.member(id);
    if calls.call(id).is_some() || calls.doubtful.contains(&id) {
        return;
    }
    let name = &member.name.value;
    if opted_out(draft, id) {
        if let (Some(stream), Some(reply)) = (member.options.request_stream, member.options.reply) {
            calls.doubtful.insert(id);
            let text = format!(
                "`{name}` is a stream of requests although its reply is {}",
                reply.value.name()
            );
            out.push(
                Diagnostic::new(Code::REPLY_CONTRADICTS_RESPONSE, stream, text)
                    .label("a stream is asked for here")
                    .also(reply.span, "but no answer here")
                    .help("remove one of the two options: a stream of requests is a call"),
            );
        }
        return;
    }
    let back = id.direction.reverse();
    if let Some(diagnostic) = pair_in_one_direction(draft, names, id, calls) {
        out.push(diagnostic);
        return;
    }
    let asks = member
        .options
        .reply
        .filter(|reply| matches!(reply.value, Reply::Response | Reply::Stream))
        .map(|reply| (reply.span, "asks for a response"));
    let streams = member
        .options
        .request_stream
        .map(|stream| (stream, "is a stream of requests"));
    // An option that means nothing on an answer is reported with its other options.
    let is_answer = calls.answered_by(id).is_some();
    if let Some((span, what)) = asks.or(streams).filter(|_| !is_answer) {
        calls.doubtful.insert(id);
        out.push(
            Diagnostic::new(
                Code::RESPONSE_MISSING,
                span,
                format!(
                    "`{name}` {what}, but nothing in {} answers it",
                    back.envelope_name()
                ),
            )
            .help(match usual_answer(name) {
                Some(answer) => format!(
                    "add `{answer}` to {}, or name another answer, as in `[(msip.response) = \"…\"]`",
                    back.envelope_name()
                ),
                None => "name the answer, as in `[(msip.response) = \"…\"]`".to_owned(),
            }),
        );
    }
}

/// Reports a request whose response, by its name, goes the same way, unless that answers another request.
fn pair_in_one_direction(
    draft: &Draft,
    names: &Names,
    id: MemberId,
    calls: &mut Calls,
) -> Option<Diagnostic> {
    let response = names.response_of(draft, id, id.direction)?;
    if calls.answered_by(response).is_some()
        || completes_another(draft, names, response, id.direction)
    {
        return None;
    }
    calls.doubtful.extend([id, response]);
    let request = &draft.member(id).name;
    let (name, answer) = (&request.value, &draft.member(response).name.value);
    let envelope = id.direction.envelope_name();
    Some(
        Diagnostic::new(
            Code::PAIR_IN_ONE_DIRECTION,
            draft.member(response).name.span,
            format!("`{name}` and `{answer}` look like a call, but both are in {envelope}"),
        )
        .label("the response goes the same way")
        .also(request.span, "as its request")
        .help(format!(
            "move one of them to {}, or write `[(msip.reply) = NONE]` on `{name}` if they are ordinary messages",
            id.direction.reverse().envelope_name()
        )),
    )
}

/// Whether a response of this direction belongs, by its name, to a request of the other.
fn completes_another(
    draft: &Draft,
    names: &Names,
    response: MemberId,
    direction: Direction,
) -> bool {
    let own = words(&draft.member(response).name.value);
    // Of several members of these words the first is meant.
    let is_meant = names.words.get(&(direction, own.clone())) == Some(&response);
    is_meant && names.responses.contains(&(direction.reverse(), own))
}

/// The usual name of the answer, if the name is that of a request.
fn usual_answer(request: &str) -> Option<String> {
    let name = words(request);
    let stem = name.strip_suffix("_req")?;
    Some(format!("{stem}_rsp"))
}

/// Reports members that are a request and an answer at once.
fn check_answers(draft: &Draft, calls: &mut Calls, out: &mut Vec<Diagnostic>) {
    let both: Vec<_> = calls
        .answers()
        .filter_map(|(answer, request)| {
            calls
                .call(answer)
                .map(|own| (answer, request, own.response))
        })
        .collect();
    for (answer, request, response) in both {
        let origin = calls.call(request).map_or(Span::NONE, |call| call.origin);
        let [name, request, response] =
            [answer, request, response].map(|id| draft.member(id).name.value.as_str());
        out.push(
            Diagnostic::new(
                Code::ANSWER_IS_REQUEST,
                draft.member(answer).name.span,
                format!("`{name}` answers `{request}` and is a request itself, which `{response}` answers"),
            )
            .also(origin, format!("`{name}` is the answer here"))
            .help("use one member for the answer and another for the request; both may carry the same message"),
        );
        calls.doubtful.insert(answer);
    }
}
