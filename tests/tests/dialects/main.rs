//! Peers of other systems, unchanged, against our servers and clients: by the dialects that those speak.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod certificate;
mod flyrpc;
mod messi;
mod raw;
