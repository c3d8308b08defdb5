//! The package `msip` of Python, and what is generated for it.

mod generated;
mod package;
mod tools;
mod unit;
