//! The send traits: a method for each message that one side may send.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::attributes::{Docs, allow_names, allow_unused, in_words};
use super::streams;
use super::tokens::{CallTokens, EnvelopeTokens, MemberTokens, ProtocolTokens, result};
use crate::plan::{DEFAULT_TIMEOUT, Shape};
use msip_schema::{Direction, MsgKind};

/// `SendClientToServer`, whatever the enum is called.
pub(super) fn trait_ident(direction: Direction) -> Ident {
    format_ident!("Send{}", direction.envelope_name())
}

/// The trait.
pub(super) fn definition(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> TokenStream {
    let visibility = &tokens.target.visibility;
    let name = trait_ident(envelope.direction);
    let (says, implementor) = match envelope.direction {
        Direction::ClientToServer => ("What a client may say to its server, typed.", "Client"),
        Direction::ServerToClient => ("What a server may say to one client, typed.", "Peer"),
    };
    let doc = Docs::line(says)
        .paragraph(&format!(
            "Implemented for the [runtime's `{implementor}`]({}) of [`{}`], its views, and references and `Arc`s to \
             them. The trait is not dyn-compatible; be generic over it instead.",
            tokens.runtime_link(implementor),
            tokens.protocol,
        ))
        .attributes();
    let allow = allow_unused(envelope.with_methods().map(|member| member.doc.as_slice()));
    let allow_names = allow_names(envelope.with_methods().map(|member| &member.method));
    let methods = envelope.with_methods().map(|member| {
        let signature = signature(tokens, member);
        let doc = method_doc(tokens, envelope, member);
        let try_form = member.is_one_way().then(|| {
            let method = &member.method;
            let passed = member.passed();
            let signature = try_signature(tokens, member);
            let doc = try_doc(tokens, member);
            let send_now = &tokens.runtime;
            quote! {
                #doc
                #signature {
                    #send_now::send_now(#name::#method(self #passed))
                }
            }
        });
        quote!(#doc #signature; #try_form)
    });
    quote! {
        #doc
        #allow
        #allow_names
        #visibility trait #name: ::core::marker::Send + ::core::marker::Sync {
            #(#methods)*
        }
    }
}

/// The implementation for everything that sends in this direction.
pub(super) fn implementation(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> TokenStream {
    let ProtocolTokens {
        runtime, sender, ..
    } = tokens;
    let name = trait_ident(envelope.direction);
    let out = &envelope.ident;
    let back = &tokens.reverse(envelope).ident;
    let methods = envelope.with_methods().map(|member| {
        let message = member.of(out);
        match &member.shape {
            Shape::OneWay => {
                let signature = signature(tokens, member);
                let try_signature = try_signature(tokens, member);
                quote! {
                    #signature {
                        #runtime::Outbound::send(self, #message)
                    }

                    #try_signature {
                        #runtime::Outbound::try_send(self, #message)
                    }
                }
            }
            Shape::Acknowledged => {
                let signature = signature(tokens, member);
                quote! {
                    #signature {
                        #runtime::Outbound::deliver(self, #message)
                    }
                }
            }
            Shape::Call(call) => calling(tokens, envelope, member, call),
            Shape::Answer => TokenStream::new(),
        }
    });
    quote! {
        impl<#sender> #name for #sender
        where
            #sender: #runtime::Outbound<#out, #back> + ?::core::marker::Sized,
        {
            #(#methods)*
        }
    }
}

