//! Source files of a crate, read into a tree of modules.

use std::path::{Path, PathBuf};

use syn::{Expr, Item, ItemMacro, ItemMod, Lit, LitStr, Meta};

use crate::{
    cfg::{is_left_out, item_attributes},
    error::{Problem, Problems},
    import::plain,
    scope::{Binding, Scope, has_attribute},
};

/// Gives the text of a file, or `None` where there is none.
pub(crate) type Files<'a> = &'a dyn Fn(&Path) -> Option<String>;

pub(crate) const ROOT: usize = 0;

pub(crate) struct Module {
    /// Names from the crate's root, which is the empty path.
    pub(crate) path: Vec<String>,
    pub(crate) parent: Option<usize>,
    /// Its macros are visible in the modules after it.
    pub(crate) is_macro_use: bool,
    /// Its own file, and those that it includes.
    pub(crate) parts: Vec<Part>,
    pub(crate) scope: Scope,
}

pub(crate) struct Part {
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
}

/// The modules of a crate, the root first.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
    /// The crate's name for itself: `extern crate self as name`.
    pub(crate) aliases: Vec<String>,
}

impl Tree {
    pub(crate) fn read(root: &Path, files: Files<'_>) -> Result<Self, Problems> {
        let mut reader = Reader {
            files,
            tree: Self::default(),
            problems: Vec::new(),
        };
        reader.module(Vec::new(), None, false);
        match files(root) {
            Some(text) => {
                let folder = root.parent().unwrap_or(Path::new("")).to_owned();
                reader.file(ROOT, root, &text, &folder);
            }
            None => reader.problem(root, 0, "no such file"),
        }
        if reader.problems.is_empty() {
            Ok(reader.tree)
        } else {
            Err(Problems(reader.problems))
        }
    }

    /// Whether `outer` is `inner` or one of the modules around it.
    pub(crate) fn contains(&self, outer: usize, inner: usize) -> bool {
        self.modules[inner]
            .path
            .starts_with(&self.modules[outer].path)
    }
}

struct Reader<'a> {
    files: Files<'a>,
    tree: Tree,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, file: &Path, line: usize, text: impl Into<String>) {
        self.problems.push(Problem::new(file, line, text));
    }

    fn module(&mut self, path: Vec<String>, parent: Option<usize>, is_macro_use: bool) -> usize {
        self.tree.modules.push(Module {
            path,
            parent,
            is_macro_use,
            parts: Vec::new(),
            scope: Scope::default(),
        });
        self.tree.modules.len() - 1
    }

    /// `folder` is where the files of the child modules are.
    fn file(&mut self, module: usize, file: &Path, text: &str, folder: &Path) {
        match syn::parse_file(text) {
            Ok(parsed) => self.items(module, file, parsed.items, folder, false),
            Err(error) => {
                let line = error.span().start().line;
                self.problem(file, line, error.to_string());
            }
        }
    }

    fn items(&mut self, module: usize, file: &Path, items: Vec<Item>, folder: &Path, inline: bool) {
        let mut kept = Vec::new();
        for item in items {
            if is_left_out(item_attributes(&item)) {
                continue;
            }
            match item {
                Item::Mod(item) => {
                    self.child(module, file, item, folder, inline);
                    continue;
                }
                Item::ExternCrate(item) if item.ident == "self" => {
                    if let Some((_, alias)) = item.rename {
                        self.tree.aliases.push(plain(&alias));
                    }
                    continue;
                }
                Item::Macro(item) if included(&item).is_some() => {
                    self.include(module, file, &item, folder);
                    continue;
                }
                _ => {}
            }
            self.tree.modules[module].scope.declare(&item);
            if let Item::Macro(item) = &item
                && let Some(ident) = &item.ident
                && has_attribute(&item.attrs, "macro_export")
                && module != ROOT
            {
                let binding = Binding::Exported { definer: module };
                self.tree.modules[ROOT].scope.bind(plain(ident), binding);
            }
            kept.push(item);
        }
        self.tree.modules[module].parts.push(Part {
            file: file.to_owned(),
            items: kept,
        });
    }

    fn child(&mut self, parent: usize, file: &Path, item: ItemMod, folder: &Path, inline: bool) {
        let name = plain(&item.ident);
        let mut path = self.tree.modules[parent].path.clone();
        path.push(name.clone());
        let is_macro_use = has_attribute(&item.attrs, "macro_use");
        let module = self.module(path, Some(parent), is_macro_use);
        self.tree.modules[parent]
            .scope
            .bind(name.clone(), Binding::Module(module));

        let named = named_path(&item);
        let inner = folder.join(&name);
        if let Some((_, items)) = item.content {
            let inner = named.map_or(inner, |named| folder.join(named));
            self.items(module, file, items, &inner, true);
            return;
        }
        // A file that `#[path]` names, and a `mod.rs`, have their children beside them.
        let candidates = match named {
            Some(named) => {
                let base = if inline {
                    folder
                } else {
                    file.parent().unwrap_or(folder)
                };
                let found = base.join(named);
                let children = found.parent().unwrap_or(folder).to_owned();
                vec![(found, children)]
            }
            None => vec![
                (folder.join(format!("{name}.rs")), inner.clone()),
                (inner.join("mod.rs"), inner),
            ],
        };
        for (candidate, children) in &candidates {
            if let Some(text) = (self.files)(candidate) {
                self.file(module, candidate, &text, children);
                return;
            }
        }
        let line = item.ident.span().start().line;
        self.problem(file, line, format!("no file for module `{name}`"));
    }

    /// Takes in the items of `include!("file.rs")`.
    fn include(&mut self, module: usize, file: &Path, item: &ItemMacro, folder: &Path) {
        let Some(name) = included(item) else { return };
        let found = file.parent().unwrap_or(folder).join(name.value());
        match (self.files)(&found) {
            Some(text) => self.file(module, &found, &text, folder),
            None => {
                let line = name.span().start().line;
                self.problem(file, line, format!("no file `{}`", found.display()));
            }
        }
    }
}

/// The file of an `include!` that names it. One of a build script is computed, and left alone.
fn included(item: &ItemMacro) -> Option<LitStr> {
    item.mac
        .path
        .segments
        .last()
        .filter(|segment| segment.ident == "include")?;
    item.mac.parse_body().ok()
}

/// `#[path = "..."]`.
fn named_path(item: &ItemMod) -> Option<String> {
    item.attrs.iter().find_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        let Expr::Lit(value) = &meta.value else {
            return None;
        };
        let Lit::Str(text) = &value.lit else {
            return None;
        };
        meta.path.is_ident("path").then(|| text.value())
    })
}
