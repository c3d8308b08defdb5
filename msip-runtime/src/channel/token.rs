//! The tokens by which a channel is bound to its session: each is used once (docs/protocol.md, "Channels").

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use msip_session::wire::{CHANNELS, SessionId, Welcome};

/// The key of a session's tokens, which its Welcome gives to the client: random.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChannelKey([u8; Self::LEN]);

impl ChannelKey {
    /// Its length in bytes.
    pub(crate) const LEN: usize = 32;

    /// Draws one.
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        let mut key = [0; Self::LEN];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    /// The key that a Welcome gives.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Gives it to the client.
    pub(crate) fn tell(&self, welcome: &mut Welcome) {
        let extension = (CHANNELS.to_owned(), self.0.to_vec());
        welcome.extensions.extend([extension]);
    }

    /// The token of this number, of a channel of this session.
    fn token(&self, session: SessionId, channel: u8, number: u64) -> [u8; 32] {
        // Every part has a fixed length.
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(session.number().to_be_bytes());
        hash.update([channel]);
        hash.update(number.to_be_bytes());
        hash.finalize().into()
    }

    /// Whether a claim has the token that its other parts ask for. It takes the same time whatever the token is.
    pub(crate) fn proves(&self, claim: &ChannelClaim) -> bool {
        let token = self.token(claim.session, claim.channel, claim.number);
        let pairs = token.iter().zip(&claim.token);
        let difference = pairs.fold(0, |difference, (a, b)| difference | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

/// Nothing of it is shown.
impl std::fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChannelKey")
    }
}

/// Which channel a connection is, by its HELLO.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChannelClaim {
    /// The session that it belongs to.
    pub(crate) session: SessionId,
    /// Which of the session's channels it is, counted from 0.
    pub(crate) channel: u8,
    /// Counts the attempts to open it, from 1: each has another, and a larger one.
    pub(crate) number: u64,
    token: [u8; 32],
}

impl ChannelClaim {
    /// Its length in bytes.
    const LEN: usize = 8 + 1 + 8 + 32;

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (session, rest) = bytes.split_first_chunk()?;
        let (channel, rest) = rest.split_first()?;
        let (number, token) = rest.split_first_chunk()?;
        Some(Self {
            session: SessionId::new(u64::from_be_bytes(*session))?,
            channel: *channel,
            number: u64::from_be_bytes(*number),
            token: token.try_into().ok()?,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.extend_from_slice(&self.session.number().to_be_bytes());
        bytes.push(self.channel);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.token);
        bytes
    }
}

impl std::fmt::Debug for ChannelClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelClaim")
            .field("session", &self.session)
            .field("channel", &self.channel)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What a client claims a channel by: another claim for each attempt.
#[derive(Debug)]
pub(crate) struct ChannelClaims {
    key: ChannelKey,
    session: SessionId,
    channel: u8,
    last: AtomicU64,
}

impl ChannelClaims {
    pub(crate) const fn new(key: ChannelKey, session: SessionId, channel: u8) -> Self {
        Self {
            key,
            session,
            channel,
            last: AtomicU64::new(0),
        }
    }

    /// The next claim, as HELLO has it.
    pub(crate) fn next(&self) -> Vec<u8> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let claim = ChannelClaim {
            session: self.session,
            channel: self.channel,
            number,
            token: self.key.token(self.session, self.channel, number),
        };
        claim.to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> (ChannelKey, ChannelClaims) {
        let key = ChannelKey(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        let session = SessionId::new(0x0102_0304_0506_0708).unwrap();
        (key.clone(), ChannelClaims::new(key, session, 1))
    }

    #[test]
    fn a_claim_proves_itself_and_no_other_does() {
        let (key, claims) = claims();
        let first = claims.next();
        let claim = ChannelClaim::parse(&first).unwrap();
        assert_eq!((claim.channel, claim.number), (1, 1));
        assert!(key.proves(&claim));
        for index in 0..first.len() {
            let mut forged = first.clone();
            forged[index] ^= 1;
            let forged = ChannelClaim::parse(&forged).unwrap();
            assert!(!key.proves(&forged), "byte {index}");
        }
        let second = ChannelClaim::parse(&claims.next()).unwrap();
        assert!(key.proves(&second) && second.number == 2);
        assert!(!ChannelKey([0; 32]).proves(&claim));
    }

    #[test]
    fn what_has_another_length_or_no_session_is_no_claim() {
        let (_, claims) = claims();
        let claim = claims.next();
        assert_eq!(claim.len(), ChannelClaim::LEN);
        for len in 0..claim.len() {
            assert_eq!(ChannelClaim::parse(&claim[..len]), None, "{len} bytes");
        }
        let long = [&claim[..], &[0]].concat();
        assert_eq!(ChannelClaim::parse(&long), None);
        let nobody = [&[0; 8], &claim[8..]].concat();
        assert_eq!(ChannelClaim::parse(&nobody), None);
    }

    /// The vector of docs/protocol.md, "Channels".
    #[test]
    fn a_claim_is_written_as_the_page_says() {
        let page = include_str!("../../../docs/protocol.md");
        let (_, claims) = claims();
        let hex: String = claims
            .next()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert!(page.contains(&format!("channel={hex}")), "{hex}");
    }
}
