//! The package `msip` of TypeScript, and what is generated for it.

mod browser;
mod bundles;
mod client;
mod core;
mod generated;
mod lint;
mod node;
mod own_tests;
mod package;
mod schemas;
mod server;
mod tools;
mod zstd;
