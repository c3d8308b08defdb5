//! Advice for types that messages cannot carry.
//!
//! The runtime's traits decide which types a field may have. This covers only types whose meaning is known from their
//! spelling: numbers and the shapes of types, for which there is better advice than the compiler's.

use quote::ToTokens as _;
use syn::{GenericArgument, PathArguments, Type};

/// What to use instead of this type, if it is known.
pub(crate) fn instead_of(ty: &Type) -> Option<(&Type, String)> {
    let advice = match ty {
        Type::Reference(reference) => match reference.elem.to_token_stream().to_string().as_str() {
            "str" => "a message owns what it carries: write `String`",
            "[u8]" | "[u8 ;]" => "a message owns what it carries: write `Bytes` or `Vec<u8>`",
            _ => "a message owns what it carries: write the type without `&`",
        },
        Type::Tuple(tuple) if tuple.elems.is_empty() => "it carries nothing: leave the field out",
        Type::Tuple(_) => {
            "its parts need names and numbers: write a struct with `#[derive(Message)]`"
        }
        Type::Array(array) if is_u8(&array.elem) => {
            "write `Bytes` or `Vec<u8>`, and check the length where it matters"
        }
        Type::Slice(slice) if is_u8(&slice.elem) => "write `Bytes` or `Vec<u8>`",
        Type::Array(_) | Type::Slice(_) => "write `Vec`, and check the length where it matters",
        Type::FnPtr(_) => {
            "code cannot be carried: send what the other side needs to know in a message"
        }
        Type::Ptr(_) => {
            "addresses mean nothing to another process: write the value that it points to"
        }
        Type::ImplTrait(_) | Type::TraitObject(_) => {
            "the schema must know the type: write an enum with `#[derive(Message)]`"
        }
        Type::Paren(inner) => return instead_of(&inner.elem),
        Type::Group(inner) => return instead_of(&inner.elem),
        Type::Path(path) if path.qself.is_none() => {
            let last = path.path.segments.last()?;
            if let Some(advice) =
                primitive(&last.ident.to_string()).filter(|_| path.path.segments.len() == 1)
            {
                advice
            } else {
                return inside(&last.ident.to_string(), &last.arguments);
            }
        }
        _ => return None,
    };
    Some((ty, advice.to_owned()))
}

/// Whether a type may have no size, or not be `Send`, `Sync` and `'static`, so that nothing with it is a message.
pub(crate) fn may_fail_bounds(ty: &Type) -> bool {
    match ty {
        Type::Reference(_) | Type::Slice(_) | Type::Ptr(_) => true,
        Type::ImplTrait(_) | Type::TraitObject(_) => true,
        Type::Paren(inner) => may_fail_bounds(&inner.elem),
        Type::Group(inner) => may_fail_bounds(&inner.elem),
        Type::Array(inner) => may_fail_bounds(&inner.elem),
        Type::Tuple(tuple) => tuple.elems.iter().any(may_fail_bounds),
        Type::Path(path) => path.path.is_ident("str"),
        _ => false,
    }
}

/// Looks into `Option`, `Vec` and the like.
fn inside<'a>(outer: &str, arguments: &'a PathArguments) -> Option<(&'a Type, String)> {
    if !matches!(outer, "Option" | "Vec" | "Box" | "HashMap" | "BTreeMap") {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types
        .filter(|ty| outer != "Vec" || !is_u8(ty))
        .find_map(instead_of)
}

fn is_u8(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("u8"))
}

fn primitive(name: &str) -> Option<&'static str> {
    Some(match name {
        "u8" | "u16" => "write `u32`: small numbers are one byte on the wire, whatever their type",
        "i8" | "i16" => {
            "write `i32`, with `#[msip(as = \"sint32\")]` if it is often negative: small numbers are one byte on the wire"
        }
        "usize" => "its size depends on the machine: write `u64`",
        "isize" => "its size depends on the machine: write `i64`",
        "u128" | "i128" => "write `Bytes`, or two fields of 64 bits",
        "f16" => "write `f32`",
        "f128" => "write `f64`, or `Bytes`",
        "char" => "write `String`, or `u32` for the code point",
        "str" => "write `String`",
        _ => return None,
    })
}
