//! An API key: an id, by which it is looked up, and 256 random bits.

use std::{fmt, io};

use super::{
    entry::ApiKeyEntry,
    form::{PREFIX, SECRET_DIGITS, hash, hex},
};

/// A new API key. It is shown once, to be handed to its owner: the server keeps a hash of it.
///
/// Its text is `msip_`, the key's id in 16 hexadecimal digits, `_`, and 256 random bits in 64 digits. `Debug` shows the id only.
///
/// # Examples
///
/// ```
/// use msip_runtime::auth::ApiKey;
///
/// # fn main() -> std::io::Result<()> {
/// let key = ApiKey::generate()?;
/// let entry = key.entry("ada").with_role("operator");
/// println!("for ada:               {}", key.as_str());
/// println!("for the file of keys:  {entry}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
    id: u64,
}

impl ApiKey {
    /// Draws a key from the random numbers of the system.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub fn generate() -> io::Result<Self> {
        let id = getrandom::u64().map_err(io::Error::other)?;
        let mut secret = [0; SECRET_DIGITS / 2];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let secret = hex(&secret);
        Ok(Self {
            text: format!("{PREFIX}{id:016x}_{secret}"),
            id,
        })
    }

    /// The key itself. It is a secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key's entry in the server's file, which lets its owner in under this name.
    #[must_use]
    pub fn entry(&self, name: impl Into<String>) -> ApiKeyEntry {
        ApiKeyEntry::new(name.into(), self.id, hash(self.text.as_bytes()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey(id {:016x})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::form::id_of, *};

    #[test]
    fn a_key_is_known_by_its_form_and_never_shown() {
        let key = ApiKey::generate().unwrap();
        assert_ne!(key, ApiKey::generate().unwrap());
        let text = key.as_str();
        assert_eq!(text.len(), 5 + 16 + 1 + 64);
        assert_eq!(id_of(text.as_bytes()), Some(key.id));
        let secret = text.rsplit('_').next().unwrap();
        let shown = format!("{key:?} {:?} {}", key.entry("ada"), key.entry("ada"));
        assert!(!shown.contains(secret), "{shown}");
        for wrong in [
            "",
            "msip_",
            &text[1..],
            &text[..text.len() - 1],
            &text.to_uppercase(),
            &format!("{text}0"),
            &text.replacen("msip_", "msip_+", 1),
        ] {
            assert_eq!(id_of(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(id_of(b"msip_\xff"), None);
    }
}
