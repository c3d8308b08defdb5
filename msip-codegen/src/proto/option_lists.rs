//! The lists of options in a file's descriptor, wherever they may be.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    UninterpretedOption,
};

use super::source_info::tag;
use super::symbols::join;

/// Where a list of options is.
#[derive(Debug)]
pub(crate) struct OptionList {
    /// The path of the list in the file's descriptor.
    pub(crate) path: Vec<i32>,
    /// The scope in which names of extensions are resolved.
    pub(crate) scope: String,
}

/// Calls `visit` with each list of options in a file that is not empty.
pub(crate) fn visit(
    file: &mut FileDescriptorProto,
    visit: &mut dyn FnMut(&OptionList, &mut Vec<UninterpretedOption>),
) {
    let package = file.package().to_owned();
    let mut lists = Lists {
        visit,
        path: Vec::new(),
    };
    if let Some(options) = &mut file.options {
        let options = &mut options.uninterpreted_option;
        lists.list(&[tag::FILE_OPTIONS], &package, options);
    }
    lists.each(
        tag::FILE_MESSAGE,
        &mut file.message_type,
        |lists, message| {
            lists.message(&package, message);
        },
    );
    lists.each(tag::FILE_ENUM, &mut file.enum_type, |lists, enumeration| {
        lists.enumeration(&package, enumeration);
    });
    lists.each(tag::FILE_EXTENSION, &mut file.extension, |lists, field| {
        lists.field(&package, field);
    });
    lists.each(tag::FILE_SERVICE, &mut file.service, |lists, service| {
        let scope = join(&package, service.name());
        if let Some(options) = &mut service.options {
            let options = &mut options.uninterpreted_option;
            lists.list(&[tag::SERVICE_OPTIONS], &scope, options);
        }
        lists.each(tag::SERVICE_METHOD, &mut service.method, |lists, method| {
            if let Some(options) = &mut method.options {
                let options = &mut options.uninterpreted_option;
                lists.list(&[tag::METHOD_OPTIONS], &scope, options);
            }
        });
    });
}

struct Lists<'a> {
    visit: &'a mut dyn FnMut(&OptionList, &mut Vec<UninterpretedOption>),
    path: Vec<i32>,
}

impl Lists<'_> {
    fn list(&mut self, part: &[i32], scope: &str, options: &mut Vec<UninterpretedOption>) {
        if !options.is_empty() {
            let list = OptionList {
                path: self.path.iter().chain(part).copied().collect(),
                scope: scope.to_owned(),
            };
            (self.visit)(&list, options);
        }
    }

    fn each<T>(&mut self, tag: i32, nodes: &mut [T], mut visit: impl FnMut(&mut Self, &mut T)) {
        for (index, node) in (0..).zip(nodes) {
            self.path.extend([tag, index]);
            visit(self, node);
            self.path.truncate(self.path.len() - 2);
        }
    }

    fn message(&mut self, scope: &str, message: &mut DescriptorProto) {
        let full = join(scope, message.name());
        if let Some(options) = &mut message.options {
            let options = &mut options.uninterpreted_option;
            self.list(&[tag::MESSAGE_OPTIONS], &full, options);
        }
        self.each(tag::MESSAGE_FIELD, &mut message.field, |lists, field| {
            lists.field(&full, field);
        });
        self.each(
            tag::MESSAGE_EXTENSION,
            &mut message.extension,
            |lists, field| {
                lists.field(&full, field);
            },
        );
        self.each(
            tag::MESSAGE_ONEOF,
            &mut message.oneof_decl,
            |lists, oneof| {
                if let Some(options) = &mut oneof.options {
                    let options = &mut options.uninterpreted_option;
                    lists.list(&[tag::ONEOF_OPTIONS], &full, options);
                }
            },
        );
        let ranges = &mut message.extension_range;
        self.each(tag::MESSAGE_EXTENSION_RANGE, ranges, |lists, range| {
            if let Some(options) = &mut range.options {
                let options = &mut options.uninterpreted_option;
                lists.list(&[tag::RANGE_OPTIONS], &full, options);
            }
        });
        self.each(
            tag::MESSAGE_ENUM,
            &mut message.enum_type,
            |lists, nested| {
                lists.enumeration(&full, nested);
            },
        );
        self.each(
            tag::MESSAGE_NESTED,
            &mut message.nested_type,
            |lists, nested| {
                lists.message(&full, nested);
            },
        );
    }

    fn field(&mut self, scope: &str, field: &mut FieldDescriptorProto) {
        if let Some(options) = &mut field.options {
            self.list(
                &[tag::FIELD_OPTIONS],
                scope,
                &mut options.uninterpreted_option,
            );
        }
    }

    fn enumeration(&mut self, scope: &str, enumeration: &mut EnumDescriptorProto) {
        let full = join(scope, enumeration.name());
        if let Some(options) = &mut enumeration.options {
            let options = &mut options.uninterpreted_option;
            self.list(&[tag::ENUM_OPTIONS], &full, options);
        }
        self.each(tag::ENUM_VALUE, &mut enumeration.value, |lists, value| {
            if let Some(options) = &mut value.options {
                lists.list(
                    &[tag::VALUE_OPTIONS],
                    &full,
                    &mut options.uninterpreted_option,
                );
            }
        });
    }
}
