//! The imports that the descriptor pool is given.
//!
//! The pool follows public imports for one step only, and then several times: the time doubles with each file of a chain.
//! So no import is public to it, and each file imports what it mentions. All that a file sees would be too much: with
//! public imports that grows with the square of the files.

use std::collections::BTreeSet;

use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::extensions::Extensions;
use super::files::Files;
use super::option_lists;
use super::symbols::{Lookup, Symbols, join};

pub(crate) struct PoolImports<'a> {
    files: &'a Files,
    symbols: &'a Symbols<'a>,
    extensions: &'a Extensions<'a>,
}

impl<'a> PoolImports<'a> {
    pub(crate) fn new(
        files: &'a Files,
        symbols: &'a Symbols<'a>,
        extensions: &'a Extensions<'a>,
    ) -> Self {
        Self {
            files,
            symbols,
            extensions,
        }
    }

    /// Adds the files that a file mentions through public imports, behind its own imports.
    pub(crate) fn set(&self, index: usize, descriptor: &mut FileDescriptorProto) {
        let mut mentioned = Mentioned {
            imports: self,
            file: index,
            found: BTreeSet::new(),
        };
        mentioned.read(descriptor);
        let own = self.files.files.get(index);
        let own: BTreeSet<usize> = own
            .into_iter()
            .flat_map(|file| file.imports.iter().copied())
            .chain([index])
            .collect();
        for other in mentioned.found.difference(&own) {
            if let Some(file) = self.files.files.get(*other) {
                descriptor.dependency.push(file.name.clone());
            }
        }
        descriptor.public_dependency.clear();
    }
}

/// The files that a file mentions, and sees.
struct Mentioned<'a> {
    imports: &'a PoolImports<'a>,
    file: usize,
    found: BTreeSet<usize>,
}

impl Mentioned<'_> {
    fn read(&mut self, descriptor: &mut FileDescriptorProto) {
        let package = descriptor.package().to_owned();
        for message in &descriptor.message_type {
            self.message(&package, message);
        }
        for field in &descriptor.extension {
            self.field(&package, field);
        }
        for service in &descriptor.service {
            for method in &service.method {
                let scope = join(&package, service.name());
                self.ty(method.input_type(), &scope);
                self.ty(method.output_type(), &scope);
            }
        }
        option_lists::visit(descriptor, &mut |list, options| {
            let parts = options.iter().flat_map(|option| &option.name);
            for part in parts.filter(|part| part.is_extension) {
                let extensions = self.imports.extensions;
                if let Some(extension) = extensions.find(&part.name_part, &list.scope) {
                    self.add(extension.file);
                }
            }
        });
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        // As deep as the parser allows: 31 levels.
        let full = join(scope, message.name());
        for field in message.field.iter().chain(&message.extension) {
            self.field(&full, field);
        }
        for nested in &message.nested_type {
            self.message(&full, nested);
        }
    }

    fn field(&mut self, scope: &str, field: &FieldDescriptorProto) {
        for name in [&field.type_name, &field.extendee].into_iter().flatten() {
            self.ty(name, scope);
        }
    }

    fn ty(&mut self, name: &str, scope: &str) {
        // Anything else is reported elsewhere.
        if let Lookup::Found(_, symbol) = self.imports.symbols.resolve(name, scope, self.file) {
            self.found.insert(symbol.file);
        }
    }

    fn add(&mut self, file: usize) {
        if self.imports.symbols.sees(self.file, file) {
            self.found.insert(file);
        }
    }
}
