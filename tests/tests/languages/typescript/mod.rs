//! The package `msip` of TypeScript, and what is generated for it.

mod core;
mod generated;
mod package;
mod tools;
