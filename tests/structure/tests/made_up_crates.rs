//! What is seen in the code of a crate, on small crates.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use msip_structure::Crate;

/// The circles of a crate, each as its members; the folder first, if it is not the root.
fn circles(texts: &[(&str, &str)]) -> Vec<String> {
    let found = Crate::from_texts(texts).expect("a crate that is understood");
    let shown = found.circles().into_iter().map(|circle| {
        let members: Vec<String> = circle.members.into_iter().collect();
        match circle.path.is_empty() {
            true => members.join(" "),
            false => format!("{}: {}", circle.path.join("::"), members.join(" ")),
        }
    });
    shown.collect()
}

/// All uses of a crate, as `user path definer`.
fn uses(texts: &[(&str, &str)]) -> Vec<String> {
    let found = Crate::from_texts(texts).expect("a crate that is understood");
    let shown = found.uses().iter().map(|one| {
        let from = one.from.join("::");
        format!("{from} {} {}", one.path, one.to.join("::"))
    });
    shown.collect()
}

/// What is wrong with a crate, as text.
fn problems(texts: &[(&str, &str)]) -> String {
    match Crate::from_texts(texts) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn a_circle_through_imports_is_found() {
    let texts = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "use crate::c::C; pub struct B(C);"),
        ("c.rs", "use super::a::A; pub struct C(Box<A>);"),
    ];
    assert_eq!(circles(&texts), ["a b c"]);
    let report = Crate::from_texts(&texts).expect("a crate").circles()[0].details();
    assert!(
        report.contains("a -> b: a.rs:1 uses crate::b::B -> b"),
        "{report}"
    );
}

#[test]
fn one_way_is_no_circle() {
    let texts = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B;"),
    ];
    assert_eq!(circles(&texts), [""; 0]);
}

#[test]
fn a_re_export_leads_to_the_definer() {
    let texts = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("a.rs", "use crate::B; pub struct A(B);"),
        ("b.rs", "use crate::A; pub struct B(Box<A>);"),
    ];
    assert_eq!(circles(&texts), ["a b"]);
}

#[test]
fn a_re_export_by_glob_and_by_another_name_leads_to_the_definer() {
    let texts = [
        ("lib.rs", "mod a; mod b; mod c; pub use c::*;"),
        ("a.rs", "pub struct A;"),
        ("b.rs", "fn f(_: crate::Other) {}"),
        ("c.rs", "pub use crate::a::A as Other;"),
    ];
    assert_eq!(
        uses(&texts),
        ["b crate::Other a", "c crate::a::A a", " c::* c"]
    );
}

#[test]
fn a_private_import_of_the_parent_is_followed() {
    let texts = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod x; mod y; use x::X; use y::Y;"),
        ("a/x.rs", "use super::Y; pub struct X(Y);"),
        ("a/y.rs", "fn f(_: super::X) {} pub struct Y;"),
    ];
    assert_eq!(circles(&texts), ["a: x y"]);
}

#[test]
fn the_parents_own_file_is_in_no_circle_but_the_roots_is() {
    let nested = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod x; pub struct Own; fn f() { x::g() }"),
        ("a/x.rs", "use super::Own; pub fn g() { let _ = Own; }"),
    ];
    assert_eq!(circles(&nested), [""; 0]);
    let root = [
        ("lib.rs", "mod x; pub struct Own; fn f() { x::g() }"),
        ("x.rs", "use crate::Own; pub fn g() { let _ = Own; }"),
    ];
    assert_eq!(circles(&root), ["self x"]);
}

#[test]
fn tests_are_left_out() {
    let texts = [
        (
            "lib.rs",
            "mod a; mod b; #[cfg(all(unix, any(test, fuzzing)))] mod gone;",
        ),
        (
            "a.rs",
            "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }
             #[cfg(test)] use crate::b::B;
             impl A { #[cfg(any(test, fuzzing))] fn f() { crate::b::g(); } }
             #[cfg(doc)] use crate::gone::Nothing;
             fn f() { #[cfg(test)] crate::b::g(); #[cfg(test)] let _ = crate::b::g(); }
             #[test] fn t() { crate::b::g(); }",
        ),
        ("b.rs", "use crate::a::A; pub struct B(A); pub fn g() {}"),
    ];
    assert_eq!(circles(&texts), [""; 0]);
}

#[test]
fn what_a_feature_or_the_absence_of_tests_builds_is_kept() {
    for condition in ["not(test)", "any(test, feature = \"testing\")", "all(unix)"] {
        let a = format!("pub struct A; #[cfg({condition})] fn f() {{ crate::b::g(); }}");
        let texts = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", a.as_str()),
            ("b.rs", "use crate::a::A; pub fn g() { let _ = A; }"),
        ];
        assert_eq!(circles(&texts), ["a b"], "{condition}");
    }
}

#[test]
fn paths_in_macros_are_found() {
    for code in [
        "fn f() { assert!(crate::b::g()); }",
        "fn f() { vec![1, { use crate::b::{g, h}; 2 }]; }",
        "macro_rules! m { () => { $crate::b::g() }; }",
        "use crate::b; fn f() { println!(\"{}\", b::g()); }",
        "#[error(\"{}\", crate::b::g())] struct E;",
    ] {
        let texts = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", &format!("pub struct A; {code}")),
            (
                "b.rs",
                "use crate::a::A; pub fn g() { let _ = A; } pub fn h() {}",
            ),
        ];
        assert_eq!(circles(&texts), ["a b"], "{code}");
    }
}

