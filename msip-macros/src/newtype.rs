//! Newtypes: tuple structs of one field, encoded like that field.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{DeriveInput, FieldsUnnamed, Type};

use crate::attributes::{Encoding, Options, Place};
use crate::errors::Errors;
use crate::record::check_type;

pub(crate) fn write(
    item: &DeriveInput,
    fields: &FieldsUnnamed,
    errors: &mut Errors,
) -> TokenStream {
    let options = Options::read(&item.attrs, Place::Newtype, errors);
    let mut types = fields.unnamed.iter();
    let (Some(field), None) = (types.next(), types.next()) else {
        errors.push_at(
            fields,
            "a tuple struct of one field is that field; others need names\nhelp: write `struct … { #[msip(tag = 1)] first: …, \
             #[msip(tag = 2)] second: … }`",
        );
        return TokenStream::new();
    };
    let said = Options::read(&field.attrs, Place::Inner, errors);
    check_type(&field.ty, errors);
    let (ident, ty) = (&item.ident, &field.ty);
    let runtime = options.runtime();
    let encoding = match said.encoding {
        Some(encoding) if matches!(encoding.value, Encoding::Map(..)) => {
            errors.push(
                encoding.span,
                "a newtype is one value, not a map [option-value]\nhelp: put the map into a message",
            );
            return TokenStream::new();
        }
        Some(encoding) => encoding.value.marker(&options.runtime_at(ty.span())),
        None => {
            let runtime = options.runtime_at(ty.span());
            quote_spanned!(ty.span()=> #runtime::describe::Plain)
        }
    };
    let key = may_be_map_key(ty).then(|| {
        quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl #runtime::describe::MapKey for #ident {}
        }
    });
    // Written at the type's span, so that the errors about a type are one.
    let there = options.runtime_at(ty.span());
    let value = quote_spanned!(ty.span()=> <#ty as #there::describe::Value<#encoding>>);
    let field = quote_spanned!(ty.span()=> <#ty as #there::describe::Field<#encoding>>);
    let value = value_impl(ident, &runtime, &value);
    let field = field_impl(ident, &runtime, &field);
    quote!(#value #field #key)
}

/// `impl Value`, which delegates to the type inside.
fn value_impl(ident: &Ident, runtime: &TokenStream, value: &TokenStream) -> TokenStream {
    let describe = quote!(#runtime::describe);
    let result = quote!(::core::result::Result);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #describe::Value for #ident {
            type Slot<'a> = #value::Slot<'a>;
            const WIRE: #runtime::prost::encoding::WireType = #value::WIRE;
            const MAY_BE_KEY: bool = #value::MAY_BE_KEY;

            fn describe(types: &mut #describe::Registry) -> #describe::ValueType {
                #value::describe(types)
            }

            fn is_zero(&self) -> bool {
                #value::is_zero(&self.0)
            }

            fn value_len(&self) -> usize {
                #value::value_len(&self.0)
            }

            fn encode_value(&self, buffer: &mut ::std::vec::Vec<u8>) {
                #value::encode_value(&self.0, buffer);
            }

            fn read<'a>(
                slot: &mut Self::Slot<'a>,
                wire: #runtime::prost::encoding::WireType,
                reader: &mut #describe::Reader<'a>,
            ) -> #result<(), #describe::Malformed> {
                #value::read(slot, wire, reader)
            }

            fn finish(
                slot: Self::Slot<'_>,
                reader: &#describe::Reader<'_>,
            ) -> #result<::core::option::Option<Self>, #describe::Malformed> {
                #result::Ok(#value::finish(slot, reader)?.map(Self))
            }

            fn absent(reader: &#describe::Reader<'_>) -> #result<Self, #describe::Malformed> {
                #value::absent(reader).map(Self)
            }
        }
    }
}

/// `impl Field`, which delegates to the type inside.
fn field_impl(ident: &Ident, runtime: &TokenStream, field: &TokenStream) -> TokenStream {
    let describe = quote!(#runtime::describe);
    let result = quote!(::core::result::Result);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #describe::Field for #ident {
            type Slot<'a> = #field::Slot<'a>;
            const MAY_BE_KEY: bool = #field::MAY_BE_KEY;

            fn shape(types: &mut #describe::Registry) -> #describe::FieldShape {
                #field::shape(types)
            }

            fn len(&self, number: u32) -> usize {
                #field::len(&self.0, number)
            }

            fn encode(&self, number: u32, buffer: &mut ::std::vec::Vec<u8>) {
                #field::encode(&self.0, number, buffer);
            }

            fn read<'a>(
                slot: &mut Self::Slot<'a>,
                key: #describe::Key,
                reader: &mut #describe::Reader<'a>,
            ) -> #result<(), #describe::Malformed> {
                #field::read(slot, key, reader)
            }

            fn finish(
                slot: Self::Slot<'_>,
                reader: &#describe::Reader<'_>,
            ) -> #result<Self, #describe::Malformed> {
                #field::finish(slot, reader).map(Self)
            }
        }
    }
}

/// Whether the type is spelled like one of those that a map's key may have.
fn may_be_map_key(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| {
        ["i32", "i64", "u32", "u64", "bool", "String"]
            .iter()
            .any(|name| last.ident == name)
    })
}
