//! The type that represents the protocol.

use proc_macro2::TokenStream;
use quote::quote;

use super::attributes::{Docs, allow_long, allow_unused};
use super::doc::sanitise;
use super::tokens::ProtocolTokens;
use msip_schema::Direction;

/// The generation of output that this emitter writes; the runtime refuses others.
const GENERATION: u32 = 1;

/// `pub struct Chat;`
pub(super) fn definition(tokens: &ProtocolTokens<'_>) -> TokenStream {
    let ProtocolTokens {
        schema,
        protocol,
        target,
        ..
    } = tokens;
    let visibility = &target.visibility;
    let comment = sanitise(schema.doc());
    let summary = format!(
        "The protocol `{}`: clients say [`{}`], servers say [`{}`].",
        schema.package(),
        tokens.envelope(Direction::ClientToServer).ident,
        tokens.envelope(Direction::ServerToClient).ident,
    );
    let doc = Docs::new(&comment).paragraph(&summary).attributes();
    let allow = allow_unused([comment.as_slice()]);
    // A file of ours has the prelude; the module of a user's enums may have none.
    let derives = if tokens.envelope(Direction::ClientToServer).is_user_defined {
        quote! {
            ::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy, ::core::cmp::PartialEq,
            ::core::cmp::Eq, ::core::hash::Hash, ::core::default::Default
        }
    } else {
        quote!(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)
    };
    quote! {
        #doc
        #allow
        #[derive(#derives)]
        #visibility struct #protocol;
    }
}

/// Refuses a runtime of another generation.
pub(super) fn generation(tokens: &ProtocolTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    let generation = proc_macro2::Literal::u32_unsuffixed(GENERATION);
    quote!(const _: () = #runtime::require_generation(#generation);)
}

/// `impl Protocol for Chat`
pub(super) fn implementation(tokens: &ProtocolTokens<'_>) -> TokenStream {
    let ProtocolTokens {
        protocol,
        runtime,
        schema,
        target,
        ..
    } = tokens;
    let client_to_server = &tokens.envelope(Direction::ClientToServer).ident;
    let server_to_client = &tokens.envelope(Direction::ServerToClient).ident;
    let name = schema.package();
    let fingerprint = &target.fingerprint;
    let descriptors = &target.descriptors;
    let message_sizes = &target.message_sizes;
    let allow_sizes = allow_long(schema.types().len(), 4);
    quote! {
        impl #runtime::Protocol for #protocol {
            type ClientToServer = #client_to_server;
            type ServerToClient = #server_to_client;
            const NAME: &'static str = #name;

            fn fingerprint() -> u64 {
                #fingerprint
            }

            fn descriptor_set() -> &'static [u8] {
                #descriptors
            }

            #allow_sizes
            fn message_sizes() -> &'static [#runtime::MessageSize] {
                #message_sizes
            }
        }
    }
}
