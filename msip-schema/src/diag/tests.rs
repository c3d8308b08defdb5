//! Rendering of diagnostics, whatever the source contains.

use std::ops::Range;

use crate::{Code, Diagnostic, FileId, Location, SourceMap, Span};

/// A map with one file.
fn map(text: &str) -> (SourceMap, FileId) {
    let mut sources = SourceMap::new();
    let file = sources.add_file("proto/chat.proto", text);
    (sources, file)
}

/// The first place of a text in a file.
fn at(sources: &mut SourceMap, file: FileId, text: &str) -> Span {
    let start = sources.text(file).find(text).expect("the text is there");
    sources.span(file, start..start + text.len())
}

fn mistake(span: Span) -> Diagnostic {
    Diagnostic::new(Code::SYNTAX_ERROR, span, "something is wrong")
}

/// The rendered text of one label.
fn rendered(text: &str, bytes: Range<usize>) -> String {
    let (mut sources, file) = map(text);
    let span = sources.span(file, bytes);
    sources.render(&mistake(span).label("here"))
}

#[test]
fn labels_of_several_lines_and_files_are_in_order() {
    let (mut sources, main) =
        map("one\ntwo\nthree first second\nfour\nfive\nsix\nseven\neight\nnine\nten last\n");
    let other = sources.add_file("proto/other.proto", "imported\n");
    let diagnostic = mistake(at(&mut sources, main, "second"))
        .label("the place")
        .also(at(&mut sources, other, "port"), "also here")
        .also(at(&mut sources, main, "last"), "")
        .also(at(&mut sources, main, "five"), "near")
        .also(at(&mut sources, main, "first"), "beside it")
        .also(Span::NONE, "nowhere in particular")
        .help("write this\nor that");
    insta::assert_snapshot!("several-lines-and-files", sources.render(&diagnostic));
}

#[test]
fn without_a_position_only_the_message_is_rendered() {
    let sources = SourceMap::new();
    for span in [Span::NONE, Span::new(7)] {
        let diagnostic = mistake(span).help("look elsewhere");
        assert_eq!(
            sources.render(&diagnostic),
            "error[syntax-error]: something is wrong\nhelp: look elsewhere\n"
        );
        assert_eq!(
            sources.one_line(&diagnostic),
            "error[syntax-error]: something is wrong"
        );
    }
}

#[test]
fn marks_stay_below_tabs_and_wide_characters() {
    insta::assert_snapshot!("tabs", rendered("\tA\ta = 1;\r\n", 3..4));
    let text = "/* 你好 🚀 e\u{301} */ name";
    insta::assert_snapshot!(
        "wide-characters",
        rendered(text, text.len() - 4..text.len())
    );
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let text = "a \u{1b}[2J\u{202e}b";
    insta::assert_snapshot!(
        "control-characters",
        rendered(text, text.len() - 1..text.len())
    );
    let (mut sources, _) = map("");
    let file = sources.add_file("\u{7}.proto", "a");
    let span = sources.span(file, 0..1);
    let diagnostic = Diagnostic::new(Code::SYNTAX_ERROR, span, "a\nb\u{9b}")
        .label("\u{0}")
        .help("\u{8}");
    assert!(
        sources
            .render(&diagnostic)
            .chars()
            .all(|c| c == '\n' || !c.is_control())
    );
    assert_eq!(
        sources.one_line(&diagnostic),
        "\\u{7}.proto:1:1: error[syntax-error]: a\\nb\\u{9b}"
    );
}

#[test]
fn long_lines_are_cut_around_the_label() {
    let text = format!("{} here {}", "left ".repeat(100), "right ".repeat(100_000));
    insta::assert_snapshot!("long-line-middle", rendered(&text, 501..505));
    insta::assert_snapshot!("long-line-start", rendered(&text, 0..text.len()));
    insta::assert_snapshot!("long-line-end", rendered(&text, text.len() - 3..text.len()));
}

#[test]
fn any_span_is_rendered() {
    for text in [
        "",
        "\n",
        "a",
        "a\n",
        "\r\n\r\n",
        "é\né",
        "\u{feff}x",
        "a\n\n\nb",
    ] {
        for start in 0..10 {
            for end in 0..10 {
                let rendered = rendered(text, start..end);
                assert!(
                    rendered.contains("^"),
                    "{text:?} {start}..{end}\n{rendered}"
                );
            }
        }
    }
    let far = rendered("a", usize::MAX - 1..usize::MAX);
    assert!(far.contains("proto/chat.proto:1:2"), "{far}");
    let across = rendered("one two\nthree\n", 4..13);
    assert!(across.contains("| one two\n  |     ^^^ here\n"), "{across}");
}

#[test]
fn lines_and_columns_count_from_one_in_characters() {
    let (mut sources, file) = map("ab\ngrüße x\n");
    for (bytes, line, column) in [
        (0..1, 1, 1),
        (2..3, 1, 3),
        (3..4, 2, 1),
        (11..12, 2, 7),
        (13..13, 3, 1),
    ] {
        let span = sources.span(file, bytes.clone());
        assert_eq!(
            sources.location(span),
            Some(Location {
                file: "proto/chat.proto",
                line,
                column
            }),
            "{bytes:?}"
        );
    }
}

#[test]
fn all_are_sorted_by_file_and_position() {
    let mut sources = SourceMap::new();
    let (a, b) = (
        sources.add_file("b.proto", "x y"),
        sources.add_file("a.proto", "x y"),
    );
    let spans = [
        sources.span(b, 0..1),
        sources.span(a, 2..3),
        sources.span(a, 0..1),
        Span::NONE,
    ];
    let mut diagnostics: Vec<_> = spans.into_iter().map(mistake).collect();
    sources.sort(&mut diagnostics);
    let lines: Vec<_> = diagnostics
        .iter()
        .map(|diagnostic| sources.one_line(diagnostic))
        .collect();
    let places: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split("error").next())
        .collect();
    assert_eq!(
        places,
        ["", "b.proto:1:1: ", "b.proto:1:3: ", "a.proto:1:1: "]
    );
    assert_eq!(
        sources
            .render_all(&diagnostics)
            .matches("\n\nerror[")
            .count(),
        3
    );
}

#[test]
fn of_a_file_without_its_text_the_positions_are_rendered() {
    let mut sources = SourceMap::new();
    let file = sources.add_outline("chat.proto", "\n      first\n   again");
    let (first, again) = (sources.span(file, 7..12), sources.span(file, 16..21));
    let mistake = Diagnostic::new(Code::DUPLICATE_NUMBER, again, "number 1 is used twice")
        .label("used again here")
        .also(first, "first used here")
        .help("give it another number");
    assert_eq!(
        sources.one_line(&mistake),
        "chat.proto:3:4: error[duplicate-number]: number 1 is used twice"
    );
    assert_eq!(
        sources.render(&mistake),
        "error[duplicate-number]: number 1 is used twice
 --> chat.proto:3:4 used again here
 ::: chat.proto:2:7 first used here
help: give it another number
"
    );
}
