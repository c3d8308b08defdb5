//! The push traits: the one-way messages of a side, for a sender that batches them.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::attributes::{Docs, allow_names, allow_unused};
use super::tokens::{EnvelopeTokens, MemberTokens, ProtocolTokens, result};
use msip_schema::Direction;

/// The trait: the messages that nobody answers.
pub(super) fn definition(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> TokenStream {
    let visibility = &tokens.target.visibility;
    let name = format_ident!("Push{}", envelope.direction.envelope_name());
    let (says, implementor) = match envelope.direction {
        Direction::ClientToServer => (
            "What a client may say to its server in bulk: its one-way messages, typed.",
            "Client",
        ),
        Direction::ServerToClient => (
            "What a server may say to one client in bulk: its one-way messages, typed.",
            "Peer",
        ),
    };
    let doc = Docs::line(says)
        .paragraph(&format!(
            "Implemented for the [runtime's `Sender`]({}) that a `{implementor}` of [`{}`] makes, and `&mut` to it. It \
             batches what is pushed; `flush` hands over the last of it.",
            tokens.runtime_link("Sender"),
            tokens.protocol,
        ))
        .attributes();
    let allow = allow_unused(envelope.one_way().map(|member| member.doc.as_slice()));
    let allow_names = allow_names(envelope.one_way().map(|member| &member.method));
    let methods = envelope.one_way().map(|member| {
        let doc = Docs::new(&member.doc)
            .paragraph(
                "One-way: sent in a batch with others, and waits for capacity only where many wait already.",
            )
            .section(
                "Errors",
                &format!(
                    "[Why it cannot be sent]({}).",
                    tokens.runtime_link("SendError")
                ),
            )
            .attributes();
        let signature = signature(tokens, member);
        quote!(#doc #signature;)
    });
    quote! {
        #doc
        #allow
        #allow_names
        #visibility trait #name: ::core::marker::Send {
            #(#methods)*
        }
    }
}

/// The implementation for everything that batches messages of this direction.
pub(super) fn implementation(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> TokenStream {
    let ProtocolTokens {
        runtime, sender, ..
    } = tokens;
    let name = format_ident!("Push{}", envelope.direction.envelope_name());
    let out = &envelope.ident;
    let methods = envelope.one_way().map(|member| {
        let signature = signature(tokens, member);
        let message = member.of(out);
        quote! {
            #signature {
                #runtime::OutboundPush::push(self, #message)
            }
        }
    });
    quote! {
        impl<#sender> #name for #sender
        where
            #sender: #runtime::OutboundPush<#out> + ?::core::marker::Sized,
        {
            #(#methods)*
        }
    }
}

fn signature(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    let method = &member.method;
    let argument = member.argument();
    let future = ProtocolTokens::future(&result(&quote!(()), &quote!(#runtime::SendError)));
    quote!(fn #method(&mut self #argument) -> #future)
}
