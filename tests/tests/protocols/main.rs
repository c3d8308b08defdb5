//! Protocols in use: generated and derived code, its names, its packages and its releases.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod derived_streams;
mod names;
mod packages;
mod rolling_upgrade;
mod schema_difference;
