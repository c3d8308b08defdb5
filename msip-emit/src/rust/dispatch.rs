//! Dispatch: calls the handler's method for a message, and turns what it returns into an answer.

use proc_macro2::TokenStream;
use quote::quote;

use super::attributes::allow_long;
use super::handler_names::HandlerNames;
use super::streams;
use super::tokens::{EnvelopeTokens, MemberTokens, ProtocolTokens};
use crate::plan::Shape;

/// `impl ServeWith<H> for Chat`
pub(super) fn implementation(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    role: &HandlerNames,
) -> TokenStream {
    let ProtocolTokens {
        runtime,
        protocol,
        handler: parameter,
        ..
    } = tokens;
    let HandlerNames {
        trait_ident,
        runtime_trait,
        other,
        other_type,
        connected,
        disconnected,
        ..
    } = role;
    let message_type = &envelope.ident;
    let answer_type = &tokens.reverse(envelope).ident;
    let arms = envelope
        .members
        .iter()
        .map(|member| arm(tokens, envelope, role, member));
    let allow = allow_long(envelope.members.len(), 4);
    // If there are only answers and streams, no handler is called here.
    let unused = envelope
        .with_methods()
        .all(MemberTokens::is_request_stream)
        .then(|| quote!(let _ = (handler, #other);));
    let dispatch_stream = streams::dispatching(tokens, envelope, other, other_type);
    let done = ProtocolTokens::future(&quote!(()));
    let login = ProtocolTokens::future(&role.logged_in(runtime));
    let failure = role.connects.then(|| {
        let decision = ProtocolTokens::future(&quote!(#runtime::Reconnect));
        quote! {
            fn closed_by_server(handler: &#parameter, status: &#runtime::Status) -> #decision {
                handler.on_closed_by_server(status)
            }

            fn connect_failure(handler: &#parameter, error: &#runtime::ConnectError, attempt: u32) -> #decision {
                handler.on_connect_failure(error, attempt)
            }
        }
    });
    let gone = (!role.connects).then(|| {
        quote! {
            fn gone(handler: &#parameter, #other: &#runtime::#other_type<Self>) -> #done {
                handler.on_client_gone(#other)
            }
        }
    });
    let cleared = envelope.has_states().then(|| {
        quote! {
            fn cleared(
                handler: &#parameter,
                #other: &#runtime::#other_type<Self>,
                state: #message_type,
            ) -> #done {
                handler.on_state_cleared(#other, state)
            }
        }
    });
    quote! {
        impl<#parameter> #runtime::#runtime_trait<#parameter> for #protocol
        where
            #parameter: #trait_ident,
        {
            #allow
            async fn dispatch(
                handler: &#parameter,
                #other: &#runtime::#other_type<Self>,
                message: #message_type,
            ) -> ::core::result::Result<#runtime::Answered<#answer_type>, #runtime::Status> {
                #unused
                match message {
                    #(#arms)*
                }
            }

            #dispatch_stream

            #cleared

            fn connected(handler: &#parameter, #other: &#runtime::#other_type<Self>) -> #login {
                handler.#connected(#other)
            }

            fn disconnected(
                handler: &#parameter,
                #other: &#runtime::#other_type<Self>,
                reason: #runtime::DisconnectReason,
            ) -> #done {
                handler.#disconnected(#other, reason)
            }

            #gone

            #failure
        }
    }
}

/// The arm of one message: calls its handler, and turns what that returns into an answer.
fn arm(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    role: &HandlerNames,
    member: &MemberTokens<'_>,
) -> TokenStream {
    let runtime = tokens.runtime;
    let message_type = &envelope.ident;
    let other = &role.other;
    let handler = &member.handler;
    let passed = member.passed();
    let pattern = member.of(message_type);
    match &member.shape {
        Shape::OneWay => quote! {
            #pattern => {
                handler.#handler(#other #passed).await;
                ::core::result::Result::Ok(#runtime::Answered::Nothing)
            }
        },
        Shape::Acknowledged => quote! {
            #pattern => {
                handler.#handler(#other #passed).await?;
                ::core::result::Result::Ok(#runtime::Answered::Nothing)
            }
        },
        // Its requests are dispatched as a stream.
        Shape::Call(call) if call.request_stream => {
            let pattern = member.any_of(&quote!(#message_type));
            let name = member.plan.name;
            quote!(#pattern => ::core::result::Result::Err(#runtime::Status::unimplemented(#name)),)
        }
        Shape::Call(call) => {
            let asked = quote!(handler.#handler(#other #passed));
            let answered = streams::answered(tokens, envelope, call, &asked);
            quote!(#pattern => { #answered })
        }
        // An answer that was sent as a message of its own.
        Shape::Answer => {
            let pattern = member.any_of(&quote!(#message_type));
            let name = member.plan.name;
            quote!(#pattern => ::core::result::Result::Err(#runtime::Status::unsolicited(#name)),)
        }
    }
}
