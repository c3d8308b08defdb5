//! The package `msip` of Python, and what is generated for it.

mod unit;
