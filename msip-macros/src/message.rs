//! `#[derive(Message)]`: selects one of four forms by the shape of the item.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields};

use crate::attributes::{Options, Place};
use crate::case::plain;
use crate::errors::Errors;
use crate::{newtype, one_of, open_enum, record};

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
        return errors.into_tokens();
    }
    let written = match &item.data {
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
    let stub = (!errors.has_unusable_type()).then(|| stub(&item));
    let errors = errors.into_tokens();
    quote!(#errors #stub)
}

/// What other items need of a message with mistakes, so that they do not report that it is none.
fn stub(item: &DeriveInput) -> TokenStream {
    let mut unreported = Errors::default();
    let place = match &item.data {
        Data::Enum(data) if open_enum::is_open(data) => Place::OpenEnum,
        Data::Enum(_) => Place::OneOf,
        Data::Struct(data) if !matches!(data.fields, Fields::Unnamed(_)) => Place::Message,
        // A newtype is what the type in it is.
        Data::Struct(_) | Data::Union(_) => return TokenStream::new(),
    };
    let options = Options::read(&item.attrs, place, &mut unreported);
    let (ident, runtime) = (&item.ident, options.runtime());
    if matches!(place, Place::OpenEnum) {
        return quote! {
            impl #runtime::describe::OpenEnum for #ident {
                fn number(&self) -> i32 {
                    ::core::unreachable!()
                }

                fn from_number(_: i32) -> Self {
                    ::core::unreachable!()
                }

                fn shape() -> #runtime::describe::EnumShape {
                    ::core::unreachable!()
                }
            }

            #runtime::__value_of_open_enum!(#ident);
        };
    }
    let fields = match &item.data {
        Data::Struct(data) => data.fields.iter().collect(),
        _ => Vec::new(),
    };
    // Keys are looked for among them.
    let case = options.rename_all.map(|case| case.value);
    let names = fields.into_iter().filter_map(|field| {
        let said = Options::read(&field.attrs, Place::Field, &mut unreported);
        let own = plain(field.ident.as_ref()?);
        let own = case.map_or(own.clone(), |case| case.apply(&own));
        Some(said.name.map_or(own, |name| name.value))
    });
    let names: Vec<String> = names.collect();
    let body = record::body(ident, &runtime);
    quote! {
        impl #runtime::describe::Describe for #ident {
            const FIELDS: &'static [(&'static str, u32, bool)] = &[#((#names, 1, true)),*];

            fn describe(_: &mut #runtime::describe::Registry) -> #runtime::describe::ValueType {
                ::core::unreachable!()
            }

            fn encoded_len(&self) -> usize {
                ::core::unreachable!()
            }

            fn encode(&self, _: &mut ::std::vec::Vec<u8>) {
                ::core::unreachable!()
            }

            fn read(
                _: &mut #runtime::describe::Reader<'_>,
            ) -> ::core::result::Result<Self, #runtime::describe::Malformed> {
                ::core::unreachable!()
            }
        }

        #body
    }
}
