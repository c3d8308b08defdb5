//! Open enums: enums without data, which are numbers with names.

use std::collections::BTreeMap;

use msip_emit::rust::names::value_name;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{DataEnum, DeriveInput, Expr, ExprLit, ExprUnary, Fields, Lit, UnOp, Variant};

use crate::attributes::{OptionValue, Options, Place};
use crate::case::{Case, plain};
use crate::docs;
use crate::errors::Errors;
use crate::numbers::{self, Tagged};
use crate::record::{check_name, type_name};

/// A variant with a number of its own.
struct Value {
    variant: Ident,
    name: String,
    number: Option<OptionValue<i64>>,
    /// Whether a number is written that is not a literal, which is reported.
    is_unreadable: bool,
    doc: String,
    deprecated: bool,
}

/// The variant for unknown numbers.
enum Other {
    /// `Other(i32)`
    Keeps(Ident),
    /// A variant without data, which may have a number of its own.
    Replaces(Ident),
}

/// Whether all variants, except one for unknown numbers, are without data.
pub(crate) fn is_open(data: &DataEnum) -> bool {
    data.variants.iter().all(|variant| {
        matches!(variant.fields, Fields::Unit)
            || Options::read(&variant.attrs, Place::Unknown, &mut Errors::default()).is_other()
    })
}

pub(crate) fn write(item: &DeriveInput, data: &DataEnum, errors: &mut Errors) -> TokenStream {
    let options = Options::read(&item.attrs, Place::OpenEnum, errors);
    let short = type_name(item, &options, errors);
    let mut other: Option<Other> = None;
    let mut values = Vec::new();
    for variant in &data.variants {
        let said = Options::read(&variant.attrs, Place::OpenValue, errors);
        if said.is_other() {
            if other.is_some() {
                errors.push_at(
                    &variant.ident,
                    "one variant is enough for all numbers that are not known\nhelp: remove `other` from one of them",
                );
            }
            other = Some(read_other(variant, errors));
        }
        if matches!(other, Some(Other::Keeps(_))) && said.is_other() {
            continue;
        }
        let number = number_of(variant, &said, errors);
        // A unit variant for unknown numbers may have a number of its own, and needs none.
        if number.is_none() && said.is_other() {
            continue;
        }
        let name = name_of(variant, &said, &options, &item.ident);
        check_name(
            &name,
            said.name
                .as_ref()
                .map_or(variant.ident.span(), |name| name.span),
            errors,
        );
        values.push(Value {
            variant: variant.ident.clone(),
            name,
            number,
            is_unreadable: number.is_none() && variant.discriminant.is_some(),
            doc: docs::text(&variant.attrs),
            deprecated: docs::is_deprecated(&variant.attrs),
        });
    }
    check_numbers(item, &short, &values, &options, errors);
    let Some(other) = other else {
        let zero = values
            .iter()
            .find(|value| value.number.is_some_and(|number| number.value == 0));
        let zero = zero.map_or_else(|| "Unknown".to_owned(), |zero| plain(&zero.variant));
        errors.push_at(
            &item.ident,
            format!(
                "`{}` has no variant for numbers that it does not know, which a newer peer may send\nhelp: add \
                 `#[msip(other)] Other(i32)`, which keeps it, or write `#[msip(other)]` above `{zero}`, which then replaces it",
                item.ident
            ),
        );
        return TokenStream::new();
    };
    emit(item, &options, &short, &values, &other)
}

fn read_other(variant: &Variant, errors: &mut Errors) -> Other {
    match &variant.fields {
        Fields::Unit => Other::Replaces(variant.ident.clone()),
        fields => {
            let is_number = fields.iter().all(|field| {
                matches!(&field.ty, syn::Type::Path(path) if path.path.is_ident("i32"))
                    && field.ident.is_none()
            });
            if fields.len() != 1 || !is_number {
                errors.push_at(
                    fields,
                    format!(
                        "the number that is not known is an `i32`\nhelp: write `{}(i32)`",
                        variant.ident
                    ),
                );
            }
            if let Some((_, number)) = &variant.discriminant {
                errors.push_at(
                    number,
                    "a variant that keeps the number has none of its own\nhelp: remove it",
                );
            }
            Other::Keeps(variant.ident.clone())
        }
    }
}

/// `MOOD_MERRY` for `Mood::Merry`: the inverse of prost's rule.
fn name_of(variant: &Variant, said: &Options, options: &Options, ident: &Ident) -> String {
    if let Some(name) = &said.name {
        return name.value.clone();
    }
    let own = plain(&variant.ident);
    match (&options.prefix, options.rename_all) {
        (None, Some(case)) => case.value.apply(&own),
        (Some(prefix), Some(case)) => format!("{}{}", prefix.value, case.value.apply(&own)),
        (Some(prefix), None) => format!("{}{}", prefix.value, Case::Shouty.apply(&own)),
        (None, None) => {
            let prefix = Case::Shouty.apply(&plain(ident));
            format!("{prefix}_{}", Case::Shouty.apply(&own))
        }
    }
}

/// The number after `=`, or that of `tag`.
fn number_of(variant: &Variant, said: &Options, errors: &mut Errors) -> Option<OptionValue<i64>> {
    let written = variant.discriminant.as_ref().and_then(|(_, expression)| {
        let number = literal(expression);
        if number.is_none() {
            errors.push_at(
                expression,
                "the number must be seen here\nhelp: write it as digits, as in `= 1`",
            );
        }
        number.map(|value| OptionValue {
            value,
            span: syn::spanned::Spanned::span(expression),
        })
    });
    match (written, said.tag) {
        (Some(written), Some(tag)) if written.value != tag.value => {
            errors.push(
                tag.span,
                format!(
                    "the variant has the number {} already\nhelp: remove one of the two",
                    written.value
                ),
            );
            Some(written)
        }
        (written, tag) => written.or(tag),
    }
}

