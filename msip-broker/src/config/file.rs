//! The file.

use std::{fs, io, path::Path};

use toml::de::DeTable;

use super::{
    Config,
    error::{ConfigErrors, Kind, shown},
    reader::Reader,
    sections,
};

/// A file that is longer is no configuration of a broker.
const MAX_LEN: u64 = 4 * super::MIB;

impl Config {
    /// Reads a configuration from the text of a file. Relative paths in it are of the working directory.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, a line each.
    pub fn from_toml(text: &str) -> Result<Self, ConfigErrors> {
        let mut config = Self::default();
        config.read_toml(text, "broker.toml", Path::new(""))?;
        Ok(config)
    }

    /// Sets what the file says. Relative paths in it are of its folder.
    pub(super) fn read_file(&mut self, path: &Path) -> Result<(), ConfigErrors> {
        let failed = |source| {
            let path = path.to_owned();
            ConfigErrors(vec![Kind::Read { path, source }.into()])
        };
        let len = fs::metadata(path).map_err(failed)?.len();
        if len > MAX_LEN {
            let text = format!("it has {len} bytes: a configuration has at most {MAX_LEN}");
            return Err(failed(io::Error::other(text)));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        self.read_toml(&text, &path.display().to_string(), folder)
    }

    fn read_toml(&mut self, text: &str, name: &str, folder: &Path) -> Result<(), ConfigErrors> {
        let mut reader = Reader {
            name,
            text,
            folder,
            errors: Vec::new(),
            roles: Vec::new(),
        };
        match DeTable::parse(text) {
            Ok(document) => sections::read(&mut reader, document.get_ref(), self),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let place = reader.place(at);
                let mut message = error.message().replace('\n', "; ");
                let found = error.span().and_then(|span| text.get(span));
                if let Some(found) = found.filter(|found| !found.trim().is_empty()) {
                    message += &format!(", at `{}`", shown(found));
                }
                reader.push(Kind::Syntax { place, message });
            }
        }
        ConfigErrors::or(reader.errors, ())
    }
}
