//! Suggestions for misspelt names.

/// The candidate that was most likely meant by `name`, if one is close enough to suggest.
///
/// Case and underscores are ignored, so `connectRsp` finds `connect_rsp`. The first of equally close candidates wins. Of
/// very many candidates only the first are looked at, 10,000 of them, and 1,000 that have the right length.
pub fn closest_name<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = folded(name);
    // One typing error per three letters; none in a name of one or two letters.
    let len = wanted.chars().count();
    let allowed = len / 3;
    let mut best: Option<(usize, &str)> = None;
    let similar = candidates
        .into_iter()
        .take(MOST_CANDIDATES)
        .filter(|candidate| folded_len(candidate).abs_diff(len) <= allowed)
        .take(MOST_COMPARED);
    for candidate in similar {
        let distance = strsim::osa_distance(&wanted, &folded(candidate));
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many candidates are looked at, and how many are compared letter by letter: a schema may have any number of names.
const MOST_CANDIDATES: usize = 10_000;
const MOST_COMPARED: usize = 1_000;
/// How many letters of a name are compared, since the distance costs the product of the lengths.
const MOST_LETTERS: usize = 100;

/// About the length of [`folded`]: lower case may have more letters in languages that no identifier is written in.
fn folded_len(name: &str) -> usize {
    name.chars()
        .filter(|c| *c != '_')
        .take(MOST_LETTERS)
        .count()
}

/// The name as [`closest_name`] compares it.
fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .take(MOST_LETTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let names = ["connect_rsp", "message_ind", "a"];
        for (name, expected) in [
            ("conect_rsp", Some("connect_rsp")),
            ("connectRsp", Some("connect_rsp")),
            ("message_idn", Some("message_ind")),
            ("ServerStatus", None),
            ("b", None),
            ("", None),
        ] {
            assert_eq!(closest_name(name, names), expected, "{name}");
        }
    }
}
