//! The schema of the upload example.

use msip_runtime::{ClientToServer, Message, ServerToClient, bytes::Bytes};

/// What a client may say.
#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "upload")]
pub enum ClientToServer {
    /// Sends a file: its beginning, then what it holds, piece by piece.
    #[msip(tag = 1, request = STREAM)]
    UploadReq(Part),
}

/// What a server may say.
#[derive(Debug, Clone, PartialEq, ServerToClient)]
pub enum ServerToClient {
    /// Tells what was stored.
    #[msip(tag = 1)]
    UploadRsp(Stored),
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Message)]
pub enum Part {
    /// The first of them.
    #[msip(tag = 1)]
    Beginning(Beginning),
    /// Some of its bytes.
    #[msip(tag = 2)]
    Piece(Bytes),
    /// What only a newer program knows.
    #[msip(other)]
    Unknown,
}

/// What is known before the first byte.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Beginning {
    /// The file's name, without folders.
    #[msip(tag = 1)]
    pub name: String,
    /// How many bytes there will be.
    #[msip(tag = 2)]
    pub size: u64,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Stored {
    /// How many bytes it has.
    #[msip(tag = 1)]
    pub size: u64,
    /// The SHA-256 of them.
    #[msip(tag = 2)]
    pub sha256: Vec<u8>,
}
