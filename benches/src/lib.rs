//! Shared by the benchmarks of MSIP: the protocol generated from `proto/bench.proto`, and the small cases that are measured
//! separately.

mod cases;
mod echo;

/// The protocol.
pub mod bench {
    msip_runtime::include_protocol!("bench");
}

pub use cases::{CASES, Case, CaseError};
pub use echo::Echo;

use msip_load::Note;

impl From<Note> for bench::Note {
    fn from(Note { number, data }: Note) -> Self {
        Self { number, data }
    }
}

impl From<bench::Note> for Note {
    fn from(bench::Note { number, data }: bench::Note) -> Self {
        Self { number, data }
    }
}
