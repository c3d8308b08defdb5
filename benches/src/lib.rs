//! The protocol that MSIP speaks in the benchmarks, as generated from `proto/bench.proto`.

/// The protocol.
pub mod bench {
    msip_runtime::include_protocol!("bench");
}

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
