//! What a server gives a client that asks for datagrams over UDP: a tag, a key and a port.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use msip_session::wire::Side;
use sha2::Sha256;

use super::datagram::{DirectionKey, Opener, Sealer};

/// The extension by which a client asks in HELLO for datagrams over UDP, and by which the Welcome gives them.
pub(crate) const UDP_DATAGRAMS: &str = "udp-datagrams";

/// The length of a key in bytes.
const KEY_LEN: usize = 32;

/// The tag and the keys of one connection.
pub(crate) struct LaneGrant {
    tag: u64,
    /// The keys of both directions are derived from it.
    key: [u8; KEY_LEN],
    port: u16,
}

impl LaneGrant {
    /// A grant for a connection, with a tag and a key that are random.
    pub(super) fn draw(port: u16) -> Result<Self, getrandom::Error> {
        let mut key = [0; KEY_LEN];
        getrandom::fill(&mut key)?;
        let tag = getrandom::u64()?;
        Ok(Self { tag, key, port })
    }

    /// A grant that is known, for vectors and for fuzzing.
    #[cfg(any(test, fuzzing))]
    pub(super) fn known(tag: u64, key: [u8; KEY_LEN], port: u16) -> Self {
        Self { tag, key, port }
    }

    /// Reads the value of the extension in a Welcome. What follows the port is for later versions.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let (tag, rest) = value.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let port = rest.first_chunk()?;
        Some(Self {
            tag: u64::from_be_bytes(*tag),
            key: *key,
            port: u16::from_be_bytes(*port),
        })
    }

    /// The value of the extension in a Welcome.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { tag, key, port } = self;
        [&tag.to_be_bytes()[..], key, &port.to_be_bytes()].concat()
    }

    pub(super) fn tag(&self) -> u64 {
        self.tag
    }

    /// The port at which the server takes the datagrams.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What makes the datagrams of this side.
    pub(super) fn sealer(&self, side: Side) -> Sealer {
        Sealer::new(self.tag, self.direction(side))
    }

    /// What checks the datagrams of the other side than this.
    pub(super) fn opener(&self, side: Side) -> Opener {
        Opener::new(self.tag, self.direction(side.reverse()))
    }

    /// The key of what this side sends. With one for both directions a datagram could be sent back to who has made it. It is
    /// HKDF-Expand (RFC 5869) of one block.
    fn direction(&self, sender: Side) -> DirectionKey {
        let info: &[u8] = match sender {
            Side::Connecting => b"msip udp connecting",
            Side::Accepting => b"msip udp accepting",
        };
        let block = keyed(&self.key).chain_update(info).chain_update([1]);
        keyed(&block.finalize().into_bytes().into())
    }
}

fn keyed(key: &[u8; KEY_LEN]) -> Hmac<Sha256> {
    // A block of SHA-256, as HMAC pads a key.
    let mut block = [0; 64];
    block[..KEY_LEN].copy_from_slice(key);
    Hmac::new(&block.into())
}

/// The key is not shown.
impl fmt::Debug for LaneGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneGrant")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
