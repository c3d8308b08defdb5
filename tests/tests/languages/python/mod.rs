//! The package `msip` of Python, and what is generated for it.

mod client;
mod generated;
mod package;
mod programs;
mod server;
mod tools;
mod unit;
mod uvloop;
