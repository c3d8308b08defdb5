//! The package `msip` of TypeScript, and what is generated for it.

mod package;
mod tools;
