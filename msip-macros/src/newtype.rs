//! A tuple struct of one field: the value inside it.

use proc_macro2::TokenStream;
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
        Some(encoding) => encoding.value.marker(&runtime),
        None => quote!(#runtime::describe::Plain),
    };
    let key = may_be_map_key(ty).then(|| {
        quote! {
            #[automatically_derived]
            impl #runtime::describe::MapKey for #ident {}
        }
    });
    let value = quote_spanned!(ty.span()=> #runtime::describe::require_value::<#ty, #encoding>());
    quote! {
        const _: () = #value;
        #runtime::__value_of_newtype!(#ident, #ty, #encoding);
        #key
    }
}

/// Whether the type is written as one of those that a map's key may be.
fn may_be_map_key(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| {
        ["i32", "i64", "u32", "u64", "bool", "String"]
            .iter()
            .any(|name| last.ident == name)
    })
}
