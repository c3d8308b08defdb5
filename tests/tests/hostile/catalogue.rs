//! Every row of docs/hostile.md, every promise of the README, and every line of what jesus offers in docs/dialects.md names the tests
//! that show it, and each of them is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every Rust file of the crates and of their tests, with its path in the workspace.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("is in a workspace");
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .expect("can be read")
        .map(|entry| entry.expect("can be read").path())
        .filter(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name == "tests" || name.starts_with("msip-")
        })
        .collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("can be read") {
            let path = entry.expect("can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("is in the workspace");
                let name = name.to_string_lossy().replace('\\', "/");
                files.push((name, fs::read_to_string(&path).expect("is text")));
            }
        }
    }
    files
}

/// What is wrong with a reference, `file::test` or `file: case`.
fn check(reference: &str, sources: &[(String, String)]) -> Result<(), String> {
    let is_case = reference.contains(": ");
    let parts = if is_case {
        reference.split_once(": ")
    } else {
        reference.rsplit_once("::")
    };
    let Some((file, name)) = parts else {
        return Err(format!("`{reference}` is neither a test nor a case"));
    };
    let is_there = |text: &str| {
        if is_case {
            text.contains(&format!("\"{name}\""))
        } else {
            has_test(text, name)
        }
    };
    let path = file.replace("::", "/");
    let mut found = sources
        .iter()
        .filter(|(name, _)| {
            name.ends_with(&format!("/{path}.rs")) || name.ends_with(&format!("/{path}/mod.rs"))
        })
        .peekable();
    if found.peek().is_none() {
        return Err(format!("`{reference}`: there is no such file"));
    }
    if found.any(|(_, text)| is_there(text)) {
        Ok(())
    } else {
        Err(format!("`{reference}`: it is not in the file"))
    }
}

/// Whether a text has a test function of this name that is not ignored.
fn has_test(text: &str, name: &str) -> bool {
    let mut attributes = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
        } else if line.contains(&format!("fn {name}(")) {
            return attributes.iter().any(|line| line.contains("test"))
                && !attributes.iter().any(|line| line.contains("ignore"));
        } else if !line.starts_with("//") {
            attributes.clear();
        }
    }
    false
}

#[test]
fn every_row_is_shown_by_tests_that_are_there() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hostile.md");
    let page = fs::read_to_string(page).expect("is there");
    let sources = sources();
    let mut mistakes = Vec::new();
    let (mut rows, mut later) = (0, 0);
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [input, outcome, shown_by] = cells[..] else {
            mistakes.push(format!("a row of {} cells: {line}", cells.len()));
            continue;
        };
        if input == "input" || input.starts_with("---") {
            continue;
        }
        rows += 1;
        // The text between backticks, which is every second part.
        let references: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        if references.is_empty() {
            later += 1;
            if !outcome.contains("*later*") {
                mistakes.push(format!("nothing shows: {input}"));
            }
        }
        for reference in references {
            mistakes.extend(check(reference, &sources).err());
        }
    }
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert!(
        rows > 40 && later < 10,
        "{rows} rows, {later} of them later"
    );
}

#[test]
fn every_promise_of_the_readme_is_shown_by_tests_that_are_there() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let page = fs::read_to_string(format!("{root}/README.md")).expect("is there");
    let sources = sources();
    let table = page
        .split("\n## ")
        .find(|section| section.starts_with("Promises\n"))
        .expect("there is a section of promises");
    let mut mistakes = Vec::new();
    let mut promises = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, shown_by] = cells[..] else {
            mistakes.push(format!("a row of {} cells: {line}", cells.len()));
            continue;
        };
        if !number.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        promises += 1;
        if number != promises.to_string() {
            mistakes.push(format!("promise {number} stands in place {promises}"));
        }
        if !shown_by.starts_with("[`") {
            mistakes.push(format!("nothing shows promise {number}"));
        }
        for link in shown_by.split("[`").skip(1) {
            let link = link.trim_end_matches([',', ' ', ')']).split_once("`](");
            let Some((reference, path)) = link else {
                mistakes.push(format!("promise {number} names no test"));
                continue;
            };
            // The file that is linked is the one in which the test is looked for.
            let linked = sources.iter().filter(|(name, _)| name == path);
            let linked: Vec<(String, String)> = linked.cloned().collect();
            mistakes.extend(check(reference, &linked).err());
        }
    }
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert_eq!(promises, 12, "docs/protocol.md has twelve");
}

#[test]
fn every_line_of_what_jesus_offers_is_shown_by_tests_that_are_there() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let page = fs::read_to_string(format!("{root}/docs/dialects.md")).expect("is there");
    let sources = sources();
    let table = page
        .split("\n### ")
        .find(|section| section.starts_with("Line by line\n"))
        .expect("there is a section of lines");
    let mut mistakes = Vec::new();
    let mut count = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [what, shown_by, _] = cells[..] else {
            mistakes.push(format!("a row of {} cells: {line}", cells.len()));
            continue;
        };
        if !what.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        count += 1;
        if !what.starts_with(&format!("{count}. ")) {
            mistakes.push(format!("in place {count}: {what}"));
        }
        let references: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        if references.is_empty() {
            mistakes.push(format!("nothing shows: {what}"));
        }
        for reference in references {
            mistakes.extend(check(reference, &sources).err());
        }
    }
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert_eq!(count, 9);
}

#[test]
fn what_is_not_there_is_missed() {
    let sources = [(
        "tests/tests/some.rs".to_owned(),
        "#[test]\n// Why.\nfn is_there() {}\n#[test]\n#[ignore]\nfn sleeps() {}\nfn helps() { \"a case\" }"
            .to_owned(),
    )];
    for (reference, expected) in [
        ("some::is_there", Ok(())),
        ("some: a case", Ok(())),
        ("some::sleeps", Err("`some::sleeps`: it is not in the file")),
        ("some::helps", Err("`some::helps`: it is not in the file")),
        ("some::is", Err("`some::is`: it is not in the file")),
        ("some: case", Err("`some: case`: it is not in the file")),
        (
            "other::is_there",
            Err("`other::is_there`: there is no such file"),
        ),
        ("some", Err("`some` is neither a test nor a case")),
    ] {
        let found = check(reference, &sources);
        assert_eq!(found, expected.map_err(str::to_owned), "{reference}");
    }
}
