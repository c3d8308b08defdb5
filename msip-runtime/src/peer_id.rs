//! The id of a client.

use std::fmt;

/// The id of a client: a random number, chosen by its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(u64);

impl PeerId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The id that is printed so; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_id);
        number.map(Self)
    }

    /// The id of a client that a broker calls so: what it prints, or a number that is made of another name.
    pub(crate) fn of_name(name: &str) -> Self {
        // FNV-1a: the same in each process.
        let hashed = || {
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        Self::parse(name).unwrap_or_else(|| Self(hashed()))
    }

    /// The number, for programs; `Display` is for people and logs.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_printed() {
        let id = PeerId::new(0x00fe_dcba_9876_5432);
        assert_eq!(PeerId::parse(&id.to_string()), Some(id));
        assert_eq!(PeerId::of_name(&id.to_string()), id);
        for text in ["", "12", "+0fedcba98765432", "00fedcba987654321"] {
            assert_eq!(PeerId::parse(text), None, "{text}");
        }
        assert_ne!(PeerId::of_name("m17"), PeerId::of_name("m18"));
    }
}
