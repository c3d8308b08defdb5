//! Mistakes, each with what the compiler says of it; and programs that must compile.

#[test]
fn mistakes_are_told_at_the_right_token() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn programs_compile() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
