//! Rust's own attributes that the schema keeps: doc comments and `#[deprecated]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of all `///` lines, without the space after the slashes.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(doc) = &attribute.meta else {
            return None;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) = &doc.value
        else {
            return None;
        };
        doc.path.is_ident("doc").then(|| {
            // A block comment is one attribute of several lines.
            let text = text.value();
            let lines = text
                .lines()
                .map(|line| line.strip_prefix(' ').unwrap_or(line));
            lines.collect::<Vec<_>>().join("\n")
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether `#[deprecated]` is among the attributes.
pub(crate) fn is_deprecated(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("deprecated"))
}

/// `.last_deprecated()`, for after the call that adds an item to its shape, or nothing.
pub(crate) fn last_deprecated(is_deprecated: bool) -> Option<TokenStream> {
    is_deprecated.then(|| quote!(.last_deprecated()))
}

/// `.deprecated()`, for after the shape of an item with these attributes, or nothing.
pub(crate) fn deprecated(attributes: &[Attribute]) -> Option<TokenStream> {
    is_deprecated(attributes).then(|| quote!(.deprecated()))
}
