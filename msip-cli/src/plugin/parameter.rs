//! The parameter: what follows `--msip_opt=` or `opt:`.

use std::path::{Component, PathBuf};

use crate::language::{Language, Target};
use crate::side::Side;

const NO_LANGUAGE: &str = "the plugin was not told a language: with protoc, `--msip_opt=python`; with buf, `opt: [python]`";

/// What the plugin is told.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) targets: Vec<Target>,
    pub(super) side: Side,
    pub(super) messages_only: bool,
}

impl Parameter {
    /// Reads `python,typescript=web,side=client,rust.bytes=.chat`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parameter = Self {
            targets: Vec::new(),
            side: Side::default(),
            messages_only: false,
        };
        let mut options = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (part, None),
            };
            if let Some(language) = Language::from_name(name) {
                if parameter
                    .targets
                    .iter()
                    .any(|target| target.language == language)
                {
                    return Err(format!("{name} is told twice"));
                }
                parameter.targets.push(Target {
                    language,
                    folder: folder(value.unwrap_or_default())?,
                    options: Vec::new(),
                });
            } else if let Some((language, option)) = name.split_once('.') {
                let value = value.ok_or_else(|| format!("`{part}` has no value"))?;
                options.push((language, option.to_owned(), value.to_owned()));
            } else {
                match (name, value) {
                    ("side", Some(side)) => {
                        let found = Side::from_name(side);
                        parameter.side = found.ok_or_else(|| {
                            format!("`side` is client, server or both, and not `{side}`")
                        })?;
                    }
                    ("messages_only", None) => parameter.messages_only = true,
                    _ => return Err(unknown(part)),
                }
            }
        }
        for (language, name, value) in options {
            let mut targets = parameter.targets.iter_mut();
            let target = targets.find(|target| target.language.name() == language);
            let target = target.ok_or_else(|| match Language::from_name(language) {
                Some(_) => format!("`{language}.{name}` is told, and {language} is not"),
                None => unknown(&format!("{language}.{name}")),
            })?;
            target.options.push((name, value));
        }
        match parameter.targets.is_empty() {
            true => Err(NO_LANGUAGE.to_owned()),
            false => Ok(parameter),
        }
    }
}

/// A folder below that of the output.
fn folder(text: &str) -> Result<PathBuf, String> {
    let folder = PathBuf::from(text);
    match folder
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        true => Ok(folder),
        false => Err(format!("`{text}` is no folder below that of the output")),
    }
}

fn unknown(part: &str) -> String {
    let languages = Language::ALL.map(Language::name);
    format!(
        "the plugin does not know `{part}`: it is told languages ({}), each with a folder if wanted (`{}=folder`), \
         `side=client|server|both`, `messages_only`, and options of languages (`{}.name=value`)",
        languages.join(", "),
        languages[0],
        languages[0],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_told() {
        let told = "rust=src/gen,rust.bytes=.a,rust.extern_path=.b=::b, side=client,messages_only";
        let parameter = Parameter::parse(told).unwrap();
        let [rust] = &parameter.targets[..] else {
            panic!("{parameter:?}");
        };
        assert_eq!(rust.folder, PathBuf::from("src/gen"));
        let options: Vec<(&str, &str)> = rust
            .options
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(options, [("bytes", ".a"), ("extern_path", ".b=::b")]);
        assert_eq!(parameter.side, Side::Client);
        assert!(parameter.messages_only);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (told, said) in [
            ("", "was not told a language"),
            ("side=server", "was not told a language"),
            ("rust,rust=a", "rust is told twice"),
            ("rust,side=left", "client, server or both, and not `left`"),
            ("rust=../a", "no folder below"),
            ("rust=/a", "no folder below"),
            ("rust,fast", "does not know `fast`"),
            ("rust,c.a=b", "does not know `c.a`"),
            ("rust,rust.bytes", "has no value"),
            (
                "messages_only=yes,rust",
                "does not know `messages_only=yes`",
            ),
        ] {
            let error = Parameter::parse(told).unwrap_err();
            assert!(error.contains(said), "{told}: {error}");
        }
    }
}
