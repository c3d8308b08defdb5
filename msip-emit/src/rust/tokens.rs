//! The plan in Rust: the identifiers and types of each member, as tokens.

use std::collections::HashSet;

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};

use super::doc::sanitise;
use super::names;
use super::target::Target;
use crate::plan::{AnswerPlan, Call, EnvelopePlan, MemberPlan, Plan, Shape};
use crate::write::grouped_digits;
use msip_schema::{Direction, MsgKind, Schema};

/// A plan with its identifiers.
pub(super) struct ProtocolTokens<'a> {
    pub(super) schema: &'a Schema,
    pub(super) target: &'a Target<'a>,
    /// The runtime's path.
    pub(super) runtime: &'a TokenStream,
    /// The protocol's type.
    pub(super) protocol: Ident,
    /// A type parameter whose name is that of no type in use.
    pub(super) sender: Ident,
    /// Another such parameter.
    pub(super) handler: Ident,
    client_to_server: EnvelopeTokens<'a>,
    server_to_client: EnvelopeTokens<'a>,
}

/// One direction.
pub(super) struct EnvelopeTokens<'a> {
    pub(super) direction: Direction,
    /// The enum.
    pub(super) ident: Ident,
    /// Whether the enum is the user's.
    pub(super) is_user_defined: bool,
    pub(super) doc: Vec<String>,
    pub(super) members: Vec<MemberTokens<'a>>,
}

/// One member.
pub(super) struct MemberTokens<'a> {
    pub(super) plan: &'a MemberPlan<'a>,
    pub(super) variant: Ident,
    pub(super) method: Ident,
    pub(super) try_method: Ident,
    pub(super) handler: Ident,
    /// The message's type; none where the member is empty.
    pub(super) payload: Option<TokenStream>,
    pub(super) number: Literal,
    pub(super) doc: Vec<String>,
    pub(super) shape: Shape<AnswerTokens>,
}

/// The other direction's member that answers a call.
pub(super) struct AnswerTokens {
    pub(super) variant: Ident,
    pub(super) payload: Option<TokenStream>,
    pub(super) number: Literal,
}

/// A call, with the tokens of its answer.
pub(super) type CallTokens = Call<AnswerTokens>;

impl<'a> ProtocolTokens<'a> {
    pub(super) fn new(plan: &'a Plan<'a>, target: &'a Target<'a>) -> Self {
        let envelope = |direction| EnvelopeTokens::new(plan.envelope(direction), target);
        let client_to_server = envelope(Direction::ClientToServer);
        let server_to_client = envelope(Direction::ServerToClient);
        let mut used = HashSet::new();
        for envelope in [&client_to_server, &server_to_client] {
            used.insert(envelope.ident.to_string());
            for member in &envelope.members {
                collect_idents(member.payload.iter().cloned().collect(), &mut used);
            }
        }
        let protocol = ident(&target.protocol_name(plan.schema));
        used.insert(protocol.to_string());
        Self {
            schema: plan.schema,
            target,
            runtime: &target.runtime,
            sender: unused("T", &used),
            handler: unused("H", &used),
            protocol,
            client_to_server,
            server_to_client,
        }
    }

