//! The package `msip` of TypeScript, and what is generated for it.

mod core;
mod package;
mod tools;
