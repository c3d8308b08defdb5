use super::*;

#[test]
fn comments_become_harmless() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("nothing", "", &[]),
        ("blank", " \n\t\n", &[]),
        (
            "a line, as protoc hands it over",
            " Says hello.\n",
            &["Says hello."],
        ),
        (
            "paragraphs",
            " One.\n Still.\n\n\n Two.  \n",
            &["One.", "Still.", "", "Two."],
        ),
        (
            "a bracket",
            "the [Foo] and [`Bar`]",
            &["the \\[Foo\\] and \\[`Bar`\\]"],
        ),
        ("a link to an item", "[a](Foo)", &["\\[a\\](Foo)"]),
        (
            "a link to the web",
            "[a](https://a.org/b)",
            &["[a](https://a.org/b)"],
        ),
        (
            "a link whose text is in quotes",
            "['a'](https://a.org)",
            &["\\['a'\\](<https://a.org>)"],
        ),
        (
            "a definition",
            "[a]: https://a.org",
            &["\\[a\\]: <https://a.org>"],
        ),
        (
            "a bare address",
            "see https://a.org/b, or (http://c.org).",
            &["see <https://a.org/b>, or (<http://c.org>)."],
        ),
        (
            "an address with parentheses",
            "https://a.org/b_(c)",
            &["<https://a.org/b_(c)>"],
        ),
        (
            "an enclosed address",
            "<https://a.org>",
            &["<https://a.org>"],
        ),
        (
            "an address in code",
            "`https://a.org`",
            &["`https://a.org`"],
        ),
        (
            "not an address",
            "http:// and https",
            &["http:// and https"],
        ),
        ("generics", "a Vec<Option<T>>", &["a Vec\\<Option\\<T>>"]),
        (
            "tags",
            "<b>x</b> <!-- y -->",
            &["\\<b>x\\</b> \\<!-- y -->"],
        ),
        ("code spans", "`a<T>` ``b`c``", &["`a<T>` ``b`c``"]),
        ("a lone backtick", "it`s <T>", &["it\\`s \\<T>"]),
        (
            "code in a table's cell",
            "| `a|b` <T>",
            &["| \\`a|b\\` \\<T>"],
        ),
        (
            "already escaped",
            "\\[a\\] \\<b> c\\d",
            &["\\[a\\] \\<b> c\\\\d"],
        ),
        (
            "a backslash before an address",
            "\\https://a.org",
            &["\\\\<https://a.org>"],
        ),
        (
            "a fence without a language",
            "```\nlet x;\n```",
            &["```text", "let x;", "```"],
        ),
        (
            "a fence of Rust",
            "```rust,no_run\nx\n```",
            &["```text", "x", "```"],
        ),
        (
            "a fence of something else",
            "``` proto\nx\n```",
            &["```proto", "x", "```"],
        ),
        (
            "a fence left open",
            "a\n```\nx <T>",
            &["a", "```text", "x <T>", "```"],
        ),
        ("tildes", "~~~\n```\n~~~", &["````text", "```", "````"]),
        (
            "a fence in a list",
            "- a\n\n  ```\n  x\n\n    y\n  ```",
            &["- a", "", "  ```text", "  x", "", "    y", "  ```"],
        ),
        (
            "indented code",
            "a\n\n    x\n\n      y\n\nb",
            &["a", "", "```text", "x", "", "  y", "```", "", "b"],
        ),
        (
            "indented code below a heading",
            "# A\n    x",
            &["# A", "```text", "x", "```"],
        ),
        ("an indented line in a paragraph", "a\n      b", &["a", "b"]),
        ("tabs", "a\n\n\tx", &["a", "", "```text", "x", "```"]),
        ("a list", "- a\n- b", &["- a", "- b"]),
        (
            "a list with wrapped lines",
            "- a\nlazy\n     far\n- b",
            &["- a", "  lazy", "  far", "- b"],
        ),
        (
            "a list in a list",
            "1. a\n   * b\n\n     c\n2. d",
            &["1. a", "   * b", "", "     c", "2. d"],
        ),
        (
            "code in a list",
            "- a\n\n      x",
            &["- a", "", "  ```text", "  x", "  ```"],
        ),
        ("code in an item's first line", "-      x", &["- x"]),
        (
            "a year, not an item",
            "in the year\n1986. It",
            &["in the year", "1986\\. It"],
        ),
        ("a quotation", "> a\nb", &["\\> a", "b"]),
        ("a rule", "a\n\n---\n\nb", &["a", "", "***", "", "b"]),
        ("a dash below text", "a\n-", &["a", "\\-"]),
        ("a task", "- [ ] a", &["- \\[ \\] a"]),
        (
            "text turned round",
            "a\u{202e}b\u{200b}\u{7}c\u{2066}",
            &["ab\u{200b}c"],
        ),
        ("carriage returns", "a\r\nb\rc", &["a", "bc"]),
    ];
    for (name, comment, expected) in cases {
        assert_eq!(sanitise(comment), *expected, "{name}");
    }
}

#[test]
fn harmless_markdown_is_kept() {
    let comment = "A head.\n\n# Title\n\n- one `two`\n  three\n\n```json\n{}\n```\n\n[a](https://a.org) *b* **c** 1 \\< 2";
    let lines = sanitise(comment);
    assert_eq!(lines.join("\n"), comment);
    assert_eq!(sanitise(&lines.join("\n")), lines);
}

#[test]
fn lines_become_attributes_with_a_leading_space() {
    let lines = ["a".to_owned(), String::new(), "b \"c\"".to_owned()];
    assert_eq!(
        attributes(&lines).to_string(),
        quote!(#[doc = " a"] #[doc = ""] #[doc = " b \"c\""]).to_string()
    );
}

#[test]
fn words_that_look_like_code_are_found() {
    for (comment, expected) in [
        ("Plain words, and HTTP.", false),
        ("Some `SomeType` and `snake_case`.", false),
        ("```text\nSomeType\n```", false),
        ("SomeType", true),
        ("snake_case", true),
        ("a::b", true),
        ("call()", true),
        ("a `b`SomeType`", true),
        ("```x``` SomeType", true),
    ] {
        let lines: Vec<String> = comment.lines().map(str::to_owned).collect();
        assert_eq!(lacks_backticks(&lines), expected, "{comment}");
    }
}
