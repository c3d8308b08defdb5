//! The package `msip` of Python, and what is generated for it.

mod generated;
mod tools;
mod unit;
