//! `#[derive(Message)]`: selects one of four forms by the shape of the item.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields};

use crate::errors::Errors;
use crate::{newtype, one_of, open_enum, record, stand_in};

pub(crate) fn derive(tokens: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(tokens) {
        Ok(item) => item,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    if !item.generics.params.is_empty() {
        errors.push_at(
            &item.generics,
            "a message has no parameters\nhelp: name the types that it carries; a message owns what it carries, so it needs no \
             lifetimes",
        );
    }
    let written = match &item.data {
        // Its mistake is the only one that counts.
        _ if !errors.is_empty() => TokenStream::new(),
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => record::write(&item, &fields.named, &mut errors),
            Fields::Unit => record::write(&item, &syn::punctuated::Punctuated::new(), &mut errors),
            Fields::Unnamed(fields) => newtype::write(&item, fields, &mut errors),
        },
        Data::Enum(data) if open_enum::is_open(data) => open_enum::write(&item, data, &mut errors),
        Data::Enum(data) => one_of::write(&item, data, &mut errors),
        Data::Union(_) => {
            errors.push_at(
                &item.ident,
                "a union cannot be carried\nhelp: write an enum with `#[derive(Message)]`",
            );
            TokenStream::new()
        }
    };
    if errors.is_empty() {
        return written;
    }
    // The traits' bounds on such a type would fail.
    let stub = (!errors.has_unusable_type()).then(|| stand_in::write(&item));
    let errors = errors.into_tokens();
    quote!(#errors #stub)
}
