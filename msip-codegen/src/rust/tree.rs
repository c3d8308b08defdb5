//! Packages as nested modules, so that prost's `super::` paths lead where they should.

use std::collections::BTreeMap;

use syn::Item;

use super::names::package_modules;
use super::print::Text;

/// A module: the items of the package that ends here, and the modules below.
#[derive(Default)]
pub(crate) struct Tree<'a> {
    package: String,
    items: &'a [Item],
    below: BTreeMap<String, Tree<'a>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(packages: impl Iterator<Item = (&'a str, &'a [Item])>) -> Self {
        let mut root = Self::default();
        for (package, items) in packages {
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
            at.items = items;
        }
        root
    }

    pub(crate) fn print(&self, text: &mut Text) {
        for item in self.items {
            text.item(item.clone());
        }
        for (name, tree) in &self.below {
            text.open(&format!("The package `{}`.", tree.package), name);
            tree.print(text);
            text.close();
        }
    }
}
