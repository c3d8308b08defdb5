//! Rust: the items of a protocol, as tokens.
//!
//! Both front ends use it: build scripts, which write files, and derives, which return tokens. It writes the protocol's
//! type, both envelopes, and for each direction a send trait and a handle trait with their implementations. Messages are
//! written by the front end. [`items`] takes a schema, which is checked and therefore never rejected here, and a
//! [`Target`] with what the schema cannot know, such as the paths of its types. [`check`] has the rules that a schema must
//! follow to become Rust.
//!
//! ```
//! # fn example(schema: &msip_schema::Schema) {
//! use msip_emit::rust::{Target, items};
//! use quote::{format_ident, quote};
//!
//! let type_path = |name: &msip_schema::TypeName| {
//!     let ident = format_ident!("{}", msip_emit::rust::names::type_name(name.short()));
//!     quote!(#ident)
//! };
//! let target = Target::new(&type_path)
//!     .fingerprint(quote!(0x0123_4567_89ab_cdef))
//!     .descriptors(quote!(::core::include_bytes!("chat.descriptors.bin")));
//! for item in items(schema, &target) {
//!     println!("{item}");
//! }
//! # }
//! ```
//!
//! # Requirements of the output
//!
//! Paths are absolute, so that no type of the user's module can shadow them, with these exceptions: the paths that the
//! `type_path` of [`Target::new`] returns, the items written here, and the tool attributes `clippy` and `diagnostic`.
//! The names of those items are [`names::RESERVED_TYPES`] and [`Target::protocol_name`]; a message in the same module
//! must have none of these names.
//!
//! The output has no warnings under `clippy::pedantic`, `missing_docs` and rustdoc's lints, whatever the comments of the
//! schema contain: they pass through [`doc::sanitise`], as should the comments of messages.

mod attributes;
mod broadcast;
mod dispatch;
pub mod doc;
mod envelope;
mod handle;
mod handler_names;
pub mod names;
mod protocol;
mod push;
mod rules;
mod send;
mod streams;
pub mod syntax;
mod target;
mod tokens;

use proc_macro2::TokenStream;

pub use rules::check;
pub use target::{Sides, Target, UserEnum};

use crate::plan::Plan;
use msip_schema::{Direction, Schema};
use tokens::ProtocolTokens;

/// Writes the protocol of a schema, one element for each item: the protocol's type, the two enums and the traits, which
/// users read; then the implementations, in the same order.
pub fn items(schema: &Schema, target: &Target<'_>) -> Vec<TokenStream> {
    items_of(&Plan::new(schema), target)
}

fn items_of(plan: &Plan<'_>, target: &Target<'_>) -> Vec<TokenStream> {
    let tokens = ProtocolTokens::new(plan, target);
    let mut read = vec![protocol::definition(&tokens)];
    let mut skipped = vec![
        protocol::generation(&tokens),
        protocol::implementation(&tokens),
    ];
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        let envelope = tokens.envelope(direction);
        read.extend(envelope::definition(&tokens, envelope));
        read.push(envelope::methods(&tokens, envelope));
        skipped.push(envelope::implementation(&tokens, envelope));
    }
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        let envelope = tokens.envelope(direction);
        if target.sends(direction) {
            read.push(send::definition(&tokens, envelope));
            skipped.push(send::implementation(&tokens, envelope));
            read.push(push::definition(&tokens, envelope));
            skipped.push(push::implementation(&tokens, envelope));
            if direction == Direction::ServerToClient {
                read.push(broadcast::definition(&tokens, envelope));
                skipped.push(broadcast::implementation(&tokens, envelope));
            }
        }
        if target.handles(direction) {
            read.push(handle::definition(&tokens, envelope));
            skipped.extend(handle::implementations(&tokens, envelope));
        }
    }
    read.append(&mut skipped);
    read
}

#[cfg(test)]
mod tests;
