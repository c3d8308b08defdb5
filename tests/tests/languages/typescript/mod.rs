//! The package `msip` of TypeScript, and what is generated for it.

mod generated;
mod package;
mod tools;
