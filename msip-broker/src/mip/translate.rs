//! The messages of MSIP peers as those of MIP get them: without metadata, and with bodies that are not compressed.

use std::sync::Arc;

use bytes::Bytes;
use msip_runtime::{Compression, untyped::decompress};
use msip_session::wire::{self, Flags, HEADER_LEN, RawHeader};

use super::frame::{COMPRESSED, URGENT};
use crate::router::{Frames, Publication, Router};

/// A publication that is being translated, frame by frame: inflated bodies are never all in memory.
#[derive(Debug)]
pub(super) struct Translation {
    publication: Arc<Publication>,
    rest: Frames,
}

impl Translation {
    pub(super) fn new(publication: Arc<Publication>) -> Self {
        let rest = publication.iter();
        Self { publication, rest }
    }

    /// The next messages, of about `len` bytes or one more message; `None` after the last. Bodies that cannot be inflated, or
    /// have more than `max_body` bytes then, are left out, and `dropped` counts them.
    pub(super) fn next(
        &mut self,
        len: usize,
        (router, max_body): (&Router, usize),
        dropped: &mut u64,
    ) -> Option<Bytes> {
        let mut output = Vec::new();
        let mut has_any = false;
        while output.len() < len {
            let Some(frame) = self.rest.next() else { break };
            has_any = true;
            if self
                .translate(&frame, (router, max_body), &mut output)
                .is_none()
            {
                *dropped = dropped.saturating_add(1);
            }
        }
        has_any.then(|| output.into())
    }

    fn inflate(&self, body: &[u8], (router, max_body): (&Router, usize)) -> Option<Bytes> {
        let inflate = || {
            let inflated = decompress(self.algorithm(), body, max_body);
            inflated.ok().map(Bytes::from)
        };
        if self.publication.count != 1 {
            return inflate();
        }
        let inflated = router.inflated(&self.publication, inflate)?;
        (inflated.len() <= max_body).then_some(inflated)
    }

    fn algorithm(&self) -> Compression {
        match self.publication.compression {
            wire::Compression::None => Compression::None,
            wire::Compression::Gzip => Compression::Gzip,
            wire::Compression::Zstd => Compression::Zstd,
            wire::Compression::Lz4 => Compression::Lz4,
        }
    }

    fn translate(
        &self,
        frame: &[u8],
        (router, max_body): (&Router, usize),
        output: &mut Vec<u8>,
    ) -> Option<()> {
        let (header, payload) = frame.split_first_chunk::<HEADER_LEN>()?;
        let header = RawHeader::split(header);
        let before = header.flags;
        let payload = match before & Flags::META.bits() {
            0 => payload,
            _ => after_length(payload)?.1,
        };
        let (topic, body) = after_length(payload)?;
        let inflated = match before & COMPRESSED {
            0 => None,
            _ => Some(self.inflate(body, (router, max_body))?),
        };
        let body = inflated.as_deref().unwrap_or(body);
        let topic_len = u16::try_from(topic.len()).ok()?.to_be_bytes();
        let len = topic_len.len() + topic.len() + body.len();
        let header = RawHeader {
            flags: before & URGENT,
            variant: 0,
            payload_len: u32::try_from(len).ok()?,
            ..header
        };
        output.extend_from_slice(&header.join());
        output.extend_from_slice(&topic_len);
        output.extend_from_slice(topic);
        output.extend_from_slice(body);
        Some(())
    }
}

/// A part that follows its length, and what comes after it.
fn after_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

#[cfg(test)]
mod tests {
    use msip_session::{MsgKind, wire::Compression};

    use super::*;
    use crate::router::{Limits, SessionKey};

    fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = b"MSIP\x01".to_vec();
        frame.push(flags);
        frame.extend([0, 5, 0, 1, 0, 9]);
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(7_u64.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn translated(frames: &[Vec<u8>], compression: Compression, max_body: usize) -> (Vec<u8>, u64) {
        let count = u32::try_from(frames.len()).unwrap();
        let mut publication = Publication::new(
            SessionKey::BROKER,
            Bytes::from_static(b"t"),
            MsgKind::Event,
            frames.concat().into(),
            count,
        );
        publication.compression = compression;
        let router = Router::new(Limits::default());
        let mut translation = Translation::new(Arc::new(publication));
        let (mut all, mut dropped) = (Vec::new(), 0);
        while let Some(part) = translation.next(1, (&router, max_body), &mut dropped) {
            all.extend_from_slice(&part);
        }
        (all, dropped)
    }

    #[test]
    fn metadata_variant_and_unknown_flags_are_removed() {
        let with_meta = frame(0b1011_0101, b"\x00\x03abc\x00\x01tbody");
        let (all, dropped) = translated(&[with_meta, frame(0, b"\x00\x01t")], Compression::None, 9);
        let mut expected = frame(URGENT, b"\x00\x01tbody");
        expected.extend(frame(0, b"\x00\x01t"));
        for variant in [11, 24 + 7 + 11] {
            expected[variant] = 0;
        }
        assert_eq!((all, dropped), (expected, 0));
    }

    #[test]
    fn compressed_bodies_are_inflated_up_to_the_limit() {
        // lz4: the length of the body, and a block of one literal run.
        let lz4 = |body: &[u8]| {
            let len = u8::try_from(body.len()).unwrap();
            let mut payload = b"\x00\x01t\x03".to_vec();
            payload.extend([len, 0, 0, 0, len << 4]);
            payload.extend(body);
            frame(COMPRESSED, &payload)
        };
        let frames = [
            lz4(b"four"),
            lz4(b"tooooooo"),
            lz4(b"again"),
            frame(COMPRESSED, b"\x00\x01t\x03garbage"),
        ];
        let (all, dropped) = translated(&frames, Compression::Lz4, 5);
        let mut expected = frame(0, b"\x00\x01tfour");
        expected.extend(frame(0, b"\x00\x01tagain"));
        for variant in [11, 24 + 7 + 11] {
            expected[variant] = 0;
        }
        assert_eq!((all, dropped), (expected, 2));
    }
}
