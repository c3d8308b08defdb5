//! Tests of interleavings.