#[test]
fn code_that_is_quoted_is_not_of_this_crate() {
    let texts = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "fn f() { quote::quote! { crate::b::g() self::nothing super::nothing }; }",
        ),
        ("b.rs", "pub fn g() {}"),
    ];
    assert_eq!(uses(&texts), [""; 0]);
}

#[test]
fn an_exported_macro_belongs_to_the_module_that_defines_it() {
    let texts = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "#[macro_export] macro_rules! m { () => { $crate::b::g() }; }",
        ),
        ("b.rs", "pub fn g() { crate::m!() }"),
    ];
    assert_eq!(circles(&texts), ["a b"]);
}

#[test]
fn a_macro_is_seen_in_the_modules_after_it() {
    let texts = [
        (
            "lib.rs",
            "macro_rules! of_root { () => {}; } #[macro_use] mod a; mod b; fn f() { b::g() }",
        ),
        (
            "a.rs",
            "macro_rules! m { () => {}; } fn f() { crate::b::g() }",
        ),
        ("b.rs", "pub fn g() { m!(); of_root!(); }"),
    ];
    assert_eq!(circles(&texts), ["a b"]);
}

#[test]
fn an_import_inside_a_function_is_found() {
    let texts = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub fn f() { if true { use crate::b; b::g(); } }"),
        ("b.rs", "pub fn g() { { use super::a::*; f(); } }"),
    ];
    assert_eq!(
        uses(&texts),
        ["a b::g b", "a crate::b b", "b f a", "b super::a::* a",]
    );
    assert_eq!(circles(&texts), ["a b"]);
}

#[test]
fn names_that_a_glob_brings_are_found_and_variables_are_not() {
    let texts = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod x; mod y; use y::{late, Y};"),
        (
            "a/x.rs",
            "use super::*; fn f() { let late = 1; g(late); } fn g(_: Y) {}",
        ),
        ("a/y.rs", "pub struct Y; pub fn late() {}"),
    ];
    let of_x: Vec<String> = uses(&texts)
        .into_iter()
        .filter(|one| one.starts_with("a::x"))
        .collect();
    assert_eq!(of_x, ["a::x Y a::y"]);
}

#[test]
fn files_are_found_where_the_compiler_finds_them() {
    let texts = [
        (
            "src/lib.rs",
            "mod a; mod in_line { mod deep; } #[path = \"odd/name.rs\"] mod b; mod r#type; extern crate self as me;",
        ),
        ("src/a/mod.rs", "mod x; include!(\"generated/msg.rs\");"),
        ("src/a/x.rs", "mod z; pub struct X;"),
        ("src/a/x/z.rs", "pub struct Z;"),
        ("src/a/generated/msg.rs", "pub struct Message(::me::b::B);"),
        (
            "src/in_line/deep.rs",
            "fn f(_: super::super::a::Message) {}",
        ),
        ("src/odd/name.rs", "mod beside; pub struct B;"),
        ("src/odd/beside.rs", "fn f(_: me::r#type::T) {}"),
        ("src/type.rs", "pub struct T;"),
    ];
    assert_eq!(
        uses(&texts),
        [
            "a ::me::b::B b",
            "in_line::deep super::super::a::Message a",
            "b::beside me::type::T type",
        ]
        .map(|one| one.replace("::me::b", "me::b"))
    );
}

#[test]
fn a_path_that_leads_nowhere_is_a_mistake() {
    for (code, segment) in [
        ("use crate::b::Gone;", "Gone"),
        ("\nfn f() { crate::gone::g(); }", "gone"),
        ("use super::b; fn f() { b::gone(); }", "gone"),
        ("fn f() { assert!(super::b::gone()); }", "gone"),
        ("use super::super::b;", "super"),
    ] {
        let found = problems(&[("lib.rs", "mod a; mod b;"), ("a.rs", code), ("b.rs", "")]);
        let line = 1 + code.matches('\n').count();
        let expected = format!("a.rs:{line}: `");
        assert!(found.starts_with(&expected), "{code}: {found}");
        assert!(
            found.ends_with(&format!("no `{segment}`")),
            "{code}: {found}"
        );
    }
    assert_eq!(
        problems(&[("lib.rs", "mod a;")]),
        "lib.rs:1: no file for module `a`"
    );
}

#[test]
fn other_crates_and_what_macros_write_are_no_mistakes() {
    let texts = [
        ("lib.rs", "mod a; mod b; pub use bytes; pub use std::fmt;"),
        (
            "a.rs",
            "use crate::bytes::Bytes; use crate::fmt::Display; use crate::b::{Made, Timer, bytes};
             fn f(_: <Made as Iterator>::Item) { <Made>::g(); Self::h(); T::i(); std::mem::take(); }",
        ),
        (
            "b.rs",
            "made! { Made } pin_project! { pub struct Timer { x: u8 } } pub use ::bytes;",
        ),
    ];
    assert_eq!(uses(&texts), ["a crate::b::Made b", "a crate::b::Timer b"]);
}
