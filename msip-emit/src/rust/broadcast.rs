//! The broadcast trait: the messages that a server may send to many clients at once.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::attributes::{Docs, allow_names, allow_unused};
use super::tokens::{EnvelopeTokens, MemberTokens, ProtocolTokens};

/// The trait: the messages that nobody answers.
pub(super) fn definition(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> TokenStream {
    let visibility = &tokens.target.visibility;
    let name = format_ident!("Broadcast{}", envelope.direction.envelope_name());
    let doc = Docs::line("What a server may say to many clients at once: its one-way messages, typed.")
        .paragraph(&format!(
            "Implemented for the [runtime's `Broadcast`]({}) of [`{}`]. Each message is encoded once and queued for \
             every client that has capacity; nothing waits for a slow one.",
            tokens.runtime_link("Broadcast"),
            tokens.protocol,
        ))
        .attributes();
    let allow = allow_unused(envelope.one_way().map(|member| member.doc.as_slice()));
    let allow_names = allow_names(envelope.one_way().map(|member| &member.method));
    let methods = envelope.one_way().map(|member| {
        let doc = Docs::new(&member.doc)
            .paragraph("Returns how many clients took it.")
            .attributes();
        let signature = signature(member);
        quote!(#doc #signature;)
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

/// The implementation for everything that sends to many.
pub(super) fn implementation(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> TokenStream {
    let ProtocolTokens {
        runtime, sender, ..
    } = tokens;
    let name = format_ident!("Broadcast{}", envelope.direction.envelope_name());
    let out = &envelope.ident;
    let methods = envelope.one_way().map(|member| {
        let signature = signature(member);
        let message = member.of(out);
        quote! {
            #signature {
                #runtime::OutboundAll::send_all(self, #message)
            }
        }
    });
    quote! {
        impl<#sender> #name for #sender
        where
            #sender: #runtime::OutboundAll<#out> + ?::core::marker::Sized,
        {
            #(#methods)*
        }
    }
}

fn signature(member: &MemberTokens<'_>) -> TokenStream {
    let method = &member.method;
    let argument = member.argument();
    quote!(fn #method(&self #argument) -> usize)
}
