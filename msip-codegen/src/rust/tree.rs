//! The tree of packages: nested modules, on which prost's `super::` paths rely.

use std::collections::{BTreeMap, BTreeSet};

use msip_emit::rust::syntax::STRINGS;
use syn::Item;

use super::names::package_modules;
use super::print::Text;

/// The content of a package's module.
#[derive(Clone)]
pub(crate) enum Content<'a> {
    Items(&'a [Item]),
    /// The content of this file in the same folder.
    File(String),
}

/// A module: the items of the package that ends here, and the modules below.
#[derive(Default)]
pub(crate) struct Tree<'a> {
    package: String,
    content: Option<Content<'a>>,
    below: BTreeMap<String, Tree<'a>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(packages: impl Iterator<Item = (&'a str, Content<'a>)>) -> Self {
        let mut root = Self::default();
        for (package, content) in packages {
            let mut at = &mut root;
            let mut so_far = String::new();
            for (segment, module) in package.split('.').zip(package_modules(package)) {
                if !so_far.is_empty() {
                    so_far.push('.');
                }
                so_far.push_str(segment);
                at = at.below.entry(module).or_default();
                at.package.clone_from(&so_far);
            }
            at.content = Some(content);
        }
        root
    }

    pub(crate) fn print(&self, text: &mut Text) {
        self.print_with(&[], text);
    }

    /// Prints the package together with these items of its module: those of a message whose module has the same name.
    fn print_with(&self, others: &[Item], text: &mut Text) {
        let own: &[Item] = match &self.content {
            Some(Content::Items(items)) => items,
            Some(Content::File(name)) => {
                text.verbatim(&[&format!("::core::include!({});", STRINGS.literal(name))]);
                &[]
            }
            None => &[],
        };
        let mut merged = BTreeSet::new();
        for item in others.iter().chain(own) {
            match self.shared_module(item) {
                Some((name, items, tree)) => {
                    let doc = format!(
                        "The package `{}`, and types that are declared inside a message whose module has this name.",
                        tree.package
                    );
                    text.open(&doc, &name);
                    tree.print_with(items, text);
                    text.close();
                    merged.insert(name);
                }
                None => text.item(item.clone()),
            }
        }
        for (name, tree) in self
            .below
            .iter()
            .filter(|(name, _)| !merged.contains(*name))
        {
            text.open(&format!("The package `{}`.", tree.package), name);
            tree.print(text);
            text.close();
        }
    }

    /// The name and items of a message's module, if a package below has the same name.
    fn shared_module<'b>(&self, item: &'b Item) -> Option<(String, &'b [Item], &Self)> {
        let Item::Mod(module) = item else {
            return None;
        };
        let name = module.ident.to_string();
        let tree = self.below.get(&name)?;
        let (_, items) = module.content.as_ref()?;
        Some((name, items, tree))
    }
}

/// Whether one of these items is a module that has the name of a package directly below this one.
pub(crate) fn shares_a_module<'a>(
    package: &str,
    items: &[Item],
    mut packages: impl Iterator<Item = &'a str>,
) -> bool {
    let own = package_modules(package);
    packages.any(|other| {
        let modules = package_modules(other);
        let below = modules
            .strip_prefix(own.as_slice())
            .and_then(<[String]>::first);
        below.is_some_and(|name| {
            items
                .iter()
                .any(|item| matches!(item, Item::Mod(module) if module.ident == name))
        })
    })
}
