//! Services: calls that `service` blocks declare over members of the envelopes.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Call, Calls, opted_out};
use super::members::MemberId;
use crate::{
    Code, Diagnostic, Direction, Draft, DraftMethod, MAX_DIAGNOSTICS, Payload, Span, Spanned,
    TypeName, closest_name,
};

pub(super) fn find(draft: &Draft, calls: &mut Calls, out: &mut Vec<Diagnostic>) {
    let mut taken: BTreeMap<MemberId, Span> = BTreeMap::new();
    let mut carriers = Carriers::new(draft, calls);
    for (index, method) in draft.methods.iter().enumerate() {
        let Some((request, response)) = resolve(draft, method, &mut carriers, calls, out) else {
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
fn resolve<'a>(
    draft: &'a Draft,
    method: &'a DraftMethod,
    carriers: &mut Carriers<'a>,
    calls: &mut Calls,
    out: &mut Vec<Diagnostic>,
) -> Option<(MemberId, MemberId)> {
    let (request, response) = (&method.request.value, &method.response.value);
    let mut is_known = true;
    for (ty, what) in [(&method.request, "request"), (&method.response, "response")] {
        if carriers.of(&ty.value).is_empty() {
            let is_shown = out.len() < MAX_DIAGNOSTICS;
            out.push(not_member(draft, method, ty, what, is_shown));
            is_known = false;
        }
    }
    if !is_known {
        carriers.doubt([request, response], calls);
        return None;
    }
    let pairs = match carriers.pairs(request, response) {
        Pairs::One(pair) => return Some(pair),
        pairs => pairs,
    };
    // A method may repeat a pair that names or options have made already.
    if let Some([pair]) = carriers.known(request, response) {
        return Some(*pair);
    }
    let diagnostic = if matches!(pairs, Pairs::None) {
        let envelope = carriers
            .of(request)
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
    let members = [request, response].map(|ty| carriers.of(ty).iter().take(MAX_PLACES));
    let members = members.into_iter().flatten();
    out.push(members.fold(diagnostic, |diagnostic, &id| {
        diagnostic.also(
            draft.member(id).name.span,
            format!("a member of {}", id.direction.envelope_name()),
        )
    }));
    carriers.doubt([request, response], calls);
    None
}

/// How many members of a type are shown with a mistake.
const MAX_PLACES: usize = 8;

/// The members by the type that they carry. Any number of members may carry one type, and any number of methods name it.
struct Carriers<'a> {
    members: BTreeMap<&'a str, Vec<MemberId>>,
    /// The pairs that names and options have made, by what request and response carry.
    known: BTreeMap<(&'a str, &'a str), Vec<(MemberId, MemberId)>>,
    /// The types whose members are all doubtful already.
    doubtful: BTreeSet<&'a str>,
}

/// The pairs of members of both directions that carry two types.
enum Pairs {
    None,
    One((MemberId, MemberId)),
    Several,
}

impl<'a> Carriers<'a> {
    fn new(draft: &'a Draft, calls: &Calls) -> Self {
        let carried = |id: MemberId| match &draft.member(id).payload.value {
            Payload::Message(name) => name.as_str(),
            Payload::Empty => TypeName::EMPTY,
        };
        let mut members: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut known: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for id in draft.ids() {
            members.entry(carried(id)).or_default().push(id);
            if let Some(call) = calls.call(id) {
                let types = (carried(id), carried(call.response));
                known.entry(types).or_default().push((id, call.response));
            }
        }
        Self {
            members,
            known,
            doubtful: BTreeSet::new(),
        }
    }

    /// Every member that carries a type.
    fn of(&self, ty: &TypeName) -> &[MemberId] {
        self.members.get(ty.as_str()).map_or(&[], Vec::as_slice)
    }

    fn pairs(&self, request: &TypeName, response: &TypeName) -> Pairs {
        // Those of the client come first.
        let split = |members: &'_ [MemberId]| {
            let of_client = |id: &MemberId| id.direction == Direction::ClientToServer;
            members.partition_point(of_client)
        };
        let (requests, responses) = (self.of(request), self.of(response));
        let (up, down) = requests.split_at(split(requests));
        let (response_up, response_down) = responses.split_at(split(responses));
        match ((up, response_down), (down, response_up)) {
            (([request], [response]), ([], _) | (_, []))
            | (([], _) | (_, []), ([request], [response])) => Pairs::One((*request, *response)),
            (([], _) | (_, []), ([], _) | (_, [])) => Pairs::None,
            _ => Pairs::Several,
        }
    }

    fn known(
        &self,
        request: &'a TypeName,
        response: &'a TypeName,
    ) -> Option<&[(MemberId, MemberId)]> {
        let types = (request.as_str(), response.as_str());
        self.known.get(&types).map(Vec::as_slice)
    }

    /// Makes all members of these types doubtful.
    fn doubt(&mut self, types: [&'a TypeName; 2], calls: &mut Calls) {
        for ty in types {
            if self.doubtful.insert(ty.as_str()) {
                calls.doubtful.extend(self.of(ty));
            }
        }
    }
}

fn not_member(
    draft: &Draft,
    method: &DraftMethod,
    ty: &Spanned<TypeName>,
    what: &str,
    is_shown: bool,
) -> Diagnostic {
    let carried = draft
        .all_members()
        .filter_map(|(_, member)| match &member.payload.value {
            Payload::Message(name) => Some(name.short()),
            Payload::Empty => None,
        });
    let close = is_shown.then(|| closest_name(ty.value.short(), carried));
    let help = match close.flatten() {
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
