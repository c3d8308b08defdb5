//! Identifiers that nothing else has.

use std::collections::BTreeSet;

/// The first of a name and of the name with underscores behind it of which no identifier is declared, which all are from then on.
pub(super) fn claim(
    declared: &mut BTreeSet<String>,
    mut name: String,
    all: impl Fn(String) -> Vec<String>,
) -> String {
    loop {
        let identifiers = all(name.clone());
        if identifiers
            .iter()
            .all(|identifier| !declared.contains(identifier))
        {
            declared.extend(identifiers);
            return name;
        }
        name.push('_');
    }
}
