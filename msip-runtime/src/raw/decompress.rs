//! Decompression, for those who have a body and not the message that it came with.

use crate::{Compression, Status, body::compression};

/// Decompresses the body of a COMPRESSED frame: the number of the algorithm, and its output (docs/protocol.md, "Body").
/// An [`UntypedMessage`](super::UntypedMessage) does it by itself.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` beyond `max` bytes, where it stops. `INVALID_ARGUMENT` for what is not the output of this algorithm, or
/// of one that is not built in.
pub fn decompress(algorithm: Compression, body: &[u8], max: usize) -> Result<Vec<u8>, Status> {
    compression::decompress(algorithm, body, max).map_err(|error| {
        let text = error.to_string();
        match error {
            compression::DecompressError::TooLarge { .. } => Status::resource_exhausted(text),
            _ => Status::invalid_argument(text),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn a_body_is_decompressed_up_to_the_limit() {
        // lz4: its length, and a block of one literal run.
        let body = b"\x03\x04\x00\x00\x00\x40four";
        let code =
            |algorithm, max| decompress(algorithm, body, max).map_err(|status| status.code());
        #[cfg(feature = "lz4")]
        {
            assert_eq!(code(Compression::Lz4, 4), Ok(b"four".to_vec()));
            assert_eq!(code(Compression::Lz4, 3), Err(Code::ResourceExhausted));
        }
        assert_eq!(code(Compression::None, 4), Err(Code::InvalidArgument));
    }
}
