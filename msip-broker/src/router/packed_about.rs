//! What is known of a client, in one piece of memory: a broker has many clients, and tells of each a few times.

use super::About;

/// An [`About`] in little memory.
#[derive(Debug)]
pub(super) struct PackedAbout {
    /// Each text behind its length: the roles are the last ones.
    texts: Box<[u8]>,
    fingerprint: u64,
}

impl From<About> for PackedAbout {
    fn from(about: About) -> Self {
        let About {
            user,
            service,
            roles,
            address,
            name,
            protocol,
            fingerprint,
        } = about;
        let mut texts = Vec::new();
        for text in [user, service, address, name, protocol]
            .iter()
            .chain(&roles)
        {
            // One that is longer comes from no peer.
            let len = u32::try_from(text.len()).unwrap_or(0);
            texts.extend_from_slice(&len.to_le_bytes());
            texts.extend(text.bytes().take(len as usize));
        }
        Self {
            texts: texts.into(),
            fingerprint,
        }
    }
}

impl PackedAbout {
    pub(super) fn unpack(&self) -> About {
        let mut texts = Texts(&self.texts);
        let mut next = || texts.next().unwrap_or_default();
        let [user, service, address, name, protocol] = std::array::from_fn(|_| next());
        About {
            user,
            service,
            address,
            name,
            protocol,
            roles: texts.collect(),
            fingerprint: self.fingerprint,
        }
    }
}

/// The texts that are left.
struct Texts<'a>(&'a [u8]);

impl Iterator for Texts<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let (len, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.0 = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_client_is_packed_and_unpacked_unchanged() {
        let nothing = About::default();
        let all = About {
            user: "ada".into(),
            service: "görlitz".into(),
            roles: vec!["driver".into(), String::new(), "owner".into()],
            address: "192.0.2.1:9".into(),
            name: "lamp".into(),
            protocol: "home.v1".into(),
            fingerprint: 7,
        };
        for about in [nothing, all] {
            assert_eq!(PackedAbout::from(about.clone()).unpack(), about);
        }
    }
}