    pub(super) fn envelope(&self, direction: Direction) -> &EnvelopeTokens<'a> {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    /// The other direction.
    pub(super) fn reverse(&self, envelope: &EnvelopeTokens<'_>) -> &EnvelopeTokens<'a> {
        self.envelope(envelope.direction.reverse())
    }

    /// A path of the runtime as text, for links in comments.
    pub(super) fn runtime_link(&self, item: &str) -> String {
        let runtime: String = self.runtime.to_string().split_whitespace().collect();
        format!("{runtime}::{item}")
    }

    /// `impl Future<Output = output> + Send`
    pub(super) fn future(output: &TokenStream) -> TokenStream {
        quote!(impl ::core::future::Future<Output = #output> + ::core::marker::Send)
    }
}

impl<'a> EnvelopeTokens<'a> {
    fn new(plan: &'a EnvelopePlan<'a>, target: &Target<'_>) -> Self {
        let direction = plan.direction;
        let user_enum = target.user_enum_of(direction);
        Self {
            direction,
            ident: user_enum.map_or_else(
                || ident(direction.envelope_name()),
                |user_enum| user_enum.ident().clone(),
            ),
            is_user_defined: user_enum.is_some(),
            doc: sanitise(plan.doc),
            members: plan
                .members
                .iter()
                .map(|member| MemberTokens::new(member, target, direction))
                .collect(),
        }
    }
}

impl<'a> EnvelopeTokens<'a> {
    /// The members that have methods.
    pub(super) fn with_methods(&self) -> impl Iterator<Item = &MemberTokens<'a>> {
        let members = self.members.iter();
        members.filter(|member| !matches!(member.shape, Shape::Answer))
    }

    /// The members that nothing answers.
    pub(super) fn one_way(&self) -> impl Iterator<Item = &MemberTokens<'a>> {
        self.members.iter().filter(|member| member.is_one_way())
    }

    /// Whether any of them sets a STATE, which can be cleared.
    pub(super) fn has_states(&self) -> bool {
        let is_state = |member: &MemberTokens<'_>| member.plan.kind == MsgKind::State;
        self.with_methods().any(is_state)
    }
}

