//! Suggestions for misspelt names.

/// The candidate that was most likely meant by `name`, if one is close enough to suggest.
///
/// Case and underscores are ignored, so `connectRsp` finds `connect_rsp`. The first of equally close candidates wins.
pub fn closest_name<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = folded(name);
    // One typing error per three letters; none in a name of one or two letters.
    let allowed = wanted.chars().count() / 3;
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::osa_distance(&wanted, &folded(candidate));
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The name as [`closest_name`] compares it. Cut, because the distance costs the product of the lengths.
fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .take(100)
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
