//! The tree of packages: nested modules, on which prost's `super::` paths rely.

use std::collections::BTreeMap;

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
        match &self.content {
            Some(Content::Items(items)) => items.iter().for_each(|item| text.item(item.clone())),
            Some(Content::File(name)) => {
                text.verbatim(&[&format!("::core::include!({});", STRINGS.literal(name))])
            }
            None => {}
        }
        for (name, tree) in &self.below {
            text.open(&format!("The package `{}`.", tree.package), name);
            tree.print(text);
            text.close();
        }
    }
}