impl EnvelopeTokens<'_> {
    /// The arms of a `match` that accepts one variant, bound to this name, since a peer may send any.
    pub(super) fn only(
        &self,
        tokens: &ProtocolTokens<'_>,
        variant: &Ident,
        binding: &Ident,
    ) -> TokenStream {
        let runtime = tokens.runtime;
        let envelope = &self.ident;
        let (these, others): (Vec<_>, Vec<_>) = self
            .members
            .iter()
            .partition(|member| member.variant == *variant);
        let expected = these.iter().map(|member| match member.payload {
            Some(_) => {
                quote!(#envelope::#variant(#binding) => ::core::result::Result::Ok(#binding),)
            }
            None => quote!(#envelope::#variant => ::core::result::Result::Ok(()),),
        });
        let error =
            quote!(::core::result::Result::Err(#runtime::CallError::unexpected_answer(&other)));
        // If there is one other variant it is named, since a catch-all would suggest more.
        let unexpected = match others.as_slice() {
            [] => TokenStream::new(),
            [only] => {
                let other = only.any_of(&quote!(#envelope));
                quote!(other @ #other => #error,)
            }
            _ => quote!(other => #error,),
        };
        quote!(#(#expected)* #unexpected)
    }
}

impl<'a> MemberTokens<'a> {
    fn new(plan: &'a MemberPlan<'a>, target: &Target<'_>, direction: Direction) -> Self {
        let variant = variant(target, direction, plan.name);
        // What the compiler says of a method points to the user's variant, if there is one.
        let place = Span::call_site().located_at(variant.span());
        let method = |name: &str| {
            let mut method = ident(name);
            method.set_span(place);
            method
        };
        Self {
            plan,
            variant,
            method: method(&names::method_name(plan.name)),
            try_method: method(&names::try_method_name(plan.name)),
            handler: method(&names::handler_name(plan.name)),
            payload: plan.payload.map(|name| target.type_path(name)),
            number: number(plan.number.into()),
            doc: member_doc(plan),
            shape: plan
                .shape
                .map_answer(|answer| AnswerTokens::new(answer, target, direction.reverse())),
        }
    }

    /// Whether nothing comes back.
    pub(super) fn is_one_way(&self) -> bool {
        matches!(self.shape, Shape::OneWay)
    }

    /// The call that it begins, if it begins one.
    pub(super) fn call(&self) -> Option<&CallTokens> {
        match &self.shape {
            Shape::Call(call) => Some(call),
            Shape::OneWay | Shape::Acknowledged | Shape::Answer => None,
        }
    }

    /// Whether it is a call whose request is a stream.
    pub(super) fn is_request_stream(&self) -> bool {
        self.call().is_some_and(|call| call.request_stream)
    }

    /// What a stream of it yields: the message's type, or `()`.
    pub(super) fn item(&self) -> TokenStream {
        self.payload.clone().unwrap_or_else(|| quote!(()))
    }

    /// The name of the parameter that holds the message.
    pub(super) fn parameter(&self) -> Ident {
        match &self.shape {
            Shape::Call(call) if call.request_stream => format_ident!("requests"),
            Shape::Call(_) => format_ident!("request"),
            Shape::OneWay | Shape::Acknowledged | Shape::Answer => format_ident!("message"),
        }
    }

    /// `, message: MessageInd`, or nothing. Not for request streams, whose type depends on who has them.
    pub(super) fn argument(&self) -> TokenStream {
        let parameter = self.parameter();
        self.payload
            .as_ref()
            .map_or_else(TokenStream::new, |payload| quote!(, #parameter: #payload))
    }

    /// `, message`, or nothing.
    pub(super) fn passed(&self) -> TokenStream {
        let parameter = self.parameter();
        if self.payload.is_some() || self.is_request_stream() {
            quote!(, #parameter)
        } else {
            TokenStream::new()
        }
    }

    /// The variant as an expression or a pattern that names its message: `ClientToServer::MessageInd(message)`.
    pub(super) fn of(&self, envelope: &Ident) -> TokenStream {
        let variant = &self.variant;
        let parameter = self.parameter();
        match self.payload {
            Some(_) => quote!(#envelope::#variant(#parameter)),
            None => quote!(#envelope::#variant),
        }
    }

    /// The variant as a pattern that ignores its message: `Self::MessageInd(_)`.
    pub(super) fn any_of(&self, envelope: &TokenStream) -> TokenStream {
        let variant = &self.variant;
        match self.payload {
            Some(_) => quote!(#envelope::#variant(_)),
            None => quote!(#envelope::#variant),
        }
    }
}

impl AnswerTokens {
    fn new(plan: &AnswerPlan<'_>, target: &Target<'_>, direction: Direction) -> Self {
        Self {
            variant: variant(target, direction, plan.name),
            payload: plan.payload.map(|name| target.type_path(name)),
            number: number(plan.number.into()),
        }
    }

    /// What a call yields: the message's type, or `()`.
    pub(super) fn ty(&self) -> TokenStream {
        self.payload.clone().unwrap_or_else(|| quote!(()))
    }
}

/// `::core::result::Result<ok, runtime::error>`
pub(super) fn result(ok: &TokenStream, error: &TokenStream) -> TokenStream {
    quote!(::core::result::Result<#ok, #error>)
}

/// An integer, with five and more digits in groups of three.
pub(super) fn number(value: u64) -> Literal {
    // Digits with underscores between them are always a literal; the other arm has the same value.
    grouped_digits(value)
        .parse()
        .unwrap_or_else(|_| Literal::u64_unsuffixed(value))
}

/// An identifier from a name of the name table, which may be raw.
pub(super) fn ident(name: &str) -> Ident {
    match name.strip_prefix("r#") {
        Some(keyword) => Ident::new_raw(keyword, Span::call_site()),
        None => Ident::new(name, Span::call_site()),
    }
}

fn variant(target: &Target<'_>, direction: Direction, member: &str) -> Ident {
    target
        .user_enum_of(direction)
        .and_then(|user_enum| user_enum.variant(member))
        .cloned()
        .unwrap_or_else(|| ident(&names::variant_name(member)))
}

/// The comment of the member or its message, or a line with the member's name.
fn member_doc(plan: &MemberPlan<'_>) -> Vec<String> {
    let doc = sanitise(plan.doc);
    if doc.is_empty() {
        vec![format!("The message `{}`.", plan.name)]
    } else {
        doc
    }
}

/// `base`, or `base` and the first number that makes it new.
fn unused(base: &str, used: &HashSet<String>) -> Ident {
    let mut name = base.to_owned();
    let mut round = 0_u32;
    while used.contains(&name) {
        name = format!("{base}{round}");
        round += 1;
    }
    ident(&name)
}

fn collect_idents(tokens: TokenStream, into: &mut HashSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                into.insert(ident.to_string());
            }
            TokenTree::Group(group) => collect_idents(group.stream(), into),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}
