//! Reserved numbers and names, as the generated code says them.

use proc_macro2::TokenStream;
use quote::quote;

use crate::attributes::Reserved;
use crate::numbers;

/// `.reserved(3, 3).reserved_name("old")`
pub(crate) fn reserved(reserved: &[Reserved]) -> TokenStream {
    let calls = reserved.iter().map(|entry| match entry {
        Reserved::Numbers(numbers) => {
            let (first, last) = field_numbers(numbers.value);
            quote!(.reserved(#first, #last))
        }
        Reserved::Name(name) => {
            let name = &name.value;
            quote!(.reserved_name(#name))
        }
    });
    calls.collect()
}

/// The reserved numbers and names as constants, for checks against what only types know.
pub(crate) fn reserved_lists(reserved: &[Reserved]) -> (TokenStream, TokenStream) {
    let (mut numbers, mut names) = (Vec::new(), Vec::new());
    for entry in reserved {
        match entry {
            Reserved::Numbers(range) => {
                let (first, last) = field_numbers(range.value);
                numbers.push(quote!((#first, #last)));
            }
            Reserved::Name(name) => names.push(&name.value),
        }
    }
    (quote!(&[#(#numbers),*]), quote!(&[#(#names),*]))
}

/// A reserved range as numbers of 29 bits, which fields have.
fn field_numbers((first, last): (i64, i64)) -> (u32, u32) {
    let number = |number: i64| u32::try_from(number.min(numbers::LARGEST)).unwrap_or(0);
    (number(first), number(last))
}
