//! A line of a file of keys.

use std::{fmt, str::FromStr, time::SystemTime};

use prost_types::Timestamp;
use thiserror::Error;

use super::{
    METHOD,
    form::{PREFIX, hex, parse_id},
};
use crate::Identity;

/// The longest name and the longest role, in bytes.
const MAX_WORD_LEN: usize = 128;

/// What a server knows of a key: its id and its hash, whose it is, and what that one may do. `Display` writes it as a line of the
/// [file of keys](super::ApiKeys), and `FromStr` reads one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyEntry {
    pub(super) id: u64,
    pub(super) hash: [u8; 32],
    pub(super) name: String,
    is_service: bool,
    roles: Vec<String>,
    expires: Option<SystemTime>,
}

impl ApiKeyEntry {
    pub(super) fn new(name: String, id: u64, hash: [u8; 32]) -> Self {
        Self {
            id,
            hash,
            name,
            is_service: false,
            roles: Vec::new(),
            expires: None,
        }
    }

    /// The same with one more role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// The same of a service, where a program connects on its own behalf: its name is the identity's `service`, not its `user`.
    #[must_use]
    pub fn of_service(mut self) -> Self {
        self.is_service = true;
        self
    }

    /// The same until this time, of which whole seconds count.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expires = Some(time);
        self
    }

    pub(super) fn is_service(&self) -> bool {
        self.is_service
    }

    /// Who has shown this key.
    pub(super) fn identity(&self) -> Identity {
        let identity = Identity::new(METHOD);
        let mut identity = if self.is_service {
            identity.with_service(&self.name)
        } else {
            identity.with_user(&self.name)
        };
        identity.roles.clone_from(&self.roles);
        identity.expires = self.expires;
        identity
    }

    /// Whether the names in it can be written into a file, and read again.
    pub(super) fn check(&self) -> Result<(), String> {
        check_word("name", &self.name)?;
        self.roles
            .iter()
            .try_for_each(|role| check_word("role", role))
    }
}

/// `ada 5d2c… 9f86… roles=operator,auditor expires=2027-01-31T00:00:00Z`
impl fmt::Display for ApiKeyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:016x} {}", self.name, self.id, hex(&self.hash))?;
        if self.is_service {
            f.write_str(" service")?;
        }
        if !self.roles.is_empty() {
            write!(f, " roles={}", self.roles.join(","))?;
        }
        if let Some(expires) = self.expires {
            let mut time = Timestamp::from(expires);
            time.nanos = 0;
            write!(f, " expires={time}")?;
        }
        Ok(())
    }
}

/// What is wrong with a line of a file of keys, and what to write. It shows nothing that could be a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ApiKeyEntryError(String);

impl FromStr for ApiKeyEntry {
    type Err = ApiKeyEntryError;

    fn from_str(line: &str) -> Result<Self, ApiKeyEntryError> {
        Self::read(line).map_err(ApiKeyEntryError)
    }
}

impl ApiKeyEntry {
    fn read(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        if words.clone().any(|word| word.contains(PREFIX)) {
            return Err("it holds a key itself: replace the key, and write the line that belongs to the new one".into());
        }
        let (Some(name), Some(id), Some(hash)) = (words.next(), words.next(), words.next()) else {
            return Err("write NAME ID HASH, then `service`, `roles=a,b` and `expires=2027-01-31` as needed".into());
        };
        let id = parse_id(id).ok_or("the id is not 16 hexadecimal digits in lower case")?;
        let hash = parse_hash(hash).ok_or("the hash is not 64 hexadecimal digits")?;
        let mut entry = Self::new(name.to_owned(), id, hash);
        for word in words {
            match word.split_once('=') {
                None if word == "service" && !entry.is_service => entry.is_service = true,
                Some(("roles", roles)) if entry.roles.is_empty() => {
                    entry.roles = roles.split(',').map(str::to_owned).collect();
                }
                Some(("expires", time)) if entry.expires.is_none() => {
                    entry.expires = Some(parse_time(time)?);
                }
                Some((name @ ("roles" | "expires"), _)) => {
                    return Err(format!("`{name}` is there twice"));
                }
                _ => {
                    return Err(
                        "after the hash come `service`, `roles=a,b` and `expires=2027-01-31`"
                            .into(),
                    );
                }
            }
        }
        entry.check()?;
        Ok(entry)
    }
}

fn check_word(what: &str, word: &str) -> Result<(), String> {
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || c == ',' || c == '#';
    if word.is_empty() || word.len() > MAX_WORD_LEN || word.contains(is_wrong) {
        return Err(format!(
            "a {what} has 1 to {MAX_WORD_LEN} bytes without spaces, commas, `#` and control characters"
        ));
    }
    Ok(())
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        // `from_str_radix` alone would take "+1".
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

fn parse_time(text: &str) -> Result<SystemTime, String> {
    let time: Option<Timestamp> = text.parse().ok();
    time.and_then(|time| SystemTime::try_from(time).ok())
        .ok_or_else(|| {
            "the time of `expires` is not of the form 2027-01-31 or 2027-01-31T12:00:00Z".into()
        })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{super::ApiKey, *};

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let key = ApiKey::generate().unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for entry in [
            key.entry("ada"),
            key.entry("relay").of_service().with_role("relay"),
            key.entry("ada@example.org")
                .with_role("a")
                .with_role("b")
                .expires_at(time),
        ] {
            let line = entry.to_string();
            assert_eq!(line.parse::<ApiKeyEntry>(), Ok(entry), "{line}");
        }
        let line = key.entry("ada").expires_at(time).to_string();
        assert!(line.ends_with(" expires=2027-01-15T08:00:00Z"), "{line}");
        let day = line.replace("T08:00:00Z", "");
        let day: ApiKeyEntry = day.parse().unwrap();
        assert_eq!(day.expires, Some(time - Duration::from_secs(8 * 3600)));
    }

    #[test]
    fn a_wrong_line_is_told_what_is_wrong_with_it_and_no_key_is_shown() {
        let key = ApiKey::generate().unwrap();
        let line = key.entry("ada").to_string();
        let cases = [
            ("ada".to_owned(), "write NAME ID HASH"),
            (format!("ada {}", key.as_str()), "it holds a key itself"),
            (line.replacen("ada ", "ada x", 1), "the id is not"),
            (format!("{line}0"), "the hash is not"),
            (format!("{line} role=a"), "after the hash come"),
            (format!("{line} service service"), "after the hash come"),
            (format!("{line} roles="), "a role has 1 to 128 bytes"),
            (format!("{line} roles=a,,b"), "a role has 1 to 128 bytes"),
            (format!("{line} roles=a roles=b"), "`roles` is there twice"),
            (format!("{line} expires=soon"), "the time of `expires`"),
            (
                format!("{line} expires=2027-02-30"),
                "the time of `expires`",
            ),
            (
                line.replacen("ada", &"a".repeat(129), 1),
                "a name has 1 to 128 bytes",
            ),
            (
                line.replacen("ada", "a\u{7}", 1),
                "a name has 1 to 128 bytes",
            ),
        ];
        let secret = key.as_str().rsplit('_').next().unwrap();
        for (line, told) in cases {
            let error = line.parse::<ApiKeyEntry>().unwrap_err().to_string();
            assert!(error.starts_with(told), "{line}: {error}");
            assert!(!error.contains(secret), "{error}");
        }
    }
}
