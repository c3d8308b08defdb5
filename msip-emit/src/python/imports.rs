//! The lines that import other packages, and the order of names.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Names as Python's tools sort them: constants, classes, and then the others.
pub(super) fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_by_key(|name| {
        let has_lower = name.chars().any(char::is_lowercase);
        let has_upper = name.chars().any(char::is_uppercase);
        let kind = if has_upper && !has_lower && name.len() > 1 {
            0
        } else if name.starts_with(char::is_uppercase) {
            1
        } else {
            2
        };
        (kind, natural(name))
    });
    names
}

/// A name by which others are sorted: its runs of digits are numbers.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.len() - rest.trim_start_matches(|c: char| !c.is_ascii_digit()).len();
        let (text, behind) = rest.split_at(text);
        let digits = behind.len()
            - behind
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let (digits, behind) = behind.split_at(digits);
        // A number of more digits than fit is greater than all others.
        parts.push((text.to_owned(), digits.parse().unwrap_or(u64::MAX)));
        rest = behind;
    }
    parts
}

/// The lines that import the modules of other packages, each under its alias.
pub(super) fn relative_imports<'m>(
    from: &[String],
    modules: impl Iterator<Item = (Vec<String>, &'m str)>,
) -> Vec<String> {
    // By the module that they are imported from: those far away first. Those with other names have a line each.
    let mut sources: BTreeMap<(Reverse<usize>, String, Option<String>), Vec<String>> =
        BTreeMap::new();
    for (to, alias) in modules {
        // At most all but the last, which is what is imported.
        let outer = &to[..to.len().saturating_sub(1)];
        let shared = from.iter().zip(outer).take_while(|(a, b)| a == b).count();
        let between = outer[shared..].join(".");
        let name = to.last().map_or("", String::as_str);
        let dots = Reverse(from.len() - shared + 1);
        if name == alias {
            sources
                .entry((dots, between, None))
                .or_default()
                .push(name.to_owned());
        } else {
            sources
                .entry((dots, between, Some(name.to_owned())))
                .or_default()
                .push(format!("{name} as {alias}"));
        }
    }
    let lines = sources.into_iter().map(|((dots, between, _), names)| {
        format!(
            "from {}{between} import {}",
            ".".repeat(dots.0),
            sorted(names.into_iter()).join(", ")
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_relative() {
        let list = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        for (from, to, alias, line) in [
            ("chat", "shared", "shared", "from .. import shared"),
            (
                "fleet.v1",
                "shared.v1",
                "shared_v1",
                "from ...shared import v1 as shared_v1",
            ),
            (
                "fleet.v1",
                "fleet.v2",
                "fleet_v2",
                "from .. import v2 as fleet_v2",
            ),
            (
                "fleet",
                "fleet.v1",
                "fleet_v1",
                "from . import v1 as fleet_v1",
            ),
            ("fleet.v1", "fleet", "fleet", "from ... import fleet"),
            ("a.b.c", "a.b.d.e", "x", "from ..d import e as x"),
        ] {
            assert_eq!(
                relative_imports(&list(from), [(list(to), alias)].into_iter()),
                [line]
            );
        }
        let many = ["plant", "mesh", "plant.cell"].map(|to| (list(to), to));
        let lines = relative_imports(
            &list("shapes"),
            many.into_iter()
                .map(|(to, name)| (to, name.rsplit('.').next().unwrap_or(name))),
        );
        assert_eq!(
            lines,
            ["from .. import mesh, plant", "from ..plant import cell"]
        );
    }

    #[test]
    fn names_are_sorted_as_tools_do() {
        let names = ["b", "Zone1", "A", "SHORT", "a10", "a9", "Chat", "CHAT"].map(str::to_owned);
        assert_eq!(
            sorted(names.into_iter()),
            ["CHAT", "SHORT", "A", "Chat", "Zone1", "a9", "a10", "b"]
        );
    }
}