fn literal(expression: &Expr) -> Option<i64> {
    match expression {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => number.base10_parse().ok(),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => literal(expr).map(|number: i64| -number),
        _ => None,
    }
}

fn check_numbers(
    item: &DeriveInput,
    short: &str,
    values: &[Value],
    options: &Options,
    errors: &mut Errors,
) {
    let mut next = values
        .iter()
        .filter_map(|value| value.number.map(|number| number.value + 1))
        .max()
        .unwrap_or(0);
    let mut seen: BTreeMap<i64, &Ident> = BTreeMap::new();
    let mut names: BTreeMap<&str, &Ident> = BTreeMap::new();
    let mut variants: BTreeMap<String, &String> = BTreeMap::new();
    for value in values {
        if let Some(first) = names.insert(&value.name, &value.variant) {
            errors.push_at(
                &value.variant,
                format!(
                    "`{first}` and `{}` are both named `{}` in the schema [duplicate-name]\nhelp: rename one, or write `#[msip(name = \"…\")]`",
                    value.variant, value.name
                ),
            );
        }
        let variant = value_name(short, &value.name);
        if let Some(first) = variants.insert(variant.clone(), &value.name)
            && *first != value.name
        {
            errors.push_at(
                &value.variant,
                format!(
                    "`{first}` and `{}` both become `{variant}` in code that is generated from the schema [name-collision]\nhelp: \
                     rename one, or write `#[msip(name = \"…\")]`",
                    value.name
                ),
            );
        }
        if value.is_unreadable {
            continue;
        }
        let Some(number) = value.number else {
            errors.push_at(
                &value.variant,
                format!(
                    "`{0}` has no number\nhelp: write `{0} = {next}`, and never change it: only the number is on the wire, the order \
                     of lines does not matter",
                    value.variant
                ),
            );
            next += 1;
            continue;
        };
        if i32::try_from(number.value).is_err() {
            errors.push(
                number.span,
                format!("the number {} has more than 32 bits [number-out-of-range]\nhelp: choose a smaller one", number.value),
            );
        }
        if let Some(first) = seen.insert(number.value, &value.variant) {
            errors.push(
                number.span,
                format!(
                    "number {} is used twice, `{first}` has it already [duplicate-number]\nhelp: give `{}` a free number such as {next}",
                    number.value, value.variant
                ),
            );
            next += 1;
        }
    }
    if !values.is_empty()
        && values.iter().all(|value| value.number.is_some())
        && !seen.contains_key(&0)
    {
        errors.push_at(
            &item.ident,
            format!(
                "`{}` has no variant with the number 0, which is what an absent field means\nhelp: add one, such as `Unknown = 0`",
                item.ident
            ),
        );
    }
    let tagged: Vec<_> = values
        .iter()
        .map(|value| Tagged {
            name: &value.name,
            span: value.variant.span(),
            tag: value.number,
        })
        .collect();
    numbers::check_names(&options.reserved, errors);
    numbers::check_reserved(&tagged, &options.reserved, errors);
}

fn emit(
    item: &DeriveInput,
    options: &Options,
    short: &str,
    values: &[Value],
    other: &Other,
) -> TokenStream {
    let ident = &item.ident;
    let runtime = options.runtime();
    let doc = docs::text(&item.attrs);
    let deprecated = docs::deprecated(&item.attrs);
    // Numbers that do not fit are reported already.
    let number =
        |value: &Value| i32::try_from(value.number.map_or(0, |number| number.value)).unwrap_or(0);
    let shapes = values.iter().map(|value| {
        let (name, number, doc) = (&value.name, number(value), &value.doc);
        let deprecated = docs::last_deprecated(value.deprecated);
        quote!(.value(#name, #number, #doc) #deprecated)
    });
    let to_number = values.iter().map(|value| {
        let (variant, number) = (&value.variant, number(value));
        quote!(Self::#variant => #number,)
    });
    let from_number = values.iter().map(|value| {
        let (variant, number) = (&value.variant, number(value));
        quote!(#number => Self::#variant,)
    });
    let (other_to, other_from) = match other {
        Other::Keeps(variant) => (
            quote!(Self::#variant(number) => *number,),
            quote!(number => Self::#variant(number),),
        ),
        Other::Replaces(variant) => {
            let has_number = values.iter().any(|value| value.variant == *variant);
            // Without a number of its own it is sent as 0, like an absent field.
            let to = (!has_number).then(|| quote!(Self::#variant => 0,));
            (quote!(#to), quote!(_ => Self::#variant,))
        }
    };
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #runtime::describe::OpenEnum for #ident {
            fn number(&self) -> i32 {
                match self {
                    #(#to_number)*
                    #other_to
                }
            }

            fn from_number(number: i32) -> Self {
                match number {
                    #(#from_number)*
                    #other_from
                }
            }

            fn shape() -> #runtime::describe::EnumShape {
                #runtime::describe::EnumShape::new(#short, #doc) #deprecated #(#shapes)*
            }
        }

        #runtime::__value_of_open_enum!(#ident);
    }
}
