//! The languages, and the options of each.

use std::path::PathBuf;

use msip_codegen::{Builder, Python, TypeScript};

use crate::side::Side;

/// A language that schemas can be compiled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Rust,
    TypeScript,
}

/// A language that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) language: Language,
    /// Where its files are written.
    pub(crate) folder: PathBuf,
    /// Its options, name and value.
    pub(crate) options: Vec<(String, String)>,
}

/// The options of Rust: settings of `Builder`.
const RUST_OPTIONS: [&str; 6] = [
    "btree_map",
    "bytes",
    "extern_path",
    "field_attribute",
    "skip_debug",
    "type_attribute",
];

impl Language {
    pub(crate) const ALL: [Self; 3] = [Self::Python, Self::Rust, Self::TypeScript];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Rust => "rust",
            Self::TypeScript => "typescript",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
    }

    /// The names of its options.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Python => &[],
            Self::Rust => &RUST_OPTIONS,
            Self::TypeScript => &["import", "without"],
        }
    }

    /// What is wrong with an option that it has not.
    fn no_option(self, name: &str) -> String {
        let all = self.options().join(", ");
        let language = self.name();
        match self.options() {
            [] => format!("{language} has no options, and `{name}` was given"),
            _ => format!("{language} has no option `{name}`: its options are {all}"),
        }
    }
}

/// A builder that writes these languages and nothing else; says what is wrong with an option.
pub(crate) fn builder(targets: &[Target], side: Side) -> Result<Builder, String> {
    let mut builder = Builder::new()
        .emit_rerun_if_changed(false)
        .named_by_import();
    if !targets
        .iter()
        .any(|target| target.language == Language::Rust)
    {
        builder = builder.without_rust();
    }
    for target in targets {
        builder = match target.language {
            Language::Python => python(builder, target, side)?,
            Language::Rust => rust(builder, target, side)?,
            Language::TypeScript => typescript(builder, target, side)?,
        };
    }
    Ok(builder)
}

fn python(builder: Builder, target: &Target, side: Side) -> Result<Builder, String> {
    if let Some((name, _)) = target.options.first() {
        return Err(target.language.no_option(name));
    }
    let python = Python::new().sides(side.into());
    Ok(builder.emitter_into(&target.folder, python))
}

fn rust(builder: Builder, target: &Target, side: Side) -> Result<Builder, String> {
    let mut builder = match side {
        Side::Client => builder.client_only(),
        Side::Server => builder.server_only(),
        Side::Both => builder,
    };
    builder = builder.checked_in(&target.folder);
    for (name, value) in &target.options {
        let pair = || {
            let pair = value.split_once('=');
            pair.ok_or_else(|| {
                format!("`{name}` takes a path and what it gets: `.chat.User=…`, not `{value}`")
            })
        };
        builder = match name.as_str() {
            "btree_map" => builder.btree_map(value),
            "bytes" => builder.bytes(value),
            "skip_debug" => builder.skip_debug(value),
            "extern_path" => pair().map(|(proto, rust)| builder.extern_path(proto, rust))?,
            "field_attribute" => pair().map(|(path, text)| builder.field_attribute(path, text))?,
            "type_attribute" => pair().map(|(path, text)| builder.type_attribute(path, text))?,
            _ => return Err(target.language.no_option(name)),
        };
    }
    Ok(builder)
}

fn typescript(builder: Builder, target: &Target, side: Side) -> Result<Builder, String> {
    let mut typescript = TypeScript::new().sides(side.into());
    for (name, value) in &target.options {
        typescript = match name.as_str() {
            "import" if value.is_empty() => {
                return Err(
                    "`import` takes where the package is imported from, such as `msip`".to_owned(),
                );
            }
            "import" => typescript.core(value),
            "without" => typescript.without(value.parse()?),
            _ => return Err(target.language.no_option(name)),
        };
    }
    Ok(builder.emitter_into(&target.folder, typescript))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(language: Language, option: (&str, &str)) -> Result<Builder, String> {
        let target = Target {
            language,
            folder: PathBuf::from("out"),
            options: vec![(option.0.to_owned(), option.1.to_owned())],
        };
        builder(&[target], Side::Both)
    }

    #[test]
    fn every_option_of_a_language_is_taken_and_no_other() {
        for language in Language::ALL {
            for name in language.options() {
                let value = match *name {
                    "without" => "topics",
                    _ => ".chat=::chat",
                };
                let with = with(language, (name, value));
                assert!(with.is_ok(), "{language:?}: {name}");
            }
            let error = with(language, ("byte", ".")).unwrap_err();
            assert!(
                error.contains(language.name()) && error.contains("`byte`"),
                "{error}"
            );
        }
        let error = with(Language::TypeScript, ("without", "calls")).unwrap_err();
        assert!(
            error.contains("resumption, metadata, topics, urls"),
            "{error}"
        );
        let error = with(Language::TypeScript, ("import", "")).unwrap_err();
        assert!(error.contains("such as `msip`"), "{error}");
        let error = with(Language::Rust, ("extern_path", ".chat")).unwrap_err();
        assert!(error.contains("takes a path and what it gets"), "{error}");
    }
}
