//! Scopes: the names that a module or a block declares and imports.

use std::collections::HashMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Item, Path, Token, punctuated::Punctuated};

use crate::{
    cfg::{is_left_out, item_attributes},
    import::{Binds, Import, imports, plain},
};

/// One meaning of a name. A name may have several: types, values and macros have namespaces of their own.
#[derive(Debug, Clone)]
pub(crate) enum Binding {
    Item,
    Macro,
    /// A macro that another module defines and exports at the crate's root.
    Exported {
        definer: usize,
    },
    Module(usize),
    Import(Import),
}

#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) names: HashMap<String, Vec<Binding>>,
    pub(crate) globs: Vec<Import>,
    /// A macro or a derive writes items here: there may be names that are not seen.
    pub(crate) is_open: bool,
}

impl Scope {
    pub(crate) fn bind(&mut self, name: String, binding: Binding) {
        self.names.entry(name).or_default().push(binding);
    }

    pub(crate) fn import(&mut self, import: Import) {
        match &import.binds {
            Binds::Name(name) => self.bind(name.clone(), Binding::Import(import)),
            Binds::Glob => self.globs.push(import),
            Binds::Nothing => {}
        }
    }

    /// Adds what an item declares. Modules are added by whoever reads their files.
    pub(crate) fn declare(&mut self, item: &Item) {
        let attributes = item_attributes(item);
        if is_left_out(attributes) {
            return;
        }
        self.is_open |= attributes.iter().any(is_derive_with_items);
        let ident = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Use(item) => {
                for import in imports(item) {
                    self.import(import);
                }
                return;
            }
            Item::Macro(item) => {
                match &item.ident {
                    Some(ident) => self.bind(plain(ident), Binding::Macro),
                    None => {
                        self.is_open = true;
                        self.declare_tokens(item.mac.tokens.clone());
                    }
                }
                return;
            }
            _ => return,
        };
        self.bind(plain(ident), Binding::Item);
    }

    /// Items that are written out in the arguments of a macro, as in `pin_project! { struct Timer { .. } }`.
    fn declare_tokens(&mut self, tokens: TokenStream) {
        const KEYWORDS: [&str; 8] = [
            "const", "enum", "fn", "static", "struct", "trait", "type", "union",
        ];
        let mut after_keyword = false;
        for token in tokens {
            let TokenTree::Ident(ident) = token else {
                after_keyword = false;
                continue;
            };
            if after_keyword {
                self.bind(plain(&ident), Binding::Item);
            }
            after_keyword = KEYWORDS.iter().any(|keyword| ident == keyword);
        }
    }
}

/// A derive that is not of the standard library may write any item.
fn is_derive_with_items(attribute: &Attribute) -> bool {
    const STANDARD: [&str; 9] = [
        "Clone",
        "Copy",
        "Debug",
        "Default",
        "Eq",
        "Hash",
        "Ord",
        "PartialEq",
        "PartialOrd",
    ];
    attribute.path().is_ident("derive")
        && attribute
            .parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
            .is_ok_and(|derives| {
                let mut derives = derives.iter();
                !derives.all(|derive| STANDARD.iter().any(|name| derive.is_ident(name)))
            })
}

pub(crate) fn has_attribute(attributes: &[Attribute], name: &str) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident(name))
}
