//! Compiles `.proto` files into typed MSIP protocols.

mod proto;
mod rust;
