//! A Markdown page with tables that are written by a program.

use crate::problem::Problem;

const OPEN: &str = "<!-- table: ";
const SHUT: &str = "<!-- end -->";

/// Writes each marked table anew; `table` knows them by name, and is told what is there.
pub(super) fn fill(
    page: &str,
    table: impl Fn(&str, &str) -> Option<String>,
) -> Result<String, Problem> {
    let mut filled = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after.split_once(" -->").ok_or_else(|| unclosed(after))?;
        let (old, after) = after.split_once(SHUT).ok_or_else(|| unclosed(name))?;
        let table = table(name, old.trim()).ok_or_else(|| Problem::Page {
            place: name.to_owned(),
            what: "no such table can be made of what was measured",
        })?;
        filled.push_str(&format!(
            "{before}{OPEN}{name} -->\n{}\n{SHUT}",
            table.trim_end()
        ));
        rest = after;
    }
    Ok(filled + rest)
}

fn unclosed(place: &str) -> Problem {
    Problem::Page {
        place: place.chars().take(40).collect(),
        what: "a marked table has no end",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_replaced() {
        let page = "A\n<!-- table: x -->\nold\n<!-- end -->\nB\n<!-- table: y --><!-- end -->";
        let filled = fill(page, |name, _| Some(format!("| {name} |\n"))).expect("both are known");
        let expected =
            "A\n<!-- table: x -->\n| x |\n<!-- end -->\nB\n<!-- table: y -->\n| y |\n<!-- end -->";
        assert_eq!(filled, expected);
        assert_eq!(
            fill(expected, |name, _| Some(format!("| {name} |"))).expect("again"),
            expected
        );
        let kept = fill(expected, |_, old| Some(old.to_owned()));
        assert_eq!(kept.expect("what is there"), expected);
    }

    #[test]
    fn a_mark_without_an_end_or_a_table_is_refused() {
        assert!(fill("<!-- table: x -->\nold", |_, _| Some(String::new())).is_err());
        assert!(fill("<!-- table: x --><!-- end -->", |_, _| None).is_err());
    }
}
