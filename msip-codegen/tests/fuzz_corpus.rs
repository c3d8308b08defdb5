//! The corpus of the fuzz target `proto_front_end`, compiled or rejected.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../../fuzz/src/front_end.rs"]
mod front_end;

#[test]
fn every_file_of_the_corpus_is_answered() {
    let corpus = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fuzz/corpus/proto_front_end"
    );
    let mut count = 0;
    for file in std::fs::read_dir(corpus).expect("is there") {
        let path = file.expect("can be read").path();
        let data = std::fs::read(&path).expect("can be read");
        let outcome = std::panic::catch_unwind(|| front_end::compile(&data));
        assert!(outcome.is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 10, "{count} files");
}
