//! The package `msip` of Python, and what is generated for it.

mod client;
mod programs;
mod server;
mod unit;
mod uvloop;
