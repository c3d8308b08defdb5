//! Uses: every place where the code of one module names an item of another.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::{self, Display, Formatter},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Arm, Attribute, Block, Expr, ExprClosure, ExprPath, Field, FieldPat, FieldValue, ImplItem,
    ImplItemFn, Item, ItemFn, ItemMacro, ItemUse, Local, Macro, Meta, PatIdent, Stmt, StmtMacro,
    TraitItem, TraitItemFn, TypePath, UseTree, Variant, Visibility,
    visit::{self, Visit},
};

use crate::{
    cfg::{expression_attributes, is_left_out, item_attributes},
    error::{Problem, Problems},
    import::{Binds, Import, imports, plain},
    resolve::{Destination, Place, Resolved, Way},
    scope::Scope,
    source::{Files, ROOT, Tree},
    tokens::{self, TokenPath},
};

/// Macros whose arguments are code for another crate.
const QUOTES: [&str; 4] = [
    "parse_quote",
    "parse_quote_spanned",
    "quote",
    "quote_spanned",
];

/// A place where a module names an item of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The path as it is written.
    pub path: String,
    /// The module around it, from the crate's root, which is empty.
    pub from: Vec<String>,
    /// The module that defines the item.
    pub to: Vec<String>,
    /// A macro is named.
    pub is_macro: bool,
}

impl Display for Use {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            file, line, path, ..
        } = self;
        let to = match self.to.is_empty() {
            true => "the crate's root".to_owned(),
            false => self.to.join("::"),
        };
        write!(f, "{}:{line} uses {path} -> {to}", file.display())
    }
}

/// A crate's modules and the uses between them.
#[derive(Debug, Clone)]
pub struct Crate {
    pub(crate) modules: Vec<Vec<String>>,
    pub(crate) uses: Vec<Use>,
}

impl Crate {
    /// Reads a crate from its root file, which is below `folder`. So are all the files that are named.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or parsed, and paths that lead into the crate and are not found there.
    pub fn read(folder: &Path, root: &Path) -> Result<Self, Problems> {
        Self::from_files(root, &|path| fs::read_to_string(folder.join(path)).ok())
    }

    /// Reads a crate from texts: pairs of a file's path and its text, of which the first is the root.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn from_texts(texts: &[(&str, &str)]) -> Result<Self, Problems> {
        let root = Path::new(texts.first().map_or("", |(path, _)| path));
        let files: BTreeMap<&Path, &str> = texts
            .iter()
            .map(|(path, text)| (Path::new(*path), *text))
            .collect();
        Self::from_files(root, &|path| files.get(path).map(|text| (*text).to_owned()))
    }

    fn from_files(root: &Path, files: Files<'_>) -> Result<Self, Problems> {
        let tree = Tree::read(root, files)?;
        let mut uses = Vec::new();
        let mut problems = Vec::new();
        for (at, module) in tree.modules.iter().enumerate() {
            for part in &module.parts {
                let mut collector = Collector {
                    tree: &tree,
                    module: at,
                    file: &part.file,
                    blocks: Vec::new(),
                    locals: Vec::new(),
                    uses: &mut uses,
                    problems: &mut problems,
                };
                for item in &part.items {
                    collector.visit_item(item);
                }
            }
        }
        if !problems.is_empty() {
            problems.sort();
            return Err(Problems(problems));
        }
        uses.sort();
        uses.dedup();
        Ok(Self {
            modules: tree.modules.into_iter().map(|one| one.path).collect(),
            uses,
        })
    }

    /// All uses, sorted by file and line.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }
}

/// Whether a path that is not found is an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Strict,
    /// Tokens of a macro need not be a path.
    Lenient,
}

struct Collector<'a> {
    tree: &'a Tree,
    module: usize,
    file: &'a Path,
    blocks: Vec<Scope>,
    /// Variables of the functions around, which shadow what a glob brings.
    locals: Vec<HashSet<String>>,
    uses: &'a mut Vec<Use>,
    problems: &'a mut Vec<Problem>,
}

