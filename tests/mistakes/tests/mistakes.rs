//! Compile errors, compared with snapshots. `TRYBUILD=overwrite` accepts what the compiler says now.

#[test]
fn mistakes_are_explained() {
    // One set of cases, so that one cargo checks all of them.
    let cases = trybuild::TestCases::new();
    cases.compile_fail("derives/*.rs");
    cases.compile_fail("generated/*.rs");
}
