//! The table of changes as a file, by which the packages of other languages are tested, that compare too.

use std::fmt::Write as _;
use std::{env, fs, path::Path};

use super::{SOURCE, changes::CHANGES, description};
use crate::compare::{Sides, compare};

/// What is written: the description of the one version, and for each change that of the other one, its fingerprint, and what differs.
fn written() -> String {
    let ours = description(SOURCE);
    let mut out = format!(
        "{{\n  \"ours\": {:?},\n  \"fingerprint\": \"{:016x}\",\n  \"changes\": [\n",
        ours.to_text(),
        ours.fingerprint()
    );
    for (index, (name, replaced, breaks)) in CHANGES.iter().enumerate() {
        let mut source = SOURCE.to_owned();
        for (from, to) in *replaced {
            source = source.replacen(from, to, 1);
        }
        let theirs = description(&source);
        let comparison = compare(&ours, &theirs);
        let texts: Vec<String> = comparison
            .differences()
            .iter()
            .map(|difference| format!("\n        {:?}", difference.text(Sides::VERSIONS)))
            .collect();
        let _ = write!(
            out,
            "    {{\n      \"name\": {name:?},\n      \"theirs\": {:?},\n      \"fingerprint\": \"{:016x}\",\n      \"protobuf\": {},\n      \
             \"names\": {},\n      \"differences\": [{}\n      ]\n    }}{}\n",
            theirs.to_text(),
            theirs.fingerprint(),
            breaks.protobuf(),
            breaks.names(),
            texts.join(","),
            if index + 1 < CHANGES.len() { "," } else { "" }
        );
    }
    out + "  ]\n}\n"
}

/// `MSIP_UPDATE=1 cargo test -p msip-schema for_languages` writes it anew.
#[test]
fn the_comparisons_for_languages_are_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../languages/comparisons.json");
    let written = written();
    if env::var_os("MSIP_UPDATE").is_some() {
        fs::write(&path, &written).expect("written");
    }
    let checked_in = fs::read_to_string(path).expect("comparisons.json");
    assert!(
        written == checked_in,
        "languages/comparisons.json is not what differs now: write it anew with\n    \
         MSIP_UPDATE=1 cargo test -p msip-schema for_languages"
    );
}
