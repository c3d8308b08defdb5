//! Mistakes that the compiler is to explain in our words. `TRYBUILD=overwrite` accepts what it says now.

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/mistakes/*.rs");
}
