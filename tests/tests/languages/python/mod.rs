//! The package `msip` of Python, and what is generated for it.

mod attached;
mod cleared;
mod client;
mod generated;
mod own_schema;
mod package;
mod programs;
mod schemas;
mod server;
mod tools;
mod topics;
mod unit;
mod uvloop;
