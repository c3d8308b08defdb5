//! Streaming calls: what differs from calls with one message each way.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::attributes::{Docs, allow_long, in_words};
use super::tokens::{CallTokens, EnvelopeTokens, MemberTokens, ProtocolTokens, result};

/// The stream that a caller sends.
pub(super) fn sent(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    let item = member.item();
    quote!(impl #runtime::Stream<Item = #item> + ::core::marker::Send + 'static)
}

/// The stream that a handler gets.
pub(super) fn received(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    let item = member.item();
    quote!(#runtime::Streaming<#item>)
}

/// The call of the runtime that sends a stream of requests.
pub(super) fn uploaded(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    member: &MemberTokens<'_>,
    call: &CallTokens,
) -> TokenStream {
    let runtime = tokens.runtime;
    let MemberTokens {
        variant, number, ..
    } = member;
    let parameter = member.parameter();
    let ask = if call.response_stream {
        format_ident!("exchange")
    } else {
        format_ident!("upload")
    };
    let wrap = wrapped(&envelope.ident, variant, member.payload.is_some());
    quote!(#runtime::Outbound::#ask(self, #number, #runtime::widen(#parameter, #wrap)))
}

/// The return type of a handler that answers with a stream: the stream, or a status.
pub(super) fn answers(tokens: &ProtocolTokens<'_>, call: &CallTokens) -> TokenStream {
    let runtime = tokens.runtime;
    let status = quote!(#runtime::Status);
    let item = result(&call.answer.ty(), &status);
    let stream = quote!(impl #runtime::Stream<Item = #item> + ::core::marker::Send + 'static);
    result(&stream, &status)
}

/// `Err` of a handler that refuses to answer with a stream, whose type must be named all the same.
pub(super) fn refusal(tokens: &ProtocolTokens<'_>, call: &CallTokens) -> TokenStream {
    let runtime = tokens.runtime;
    let item = result(&call.answer.ty(), &quote!(#runtime::Status));
    quote!(::core::result::Result::Err::<#runtime::EmptyStream<#item>, _>)
}

/// Calls the handler, and turns what it returns into what the runtime sends.
pub(super) fn answered(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    call: &CallTokens,
    asked: &TokenStream,
) -> TokenStream {
    let runtime = tokens.runtime;
    let variant = &call.answer.variant;
    let back = &tokens.reverse(envelope).ident;
    let has_payload = call.answer.payload.is_some();
    if call.response_stream {
        let wrap = wrapped(back, variant, has_payload);
        quote! {
            let items = #asked.await?;
            ::core::result::Result::Ok(#runtime::Answered::stream(items, #wrap))
        }
    } else if has_payload {
        quote! {
            let response = #asked.await?;
            ::core::result::Result::Ok(#runtime::Answered::Message(#back::#variant(response)))
        }
    } else {
        quote! {
            #asked.await?;
            ::core::result::Result::Ok(#runtime::Answered::Message(#back::#variant))
        }
    }
}

/// `dispatch_stream`, if a request of this direction is a stream; by default the runtime refuses them.
pub(super) fn dispatching(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
    other: &Ident,
    other_type: &Ident,
) -> Option<TokenStream> {
    let ProtocolTokens {
        runtime,
        handler: parameter,
        ..
    } = tokens;
    let message_type = &envelope.ident;
    let answer_type = &tokens.reverse(envelope).ident;
    let arms: Vec<_> = envelope
        .members
        .iter()
        .filter_map(|member| {
            let call = member.call().filter(|call| call.request_stream)?;
            let MemberTokens {
                number, handler, ..
            } = member;
            let arms = envelope.only(tokens, &member.variant, &format_ident!("item"));
            let narrowed = quote!(requests.narrow(|request| match request { #arms }));
            let asked = quote!(handler.#handler(#other, requests));
            let answered = answered(tokens, envelope, call, &asked);
            Some(quote! {
                #number => {
                    let requests = #narrowed;
                    #answered
                }
            })
        })
        .collect();
    if arms.is_empty() {
        return None;
    }
    let allow = allow_long(arms.len(), 8);
    Some(quote! {
        #allow
        async fn dispatch_stream(
            handler: &#parameter,
            #other: &#runtime::#other_type<Self>,
            variant: u16,
            requests: #runtime::Streaming<#message_type>,
        ) -> ::core::result::Result<#runtime::Answered<#answer_type>, #runtime::Status> {
            match variant {
                #(#arms)*
                unknown => ::core::result::Result::Err(#runtime::Status::unimplemented_variant(unknown)),
            }
        }
    })
}

/// The doc comment of a send method.
pub(super) fn method_doc(
    tokens: &ProtocolTokens<'_>,
    receiver: &str,
    member: &MemberTokens<'_>,
    call: &CallTokens,
    docs: Docs,
) -> Docs {
    let call_error = tokens.runtime_link("CallError");
    let (what, errors) = match (call.request_stream, call.response_stream) {
        (false, _) => (
            format!(
                "A call answered by a stream. The {receiver} sends as the stream is read, so a slow reader slows it \
                 down; dropping the stream tells it to stop."
            ),
            format!(
                "The {receiver}'s status, or [why there is no answer]({call_error}): here, or as the stream's last item."
            ),
        ),
        (true, false) => (
            format!(
                "A call that sends a stream, as fast as the {receiver} takes it, and waits for the answer. The answer \
                 may come before the stream's end; the rest of it is dropped then."
            ),
            format!("The {receiver}'s status, or [why there is no answer]({call_error})."),
        ),
        (true, true) => (
            format!(
                "A call that sends a stream and is answered by another, each as fast as its reader takes it. The end \
                 of the answer ends the call, and dropping it tells the {receiver} to stop; what is left of `requests` \
                 is dropped then."
            ),
            format!(
                "The {receiver}'s status, or [why there is no answer]({call_error}): here, or as the stream's last item."
            ),
        ),
    };
    let limit = member.plan.time_limit().map_or_else(
        || "It has no time limit unless one is given.".to_owned(),
        |timeout| {
            format!(
                "All of it may take {} unless told otherwise.",
                in_words(timeout)
            )
        },
    );
    docs.paragraph(&format!("{what} {limit}"))
        .section("Errors", &errors)
}

/// The doc comment of a handler's method.
pub(super) fn handler_doc(call: &CallTokens, docs: Docs) -> Docs {
    let docs = if call.request_stream {
        docs.paragraph(
            "A call that begins with a stream: `requests` yields what the caller sends, and an error where it breaks \
             off. Dropping it tells the caller to stop.",
        )
    } else {
        docs.paragraph("A call answered by a stream.")
    };
    if call.response_stream {
        docs.paragraph(
            "What this returns is sent as fast as the caller takes it, and dropped when the caller wants no more. It \
             borrows nothing: write its type as here, `'static` included.",
        )
        .section(
            "Errors",
            "What the caller gets in place of the stream. An error that the stream yields is its last item.",
        )
    } else {
        docs.paragraph("What this returns is the answer.")
            .section("Errors", "What the caller gets in place of the answer.")
    }
}

/// A function from a message to its variant.
fn wrapped(envelope: &Ident, variant: &Ident, has_payload: bool) -> TokenStream {
    if has_payload {
        quote!(#envelope::#variant)
    } else {
        quote!(|()| #envelope::#variant)
    }
}
