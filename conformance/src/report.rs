//! The results as JUnit's XML, and as the tables of docs/conformance.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use crate::{
    known::Known,
    languages::{CLIENTS, SERVERS},
    played::{Outcome, Played, RAW},
};

/// Where the tables of the page begin and end.
const MARKERS: [&str; 2] = ["<!-- results -->", "<!-- end of results -->"];

/// The results in the form that JUnit has given its name to: a suite for each pair.
pub(crate) fn junit(played: &[Played], known: &[Known]) -> String {
    let mut suites: BTreeMap<String, Vec<&Played>> = BTreeMap::new();
    for played in played {
        let name = format!("{} -> {}", played.sides.client, played.sides.server);
        suites.entry(name).or_default().push(played);
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (name, cases) in suites {
        let count =
            |is: fn(&Outcome) -> bool| cases.iter().filter(|case| is(&case.outcome)).count();
        let time: Duration = cases.iter().map(|case| case.took).sum();
        // Writing to a String does not fail.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
            escaped(&name),
            cases.len(),
            cases.iter().filter(|case| is_failure(case)).count(),
            count(|outcome| matches!(outcome, Outcome::NotOffered(_))),
            time.as_secs_f64(),
        );
        for case in cases {
            let _ = write!(
                xml,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                escaped(&name),
                escaped(&case.case),
                case.took.as_secs_f64()
            );
            let reason = known
                .iter()
                .find(|known| known.is_about(&case.case, &case.sides));
            let _ = match (&case.outcome, reason) {
                (Outcome::Passed, _) => writeln!(xml, "/>"),
                (Outcome::NotOffered(profile), _) => writeln!(
                    xml,
                    "><skipped message=\"without {}\"/></testcase>",
                    escaped(profile)
                ),
                (Outcome::Failed(_), Some(known)) => writeln!(
                    xml,
                    "><skipped message=\"known to fail: {}\"/></testcase>",
                    escaped(&known.reason)
                ),
                (Outcome::Failed(reason), None) => writeln!(
                    xml,
                    "><failure message=\"{}\"/></testcase>",
                    escaped(reason)
                ),
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn is_failure(played: &Played) -> bool {
    matches!(played.outcome, Outcome::Failed(_)) && !played.is_known
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            // XML has no other control characters.
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The page with the tables of these results.
///
/// # Errors
///
/// The page lacks the markers.
pub(crate) fn page(page: &str, played: &[Played]) -> Result<String, String> {
    let [begin, end] = MARKERS;
    let (before, rest) = page
        .split_once(begin)
        .ok_or(format!("the page has no {begin}"))?;
    let (_, after) = rest
        .split_once(end)
        .ok_or(format!("the page has no {end}"))?;
    let tables = format!("{}\n{}", pairs(played), cases(played));
    Ok(format!("{before}{begin}\n\n{tables}\n{end}{after}"))
}

/// A row for each client, a column for each server.
fn pairs(played: &[Played]) -> String {
    let clients = CLIENTS.into_iter().chain([RAW]);
    let servers = || SERVERS.into_iter().chain([RAW]);
    let mut table = String::from("| client |");
    for server in servers() {
        let _ = write!(table, " {server} |");
    }
    table.push_str("\n| --- |");
    for _ in servers() {
        table.push_str(" --- |");
    }
    table.push('\n');
    for client in clients {
        let _ = write!(table, "| **{client}** |");
        for server in servers() {
            let of_pair = played
                .iter()
                .filter(|played| played.sides.client == client && played.sides.server == server);
            let _ = write!(table, " {} |", summary(of_pair));
        }
        table.push('\n');
    }
    table
}

fn summary<'a>(played: impl Iterator<Item = &'a Played>) -> String {
    let (mut passed, mut failed, mut unknown, mut not_offered) = (0, 0, 0, 0);
    for played in played {
        match played.outcome {
            Outcome::Passed => passed += 1,
            Outcome::NotOffered(_) => not_offered += 1,
            Outcome::Failed(_) if is_failure(played) => unknown += 1,
            Outcome::Failed(_) => failed += 1,
        }
    }
    if passed + failed + unknown + not_offered == 0 {
        return String::new();
    }
    let mut parts = vec![format!("{passed} pass")];
    let others = [
        (failed, "known to fail"),
        (unknown, "fail"),
        (not_offered, "not offered"),
    ];
    let others = others.iter().filter(|(count, _)| *count > 0);
    parts.extend(others.map(|(count, what)| format!("{count} {what}")));
    parts.join(", ")
}

/// A row for each case, a column for each language as a client and as a server.
fn cases(played: &[Played]) -> String {
    let roles = || {
        let clients = CLIENTS.into_iter().map(|language| (language, true));
        clients.chain(SERVERS.into_iter().map(|language| (language, false)))
    };
    let mut table = String::from("| case |");
    for (language, is_client) in roles() {
        let role = if is_client { "client" } else { "server" };
        let _ = write!(table, " {language} {role} |");
    }
    table.push_str("\n| --- |");
    for _ in roles() {
        table.push_str(" --- |");
    }
    table.push('\n');
    let mut seen = BTreeSet::new();
    for case in played.iter().map(|played| &played.case) {
        if !seen.insert(case) {
            continue;
        }
        let _ = write!(table, "| {case} |");
        for (language, is_client) in roles() {
            let of_cell = played.iter().filter(|played| {
                let sides = &played.sides;
                let side = if is_client {
                    sides.client
                } else {
                    sides.server
                };
                played.case == *case && side == language
            });
            let _ = write!(table, " {} |", cell(of_cell));
        }
        table.push('\n');
    }
    table
}

/// The worst of all pairs.
fn cell<'a>(played: impl Iterator<Item = &'a Played>) -> &'static str {
    let mut cell = "";
    let rank = |cell: &str| {
        ["", "not offered", "passes", "known to fail", "fails"]
            .iter()
            .position(|each| *each == cell)
    };
    for played in played {
        let this = match played.outcome {
            Outcome::Passed => "passes",
            Outcome::NotOffered(_) => "not offered",
            Outcome::Failed(_) if is_failure(played) => "fails",
            Outcome::Failed(_) => "known to fail",
        };
        if rank(this) > rank(cell) {
            cell = this;
        }
    }
    cell
}
