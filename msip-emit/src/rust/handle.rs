//! The handle traits: a method for each message that one side handles.

use proc_macro2::{Ident, Punct, Spacing, TokenStream};
use quote::{format_ident, quote};

use super::attributes::{Docs, allow_unused};
use super::dispatch;
use super::handler_names::HandlerNames;
use super::streams;
use super::tokens::{EnvelopeTokens, MemberTokens, ProtocolTokens, result};
use crate::plan::Shape;
use msip_schema::Direction;

/// The trait.
pub(super) fn definition(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> TokenStream {
    let visibility = &tokens.target.visibility;
    let role = HandlerNames::of(envelope.direction);
    let name = &role.trait_ident;
    let package = tokens.schema.package();
    let (summary, details, speakers) = match envelope.direction {
        Direction::ClientToServer => (
            "What a server does with what its clients say.",
            "Write the methods as `async fn`. Messages of one client are handled in the order they were sent; a call \
             does not hold up what follows it.",
            "clients",
        ),
        Direction::ServerToClient => (
            "What a client does with what its server says.",
            "Write the methods as `async fn`. Messages are handled in the order they were sent; a call does not hold \
             up what follows it. `()` is a handler too: it ignores messages and refuses calls as unimplemented.",
            "servers",
        ),
    };
    let doc = Docs::line(summary).paragraph(details).attributes();
    let message = format!("`{{Self}}` does not handle what {speakers} of `{package}` say");
    let label = format!("not a handler of `{package}`");
    let note = format!("implement `{name}` for `{{Self}}`");
    let explanation = tokens
        .target
        .can_explain(tokens.schema)
        .then(|| quote!(#[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]));
    let allow = allow_unused(envelope.with_methods().map(|member| member.doc.as_slice()));
    let handlers = envelope.with_methods().map(|member| {
        let doc = handler_doc(member);
        let signature = signature(tokens, &role, member);
        let ignored = member.is_one_way().then(|| {
            let other = &role.other;
            let passed = member.passed();
            if member.payload.is_some() {
                quote!((#other #passed))
            } else {
                quote!(#other)
            }
        });
        match ignored {
            Some(ignored) => quote! {
                #doc
                #signature {
                    let _ = #ignored;
                    ::core::future::ready(())
                }
            },
            None => {
                // It is a part of what a message about the method points to.
                let mut end = Punct::new(';', Spacing::Alone);
                end.set_span(member.handler.span());
                quote!(#doc #signature #end)
            }
        }
    });
    let callbacks = callbacks(tokens, envelope, &role);
    quote! {
        #doc
        #allow
        #explanation
        #visibility trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#handlers)*
            #callbacks
        }
    }
}

/// The methods that do not depend on the schema.
fn callbacks(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    role: &HandlerNames,
) -> TokenStream {
    let ProtocolTokens {
        runtime, protocol, ..
    } = tokens;
    let HandlerNames {
        other,
        other_type,
        connected,
        disconnected,
        ..
    } = role;
    let done = ProtocolTokens::future(&quote!(()));
    let (connected_doc, disconnected_doc) = if role.connects {
        (
            "The client has connected, or connected again: the place to log in.",
            "The connection is lost or closed, for this reason.",
        )
    } else {
        (
            "A client has connected.",
            "A client's connection is lost or closed, for this reason.",
        )
    };
    let connected_doc = if role.connects {
        Docs::line(connected_doc).paragraph(
            "Until it has returned only this handle and its clones send; all others wait, and so does what the server says. So it \
             must not wait for either. An error, or no end within the setting `login_timeout`, fails the attempt to connect. Does \
             nothing unless implemented.",
        )
    } else {
        Docs::line(connected_doc).paragraph("Does nothing unless implemented.")
    }
    .attributes();
    let disconnected_doc = Docs::line(disconnected_doc)
        .paragraph("Does nothing unless implemented.")
        .attributes();
    let logged_in = role.logged_in(runtime);
    let login = ProtocolTokens::future(&logged_in);
    let login_done = if role.connects {
        quote!(::core::result::Result::Ok(()))
    } else {
        quote!(())
    };
    let failure = role.connects.then(|| {
        let decision = ProtocolTokens::future(&quote!(#runtime::Reconnect));
        quote! {
            /// The server has closed the session with this status: come back?
            ///
            /// Called after `on_disconnected`, unless the code says it already: after `UNAVAILABLE` and `RESOURCE_EXHAUSTED` the
            /// client comes back. Stays away unless implemented.
            fn on_closed_by_server(&self, status: &#runtime::Status) -> #decision {
                let _ = status;
                ::core::future::ready(#runtime::Reconnect::Stop)
            }

            /// The attempt of this number, counted from 1, has failed: what next?
            ///
            /// Tries again, later each time, unless implemented.
            fn on_connect_failure(&self, error: &#runtime::ConnectError, attempt: u32) -> #decision {
                let _ = (error, attempt);
                ::core::future::ready(#runtime::Reconnect::Backoff)
            }
        }
    });
    let gone = (!role.connects).then(|| {
        quote! {
            /// A client is gone for good: its session has ended, and nothing more can be said to it.
            ///
            /// Called once, after the last `on_client_disconnected`; a client that comes back after it is another peer. What was
            /// open then is told by `peer.connection().lost()`. Does nothing unless implemented.
            fn on_client_gone(&self, #other: &#runtime::#other_type<#protocol>) -> #done {
                let _ = #other;
                ::core::future::ready(())
            }
        }
    });
    let message = &envelope.ident;
    let cleared = envelope.has_states().then(|| {
        quote! {
            /// The other side clears a STATE: it is set no longer.
            ///
            /// It is called in place of the method of the STATE. Of `state` only the variant counts, and its key where it has
            /// one. Does nothing unless implemented.
            fn on_state_cleared(
                &self,
                #other: &#runtime::#other_type<#protocol>,
                state: #message,
            ) -> #done {
                let _ = (#other, state);
                ::core::future::ready(())
            }
        }
    });
    quote! {
        #cleared

        #connected_doc
        fn #connected(&self, #other: &#runtime::#other_type<#protocol>) -> #login {
            let _ = #other;
            ::core::future::ready(#login_done)
        }

        #disconnected_doc
        fn #disconnected(
            &self,
            #other: &#runtime::#other_type<#protocol>,
            reason: #runtime::DisconnectReason,
        ) -> #done {
            let _ = (#other, reason);
            ::core::future::ready(())
        }

        #gone

        #failure
    }
}

/// The implementations: the handler that refuses all calls, the shared handler, and the dispatch.
pub(super) fn implementations(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> Vec<TokenStream> {
    let role = HandlerNames::of(envelope.direction);
    let mut items = Vec::new();
    if role.connects {
        items.push(refusing(tokens, envelope, &role));
    }
    items.push(shared(tokens, envelope, &role));
    items.push(dispatch::implementation(tokens, envelope, &role));
    items
}

/// `impl HandleServerToClient for ()`
fn refusing(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    role: &HandlerNames,
) -> TokenStream {
    let ProtocolTokens {
        runtime, protocol, ..
    } = tokens;
    let HandlerNames {
        trait_ident,
        other,
        other_type,
        ..
    } = role;
    let other = format_ident!("_{other}");
    let required = envelope
        .with_methods()
        .filter(|member| !member.is_one_way())
        .map(|member| {
            let handler = &member.handler;
            let argument = argument(tokens, member, &format_ident!("_{}", member.parameter()));
            let future = ProtocolTokens::future(&output(tokens, member));
            let refusal = match member.call() {
                Some(call) if call.response_stream => streams::refusal(tokens, call),
                _ => quote!(::core::result::Result::Err),
            };
            let name = member.plan.name;
            quote! {
                fn #handler(&self, #other: &#runtime::#other_type<#protocol> #argument) -> #future {
                    ::core::future::ready(#refusal(#runtime::Status::unimplemented(#name)))
                }
            }
        });
    quote! {
        impl #trait_ident for () {
            #(#required)*
        }
    }
}

/// `impl HandleClientToServer for Arc<H>`
fn shared(
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
        other,
        other_type,
        connected,
        disconnected,
        ..
    } = role;
    let handlers = envelope.with_methods().map(|member| {
        let handler = &member.handler;
        let signature = signature(tokens, role, member);
        let passed = member.passed();
        quote! {
            #signature {
                #parameter::#handler(self, #other #passed)
            }
        }
    });
    let done = ProtocolTokens::future(&quote!(()));
    let login = ProtocolTokens::future(&role.logged_in(runtime));
    let failure = role.connects.then(|| {
        let decision = ProtocolTokens::future(&quote!(#runtime::Reconnect));
        quote! {
            fn on_closed_by_server(&self, status: &#runtime::Status) -> #decision {
                #parameter::on_closed_by_server(self, status)
            }

            fn on_connect_failure(&self, error: &#runtime::ConnectError, attempt: u32) -> #decision {
                #parameter::on_connect_failure(self, error, attempt)
            }
        }
    });
    let gone = (!role.connects).then(|| {
        quote! {
            fn on_client_gone(&self, #other: &#runtime::#other_type<#protocol>) -> #done {
                #parameter::on_client_gone(self, #other)
            }
        }
    });
    let message = &envelope.ident;
    let cleared = envelope.has_states().then(|| {
        quote! {
            fn on_state_cleared(
                &self,
                #other: &#runtime::#other_type<#protocol>,
                state: #message,
            ) -> #done {
                #parameter::on_state_cleared(self, #other, state)
            }
        }
    });
    quote! {
        impl<#parameter> #trait_ident for ::std::sync::Arc<#parameter>
        where
            #parameter: #trait_ident,
        {
            #(#handlers)*

            #cleared

            fn #connected(&self, #other: &#runtime::#other_type<#protocol>) -> #login {
                #parameter::#connected(self, #other)
            }

            fn #disconnected(
                &self,
                #other: &#runtime::#other_type<#protocol>,
                reason: #runtime::DisconnectReason,
            ) -> #done {
                #parameter::#disconnected(self, #other, reason)
            }

            #gone

            #failure
        }
    }
}

fn signature(
    tokens: &ProtocolTokens<'_>,
    role: &HandlerNames,
    member: &MemberTokens<'_>,
) -> TokenStream {
    let ProtocolTokens {
        runtime, protocol, ..
    } = tokens;
    let HandlerNames {
        other, other_type, ..
    } = role;
    let handler = &member.handler;
    let argument = argument(tokens, member, &member.parameter());
    let future = ProtocolTokens::future(&output(tokens, member));
    // A message about the method points to where it begins.
    let first = Ident::new("fn", handler.span());
    quote!(#first #handler(&self, #other: &#runtime::#other_type<#protocol> #argument) -> #future)
}

/// `, request: WatchReq` with a parameter of this name, or nothing.
fn argument(
    tokens: &ProtocolTokens<'_>,
    member: &MemberTokens<'_>,
    parameter: &Ident,
) -> TokenStream {
    let ty = if member.is_request_stream() {
        Some(streams::received(tokens, member))
    } else {
        member.payload.clone()
    };
    ty.map_or_else(TokenStream::new, |ty| quote!(, #parameter: #ty))
}

/// What a handler returns.
fn output(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    let status = quote!(#runtime::Status);
    match &member.shape {
        Shape::OneWay | Shape::Answer => quote!(()),
        Shape::Acknowledged => result(&quote!(()), &status),
        Shape::Call(call) if call.response_stream => streams::answers(tokens, call),
        Shape::Call(call) => result(&call.answer.ty(), &status),
    }
}

fn handler_doc(member: &MemberTokens<'_>) -> TokenStream {
    let docs = Docs::new(&member.doc);
    match &member.shape {
        Shape::OneWay | Shape::Answer => docs.paragraph("Ignored unless implemented."),
        Shape::Acknowledged => docs
            .paragraph("The sender waits until this returns.")
            .section(
                "Errors",
                "What the sender is told in place of the acknowledgment.",
            ),
        Shape::Call(call) if call.has_stream() => streams::handler_doc(call, docs),
        Shape::Call(_) => docs
            .paragraph("A call: what this returns is the answer.")
            .section("Errors", "What the caller gets in place of the answer."),
    }
    .attributes()
}
