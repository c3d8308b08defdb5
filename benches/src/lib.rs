//! The protocol that MSIP speaks in the benchmarks, as generated from `proto/bench.proto`.

/// The protocol.
pub mod bench {
    msip_runtime::include_protocol!("bench");
}
