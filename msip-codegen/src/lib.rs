//! Compiles `.proto` files into typed MSIP protocols.
