//! Clippy's lints that the names and the number of fields and variants may set off.

use msip_emit::write::Case;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Field, ItemEnum, ItemStruct};

/// The lints about the number and the names of fields that may apply.
pub(super) fn field_lints(item: &ItemStruct) -> Vec<TokenStream> {
    let mut lints = Vec::new();
    let is_bool =
        |field: &&Field| matches!(&field.ty, syn::Type::Path(path) if path.path.is_ident("bool"));
    if item.fields.iter().filter(is_bool).count() > 3 {
        lints.push(quote!(clippy::struct_excessive_bools));
    }
    let names = item.fields.iter().filter_map(|field| field.ident.as_ref());
    if share_a_word(names, &item.ident) {
        lints.push(quote!(clippy::struct_field_names));
    }
    lints
}

/// The lint about the names of variants, if it may apply.
pub(super) fn variant_lints(item: &ItemEnum) -> Vec<TokenStream> {
    let names = item.variants.iter().map(|variant| &variant.ident);
    if share_a_word(names, &item.ident) {
        vec![quote!(clippy::enum_variant_names)]
    } else {
        Vec::new()
    }
}

/// Whether all names begin or end with the same word, or one contains the name of its type, which clippy reports for
/// three and more names.
fn share_a_word<'a>(names: impl Iterator<Item = &'a Ident>, owner: &Ident) -> bool {
    let snake = |ident: &Ident| Case::Snake.apply(&ident.unraw().to_string());
    let names: Vec<String> = names.map(snake).collect();
    let owner = snake(owner);
    let share = |word: fn(&str) -> Option<&str>| {
        names
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if word(a) == word(b)))
    };
    names.len() >= 3
        && (names.iter().any(|name| name.contains(&owner))
            || share(|name| name.split('_').next())
            || share(|name| name.rsplit('_').next()))
}
