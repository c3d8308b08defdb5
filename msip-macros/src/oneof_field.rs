//! Messages with oneofs beside their fields.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use crate::attributes::{Options, Reserved};
use crate::errors::Errors;
use crate::reserved::reserved_lists;
use crate::written::{Written, WrittenOneof};

/// Reports options that mean nothing on a oneof.
pub(crate) fn check_options(options: &Options, errors: &mut Errors) {
    if let Some(tag) = options.tag {
        errors.push(
            tag.span,
            "a oneof has no number of its own [misplaced-option]\nhelp: remove it; each variant of its enum has one",
        );
    }
    if let Some(encoding) = options.encoding {
        errors.push(
            encoding.span,
            "a oneof has no encoding of its own [misplaced-option]\nhelp: write `as` above the variant that is meant",
        );
    }
}

/// Checks for the compiler, since only types know the members of oneofs: each number and name is there once, and is
/// not reserved.
pub(crate) fn checks(
    fields: &[Written],
    oneofs: &[WrittenOneof],
    reserved: &[Reserved],
    runtime: &TokenStream,
) -> TokenStream {
    let mut checks = TokenStream::new();
    for (
        index,
        WrittenOneof {
            span, field: oneof, ..
        },
    ) in oneofs.iter().enumerate()
    {
        for field in fields {
            let Written { name, number, .. } = field;
            let span = field.number_span;
            let runtime = at(runtime, span);
            checks.extend(quote_spanned! {span=>
                #[allow(deprecated)]
                const _: () = #runtime::describe::require_beside(#oneof::MEMBERS, #name, #number);
            });
        }
        let runtime = at(runtime, *span);
        for other in oneofs.iter().take(index) {
            let other = &other.field;
            checks.extend(quote_spanned! {*span=>
                #[allow(deprecated)]
                const _: () = #runtime::describe::require_apart(#oneof::MEMBERS, #other::MEMBERS);
            });
        }
        let (numbers, names) = reserved_lists(reserved);
        checks.extend(quote_spanned! {*span=>
            #[allow(deprecated)]
            const _: () = #runtime::describe::require_unreserved(#oneof::MEMBERS, #numbers, #names);
        });
        let entries = fields
            .iter()
            .map(|Written { name, number, .. }| quote!((#name, #number, false)));
        checks.extend(quote_spanned! {*span=>
            #[allow(deprecated)]
            const _: () = #runtime::describe::require_unreserved(
                &[#(#entries),*],
                #oneof::RESERVED_NUMBERS,
                #oneof::RESERVED_NAMES,
            );
        });
    }
    checks
}

/// The same tokens at another span, where errors about code that uses them then point.
fn at(runtime: &TokenStream, span: Span) -> TokenStream {
    let tokens = runtime.clone().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    tokens.collect()
}

/// `fn encoded_len` and `fn encode`. Each oneof is written where its lowest number belongs, which its type knows.
pub(crate) fn encoding(
    fields: &[Written],
    oneofs: &[WrittenOneof],
    runtime: &TokenStream,
) -> TokenStream {
    let lengths = fields.iter().map(
        |Written {
             ident,
             number,
             field,
             ..
         }| { quote!(#field::len(&self.#ident, #number)) },
    );
    let oneof_lengths = oneofs
        .iter()
        .map(|WrittenOneof { ident, field, .. }| quote!(#field::encoded_len(&self.#ident)));
    let numbers = fields.iter().map(|Written { number, .. }| quote!(#number));
    let oneof_numbers = oneofs.iter().map(
        |WrittenOneof { field, .. }| quote!(#runtime::describe::lowest_number(#field::MEMBERS)),
    );
    let encodings = fields.iter().map(
        |Written {
             ident,
             number,
             field,
             ..
         }| { quote!(#field::encode(&self.#ident, #number, buffer)) },
    );
    let oneof_encodings = oneofs
        .iter()
        .map(|WrittenOneof { ident, field, .. }| quote!(#field::encode(&self.#ident, buffer)));
    let arms = encodings
        .chain(oneof_encodings)
        .enumerate()
        .map(|(index, encoding)| quote!(#index => #encoding,));
    let count = fields.len() + oneofs.len();
    quote! {
        fn encoded_len(&self) -> usize {
            #(#lengths +)* #(#oneof_lengths)+*
        }

        fn encode(&self, buffer: &mut ::std::vec::Vec<u8>) {
            const ORDER: [usize; #count] =
                #runtime::describe::order_by_number([#(#numbers,)* #(#oneof_numbers),*]);
            for part in ORDER {
                match part {
                    #(#arms)*
                    _ => {}
                }
            }
        }
    }
}
