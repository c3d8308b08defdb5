//! What the fuzz targets of bodies in `fuzz/` call: each takes any bytes, and panics where a promise is broken.
//!
//! Built only for fuzzing, and for the tests of this crate, which run the same over the checked-in corpora.

mod bodies;
mod kitchen;

pub use bodies::{body_codecs, decompress};

#[cfg(test)]
mod tests {
    use super::*;
    use msip_replay::replay;

    #[test]
    fn the_corpora_and_mutations_of_them_break_no_promise() {
        replay("decompress", decompress, 500);
        replay("body_codecs", body_codecs, 1000);
    }
}
