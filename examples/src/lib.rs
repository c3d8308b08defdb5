//! The protocols that the examples speak.
