//! What is generated for other languages, and the packages that it stands on: checked by the tools of these languages, and in talks
//! with servers and clients of Rust.

#![cfg(test)]

mod pages;
mod python;
mod typescript;
