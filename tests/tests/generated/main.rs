//! Generated and derived code in use.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod derived_streams;
mod names;
mod packages;
mod rolling_upgrade;