impl Collector<'_> {
    fn place(&self) -> Place<'_> {
        Place {
            module: self.module,
            blocks: &self.blocks,
        }
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|names| names.contains(name))
    }

    fn missing(&mut self, path: &[String], segment: &str, line: usize) {
        let text = format!("`{}` leads nowhere: no `{segment}`", path.join("::"));
        self.problems.push(Problem::new(self.file, line, text));
    }

    fn record(&mut self, found: &Resolved, path: String, line: usize) {
        let Resolved::Here(destinations) = found else {
            return;
        };
        for &destination in destinations {
            let (to, is_macro) = match destination {
                // A module around this one is only the way to something.
                Destination::Module(module) if self.tree.contains(module, self.module) => continue,
                Destination::Module(module) => (module, false),
                Destination::Item(module) => (module, false),
                Destination::Macro(module) => (module, true),
            };
            let from = &self.tree.modules[self.module].path;
            let to = &self.tree.modules[to].path;
            if from != to {
                self.uses.push(Use {
                    file: self.file.to_owned(),
                    line,
                    path: path.clone(),
                    from: from.clone(),
                    to: to.clone(),
                    is_macro,
                });
            }
        }
    }

    /// A path in code. Names that an import brought are not counted again.
    fn code_path(&mut self, path: &[String], absolute: bool, line: usize, strictness: Strictness) {
        let (found, way) = self.tree.resolve(self.place(), path, absolute);
        if let Resolved::Missing(segment) = &found {
            if strictness == Strictness::Strict {
                self.missing(path, segment, line);
            }
            return;
        }
        if path.len() == 1 {
            // A module, an import, or a variable.
            let is_item = matches!(&found, Resolved::Here(all)
                if all.iter().any(|one| !matches!(one, Destination::Module(_))));
            if way != Way::Glob || !is_item || self.is_local(&path[0]) {
                return;
            }
            let Resolved::Here(all) = found else { return };
            let items = all
                .into_iter()
                .filter(|one| !matches!(one, Destination::Module(_)))
                .collect();
            self.record(&Resolved::Here(items), path[0].clone(), line);
            return;
        }
        if way == Way::Named {
            // `Type::new` of a type that is imported by name.
            let (first, _) = self.tree.resolve(self.place(), &path[..1], absolute);
            let is_item = matches!(&first, Resolved::Here(all)
                if all.iter().all(|one| !matches!(one, Destination::Module(_))));
            if is_item {
                return;
            }
        }
        self.record(&found, path.join("::"), line);
    }

    fn import(&mut self, import: &Import) {
        let (found, _) = self
            .tree
            .resolve(self.place(), &import.path, import.absolute);
        let mut shown = import.path.join("::");
        if import.binds == Binds::Glob {
            shown.push_str("::*");
        }
        match &found {
            Resolved::Missing(segment) => {
                let segment = segment.clone();
                self.missing(&import.path, &segment, import.line);
            }
            _ => self.record(&found, shown, import.line),
        }
    }

    fn tokens(&mut self, found: Vec<TokenPath>, is_definition: bool) {
        for path in found {
            let TokenPath {
                segments,
                absolute,
                is_glob,
                line,
            } = path;
            if segments.len() == 1 {
                // In rules, a lone word is syntax as likely as a name.
                if !is_definition && !absolute && !is_glob {
                    self.code_path(&segments, false, line, Strictness::Lenient);
                }
                continue;
            }
            let is_strict = match segments[0].as_str() {
                "crate" => true,
                "self" | "super" => !is_definition,
                _ => false,
            };
            let strictness = match is_strict {
                true => Strictness::Strict,
                false => Strictness::Lenient,
            };
            self.code_path(&segments, absolute, line, strictness);
        }
    }

    fn in_function(&mut self, names: HashSet<String>, visit: impl FnOnce(&mut Self)) {
        self.locals.push(names);
        visit(self);
        self.locals.pop();
    }
}

fn variables(visit: impl FnOnce(&mut Variables)) -> HashSet<String> {
    let mut variables = Variables::default();
    visit(&mut variables);
    variables.names
}

#[derive(Default)]
struct Variables {
    names: HashSet<String>,
}

impl<'ast> Visit<'ast> for Variables {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let name = plain(&pattern.ident);
        if !name.starts_with(char::is_uppercase) {
            self.names.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| plain(&segment.ident))
        .collect()
}

