//! An open connection of a transport.

use super::{PeerAddress, PeerCredential, Stream};

/// An open connection: its stream, and what the transport knows of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The bytes, both ways.
    pub stream: Stream,
    /// The address of this end.
    pub local: PeerAddress,
    /// The address of the other end.
    pub peer: PeerAddress,
    /// Whether only the two ends can read or change what is sent: it is encrypted, or stays on this machine.
    pub is_confidential: bool,
    /// Who the peer is.
    pub credential: PeerCredential,
}

impl Connection {
    /// A connection over a stream that was opened elsewhere. It is not confidential, and its peer not known, unless
    /// [`confidential`](Self::confidential) and [`with_credential`](Self::with_credential) say so.
    pub fn new(stream: impl Into<Stream>, local: PeerAddress, peer: PeerAddress) -> Self {
        Self {
            stream: stream.into(),
            local,
            peer,
            is_confidential: false,
            credential: PeerCredential::None,
        }
    }

    /// The same, where only the two ends can read or change what is sent.
    #[must_use]
    pub fn confidential(mut self) -> Self {
        self.is_confidential = true;
        self
    }

    /// The same, where the transport has proved who the peer is.
    #[must_use]
    pub fn with_credential(mut self, credential: PeerCredential) -> Self {
        self.credential = credential;
        self
    }
}
