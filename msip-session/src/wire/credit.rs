//! CREDIT: how much more the peer may send.

use thiserror::Error;

/// The payload of a CREDIT: what is added to a window (docs/protocol.md, "Credit").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// How many more items.
    pub items: u32,
    /// How many more bytes.
    pub bytes: u32,
}

impl Credit {
    /// The length of its payload in bytes.
    pub const LEN: usize = 8;

    /// No credit; never sent.
    pub const NOTHING: Self = Self { items: 0, bytes: 0 };

    /// The window that every connection begins with for one-way messages: 1,024 items and 1 MiB.
    pub const CONNECTION_START: Self = Self {
        items: 1024,
        bytes: 1024 * 1024,
    };

    /// The window that every stream begins with: 16 items and 256 KiB.
    pub const STREAM_START: Self = Self {
        items: 16,
        bytes: 256 * 1024,
    };

    /// Reads the payload of a CREDIT.
    ///
    /// # Errors
    ///
    /// A payload of another length, or a credit of nothing.
    pub fn parse(payload: &[u8]) -> Result<Self, CreditError> {
        let &[i0, i1, i2, i3, b0, b1, b2, b3] = payload else {
            return Err(CreditError::WrongLength(payload.len()));
        };
        let credit = Self {
            items: u32::from_be_bytes([i0, i1, i2, i3]),
            bytes: u32::from_be_bytes([b0, b1, b2, b3]),
        };
        if credit.items == 0 && credit.bytes == 0 {
            return Err(CreditError::Nothing);
        }
        Ok(credit)
    }

    /// Writes the payload of a CREDIT.
    pub fn encode(self) -> [u8; Self::LEN] {
        let [i0, i1, i2, i3] = self.items.to_be_bytes();
        let [b0, b1, b2, b3] = self.bytes.to_be_bytes();
        [i0, i1, i2, i3, b0, b1, b2, b3]
    }
}

/// Why a payload is no credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CreditError {
    /// It does not have the length of one.
    #[error("a CREDIT has a payload of 8 bytes, not {0}")]
    WrongLength(usize),
    /// It adds nothing.
    #[error("a CREDIT of 0 items and 0 bytes adds nothing")]
    Nothing,
}
