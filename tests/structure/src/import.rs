//! Imports: a `use` tree as a flat list of paths.

use proc_macro2::Ident;
use syn::{ItemUse, UseTree};

/// One path of a `use` item.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// Begins with `::`.
    pub(crate) absolute: bool,
    pub(crate) binds: Binds,
    pub(crate) line: usize,
}

/// What an import adds to the scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Binds {
    Name(String),
    /// `as _`.
    Nothing,
    Glob,
}

/// An identifier without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

pub(crate) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    flatten(
        &item.tree,
        &mut Vec::new(),
        item.leading_colon.is_some(),
        &mut found,
    );
    found
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, absolute: bool, found: &mut Vec<Import>) {
    let mut push = |path: Vec<String>, binds: Binds, line: usize| {
        found.push(Import {
            path,
            absolute,
            binds,
            line,
        });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(plain(&path.ident));
            flatten(&path.tree, prefix, absolute, found);
            prefix.pop();
        }
        UseTree::Name(name) => {
            let (path, binds) = ending(prefix, &name.ident);
            push(path, Binds::Name(binds), name.ident.span().start().line);
        }
        UseTree::Rename(rename) => {
            let (path, _) = ending(prefix, &rename.ident);
            let binds = match plain(&rename.rename) {
                name if name == "_" => Binds::Nothing,
                name => Binds::Name(name),
            };
            push(path, binds, rename.ident.span().start().line);
        }
        UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            push(prefix.clone(), Binds::Glob, line);
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, absolute, found);
            }
        }
    }
}

/// The whole path and the name that it binds: `{self}` stands for what the group belongs to.
fn ending(prefix: &[String], ident: &Ident) -> (Vec<String>, String) {
    let mut path = prefix.to_vec();
    let mut name = plain(ident);
    if name == "self" && !prefix.is_empty() {
        name = prefix.last().cloned().unwrap_or_default();
    } else {
        path.push(name.clone());
    }
    (path, name)
}