fn line(path: &syn::Path) -> usize {
    path.segments
        .last()
        .map_or(0, |segment| segment.ident.span().start().line)
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let absolute = path.leading_colon.is_some();
        self.code_path(&segments(path), absolute, line(path), Strictness::Strict);
        visit::visit_path(self, path);
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if path.qself.as_ref().is_some_and(|qself| qself.position == 0) {
            // `<Type>::name`: only the type is a path from here.
            if let Some(qself) = &path.qself {
                self.visit_qself(qself);
            }
            for segment in &path.path.segments {
                self.visit_path_segment(segment);
            }
        } else {
            visit::visit_expr_path(self, path);
        }
    }

    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if path.qself.as_ref().is_some_and(|qself| qself.position == 0) {
            if let Some(qself) = &path.qself {
                self.visit_qself(qself);
            }
            for segment in &path.path.segments {
                self.visit_path_segment(segment);
            }
        } else {
            visit::visit_type_path(self, path);
        }
    }

    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let name = plain(&pattern.ident);
        if name.starts_with(char::is_uppercase) {
            // A constant or a unit type rather than a variable.
            let line = pattern.ident.span().start().line;
            self.code_path(&[name], false, line, Strictness::Lenient);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(item) {
            self.import(&import);
        }
    }

    fn visit_use_tree(&mut self, _: &'ast UseTree) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // Documentation names what it likes; so do attributes, but for paths that are plainly of this crate.
        if let Meta::List(list) = &attribute.meta
            && !attribute.path().is_ident("doc")
        {
            let mut found = tokens::paths(list.tokens.clone());
            found.retain(|path| path.segments[0] == "crate");
            self.tokens(found, true);
        }
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        let path = segments(&invoked.path);
        let absolute = invoked.path.leading_colon.is_some();
        let at = line(&invoked.path);
        if let [name] = path.as_slice() {
            let (found, way) = self.tree.resolve_macro(self.place(), name);
            if way == Way::Glob
                && let Resolved::Here(all) = found
            {
                let macros = all
                    .into_iter()
                    .filter(|one| matches!(one, Destination::Macro(_)))
                    .collect();
                self.record(&Resolved::Here(macros), format!("{name}!"), at);
            }
        } else {
            self.code_path(&path, absolute, at, Strictness::Strict);
        }
        let is_quote = path
            .last()
            .is_some_and(|name| QUOTES.contains(&name.as_str()));
        if !is_quote {
            self.tokens(tokens::paths(invoked.tokens.clone()), false);
        }
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        for attribute in &item.attrs {
            self.visit_attribute(attribute);
        }
        if item.ident.is_some() {
            self.tokens(tokens::paths(item.mac.tokens.clone()), true);
        } else {
            self.visit_macro(&item.mac);
        }
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let mut scope = Scope::default();
        for statement in &block.stmts {
            if let Stmt::Item(item) = statement {
                scope.declare(item);
            }
        }
        self.blocks.push(scope);
        visit::visit_block(self, block);
        self.blocks.pop();
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.in_function(
            variables(|names| names.visit_item_fn(function)),
            |collector| visit::visit_item_fn(collector, function),
        );
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.in_function(
            variables(|names| names.visit_impl_item_fn(function)),
            |collector| visit::visit_impl_item_fn(collector, function),
        );
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        self.in_function(
            variables(|names| names.visit_trait_item_fn(function)),
            |collector| visit::visit_trait_item_fn(collector, function),
        );
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        self.in_function(
            variables(|names| names.visit_expr_closure(closure)),
            |collector| visit::visit_expr_closure(collector, closure),
        );
    }

    // What follows leaves out what exists only in tests.

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_left_out(item_attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !is_left_out(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => return visit::visit_trait_item(self, item),
        };
        if !is_left_out(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if !is_left_out(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_stmt_macro(&mut self, statement: &'ast StmtMacro) {
        if !is_left_out(&statement.attrs) {
            visit::visit_stmt_macro(self, statement);
        }
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        if !is_left_out(expression_attributes(expression)) {
            visit::visit_expr(self, expression);
        }
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if !is_left_out(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !is_left_out(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast FieldValue) {
        if !is_left_out(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_field_pat(&mut self, field: &'ast FieldPat) {
        if !is_left_out(&field.attrs) {
            visit::visit_field_pat(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        if !is_left_out(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }
}

impl Crate {
    /// The modules of the crate's root.
    pub fn top_modules(&self) -> impl Iterator<Item = &str> {
        self.modules
            .iter()
            .enumerate()
            .filter(|(at, path)| *at != ROOT && path.len() == 1)
            .map(|(_, path)| path[0].as_str())
    }
}
