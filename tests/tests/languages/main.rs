//! What is generated for other languages, and the packages that it stands on: checked by the tools of these languages, and in talks
//! with servers and clients of Rust.

#![cfg(test)]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod python;
mod typescript;
