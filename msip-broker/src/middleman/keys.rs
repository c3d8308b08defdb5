//! The keys by which a client of MiddleMan says who it is.

use std::{fmt, io, path::Path};

use sha2::{Digest as _, Sha256};

/// Keys of which each does, such as the old one and the new one. Only their hashes are kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct KeySet(Vec<[u8; 32]>);

impl KeySet {
    /// Those of a file: one a line, each byte for byte.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no key.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = std::fs::read(path)?;
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let keys = Self(lines.filter(|line| !line.is_empty()).map(hash).collect());
        if keys.0.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has no key"));
        }
        Ok(keys)
    }

    #[cfg(test)]
    pub(crate) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| hash(key.as_bytes())).collect())
    }

    /// Whether this is one of them. The time that it takes says nothing of them.
    pub(crate) fn contains(&self, key: &str) -> bool {
        let key = hash(key.as_bytes());
        self.0.iter().fold(false, |found, known| {
            let other = known
                .iter()
                .zip(&key)
                .fold(0, |other, (a, b)| other | (a ^ b));
            found | (std::hint::black_box(other) == 0)
        })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_byte_for_byte() {
        let keys = KeySet::of(&["xyzzy", "old "]);
        for (key, is_known) in [
            ("xyzzy", true),
            ("old ", true),
            ("xyzzy\n", false),
            (" xyzzy", false),
            ("XYZZY", false),
            ("old", false),
            ("", false),
        ] {
            assert_eq!(keys.contains(key), is_known, "{key:?}");
        }
        assert_eq!(format!("{keys:?}"), "2 keys");
    }

    #[test]
    fn a_file_has_a_key_in_each_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "new\r\n\nold ").unwrap();
        assert_eq!(
            KeySet::read(file.path()).unwrap(),
            KeySet::of(&["new", "old "])
        );
        std::fs::write(file.path(), "\n").unwrap();
        let error = KeySet::read(file.path()).unwrap_err();
        assert_eq!(error.to_string(), "it has no key");
    }
}
