//! The package `msip` of TypeScript, and what is generated for it.

mod generated;
mod own_tests;
mod package;
mod tools;
