//! What stands for a message with mistakes.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Fields, WherePredicate, parse_quote};

use crate::attributes::{Options, Place};
use crate::case::plain;
use crate::errors::Errors;
use crate::open_enum;

/// What other items need of a message with mistakes, so that they do not report that it is none.
///
/// None of it can run: the mistakes are compile errors beside it.
pub(crate) fn write(item: &DeriveInput) -> TokenStream {
    let mut unreported = Errors::default();
    let place = match &item.data {
        _ if !item.generics.params.is_empty() => Place::Message,
        Data::Enum(data) if open_enum::is_open(data) => Place::OpenEnum,
        Data::Enum(_) => Place::OneOf,
        Data::Struct(data) if !matches!(data.fields, Fields::Unnamed(_)) => Place::Message,
        // A newtype may be anything, a key too.
        Data::Struct(_) | Data::Union(_) => Place::Newtype,
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
    let message = as_message(item, &names, &runtime);
    let more = match place {
        Place::OneOf if item.generics.params.is_empty() => oneof_stub(ident, &runtime),
        // It may be the key of a map.
        Place::Newtype if item.generics.params.is_empty() => {
            quote!(impl #runtime::describe::MapKey for #ident {})
        }
        _ => TokenStream::new(),
    };
    quote!(#message #more)
}

fn as_message(item: &DeriveInput, names: &[String], runtime: &TokenStream) -> TokenStream {
    let ident = &item.ident;
    let mut generics = item.generics.clone();
    if !generics.params.is_empty() {
        let bounds: WherePredicate =
            parse_quote!(Self: ::core::marker::Send + ::core::marker::Sync + 'static);
        generics.make_where_clause().predicates.push(bounds);
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    quote! {
        impl #parameters #runtime::describe::Describe for #ident #arguments #bounds {
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

        impl #parameters #runtime::body::Message for #ident #arguments #bounds {
            fn body_len(&self) -> usize {
                ::core::unreachable!()
            }

            fn encode_body(&self, _: &mut ::std::vec::Vec<u8>) {
                ::core::unreachable!()
            }

            fn decode_body(
                _: #runtime::body::Body<'_>,
            ) -> ::core::result::Result<Self, ::std::string::String> {
                ::core::unreachable!()
            }
        }
    }
}

/// What messages with a oneof need of its enum.
fn oneof_stub(ident: &Ident, runtime: &TokenStream) -> TokenStream {
    quote! {
        impl #runtime::describe::Oneof for #ident {
            type Slots<'a> = ();
            const MEMBERS: &'static [(&'static str, u32, bool)] = &[];
            const RESERVED_NUMBERS: &'static [(u32, u32)] = &[];
            const RESERVED_NAMES: &'static [&'static str] = &[];

            fn slots<'a>() -> Self::Slots<'a> {}

            fn describe_members(
                _: #runtime::describe::MessageShape,
                _: &mut #runtime::describe::Registry,
                _: &str,
            ) -> #runtime::describe::MessageShape {
                ::core::unreachable!()
            }

            fn read_member<'a>(
                _: &mut (),
                _: #runtime::describe::Key,
                _: &mut #runtime::describe::Reader<'a>,
            ) -> ::core::result::Result<bool, #runtime::describe::Malformed> {
                ::core::unreachable!()
            }

            fn finish_members(
                _: (),
                _: &#runtime::describe::Reader<'_>,
            ) -> ::core::result::Result<::core::option::Option<Self>, #runtime::describe::Malformed>
            {
                ::core::unreachable!()
            }

            fn unset() -> ::core::result::Result<Self, #runtime::describe::Malformed> {
                ::core::unreachable!()
            }
        }
    }
}