/// A call. The variant of the answer is checked, since a peer may answer with any.
fn calling(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    member: &MemberTokens<'_>,
    call: &CallTokens,
) -> TokenStream {
    let runtime = tokens.runtime;
    let method = &member.method;
    let argument = argument(tokens, member);
    let output = output(tokens, member);
    let asked = if call.request_stream {
        streams::uploaded(tokens, envelope, member, call)
    } else {
        let message = member.of(&envelope.ident);
        let ask = if call.response_stream {
            format_ident!("call_streaming")
        } else {
            format_ident!("call")
        };
        quote!(#runtime::Outbound::#ask(self, #message))
    };
    let reverse = tokens.reverse(envelope);
    let body = if call.response_stream {
        let arms = reverse.only(tokens, &call.answer.variant, &format_ident!("item"));
        quote! {
            let answers = #asked.await?;
            ::core::result::Result::Ok(answers.narrow(|answer| match answer { #arms }))
        }
    } else {
        let arms = reverse.only(tokens, &call.answer.variant, &format_ident!("response"));
        quote!(match #asked.await? { #arms })
    };
    quote! {
        async fn #method(&self #argument) -> #output {
            #body
        }
    }
}

fn signature(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let method = &member.method;
    let argument = argument(tokens, member);
    let future = ProtocolTokens::future(&output(tokens, member));
    quote!(fn #method(&self #argument) -> #future)
}

/// `, request: WatchReq`, or nothing.
fn argument(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    if member.is_request_stream() {
        let parameter = member.parameter();
        let stream = streams::sent(tokens, member);
        quote!(, #parameter: #stream)
    } else {
        member.argument()
    }
}

/// What a method returns.
fn output(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    let call_error = quote!(#runtime::CallError);
    match &member.shape {
        Shape::OneWay | Shape::Answer => result(&quote!(()), &quote!(#runtime::SendError)),
        Shape::Acknowledged => result(&quote!(()), &call_error),
        Shape::Call(call) => {
            let answer = call.answer.ty();
            if call.response_stream {
                result(&quote!(#runtime::Streaming<#answer>), &call_error)
            } else {
                result(&answer, &call_error)
            }
        }
    }
}

fn try_signature(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    let method = &member.try_method;
    let argument = member.argument();
    let output = result(&quote!(()), &quote!(#runtime::SendError));
    quote!(fn #method(&self #argument) -> #output)
}

fn method_doc(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    member: &MemberTokens<'_>,
) -> TokenStream {
    let receiver = match envelope.direction {
        Direction::ClientToServer => "server",
        Direction::ServerToClient => "client",
    };
    let docs = Docs::new(&member.doc);
    let docs = match &member.shape {
        Shape::Call(call) if call.has_stream() => {
            streams::method_doc(tokens, receiver, member, call, docs)
        }
        Shape::Call(_) => docs
            .paragraph(&format!("A call: waits for the answer, for {} unless told otherwise.", patience(member)))
            .section(
                "Errors",
                &format!(
                    "The {receiver}'s status, or [why there is no answer]({}).",
                    tokens.runtime_link("CallError")
                ),
            ),
        Shape::Acknowledged => docs
            .paragraph(&format!(
                "Acknowledged: waits until the {receiver} has handled it, for {} unless told otherwise.",
                patience(member)
            ))
            .section(
                "Errors",
                &format!(
                    "The {receiver}'s status, or [why there is no acknowledgment]({}).",
                    tokens.runtime_link("CallError")
                ),
            ),
        Shape::OneWay | Shape::Answer => docs.paragraph(one_way(member.plan.kind)).section(
            "Errors",
            &format!("[Why it cannot be sent]({}).", tokens.runtime_link("SendError")),
        ),
    };
    docs.attributes()
}

fn one_way(kind: MsgKind) -> &'static str {
    match kind {
        MsgKind::Event | MsgKind::Command => {
            "One-way: waits for capacity to send it, not for the other side."
        }
        MsgKind::State => {
            "One-way: waits for capacity to send it. Under pressure only the newest is sure to arrive."
        }
        MsgKind::Log | MsgKind::Metric => {
            "One-way: waits for capacity to send it. May be dropped under pressure."
        }
    }
}

fn try_doc(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let method = member.method.to_string();
    // rustdoc does not resolve raw identifiers.
    let itself = match method.strip_prefix("r#") {
        Some(keyword) => format!("`{keyword}`"),
        None => format!("[`{method}`](Self::{method})"),
    };
    Docs::line(&format!("{itself} without waiting for capacity."))
        .section(
            "Errors",
            &format!(
                "[Why it cannot be sent]({}), now: `Full` where it would have to wait.",
                tokens.runtime_link("SendError")
            ),
        )
        .attributes()
}

/// How long a call waits, in words.
fn patience(member: &MemberTokens<'_>) -> String {
    in_words(member.plan.time_limit().unwrap_or(DEFAULT_TIMEOUT))
}
