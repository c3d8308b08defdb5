//! Reserved numbers and names in the form that `.proto` files want: each of them once.

use std::collections::BTreeSet;

/// The same numbers as ranges that do not overlap. The number 0, which no field has, is left out.
pub(super) fn merged(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    let overlaps = |ranges: &[(u32, u32)]| {
        let mut seen: BTreeSet<(u32, u32)> = BTreeSet::new();
        ranges.iter().any(|&(first, last)| {
            let before = seen.range(..=(last, u32::MAX)).next_back();
            let is_taken = before.is_some_and(|(_, end)| *end >= first);
            seen.insert((first, last));
            is_taken || first == 0
        })
    };
    // Ranges that a file can have stay in their order.
    if !overlaps(&ranges) {
        return ranges;
    }
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        let first = first.max(1);
        if last == 0 {
            continue;
        }
        match merged.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// The same names, each once.
pub(super) fn without_duplicates(names: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert(name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_merged_only_where_they_overlap() {
        for (ranges, expected) in [
            (vec![(7, 9), (3, 3)], vec![(7, 9), (3, 3)]),
            (vec![(3, 3), (4, 4)], vec![(3, 3), (4, 4)]),
            (vec![(5, 9), (3, 5)], vec![(3, 9)]),
            (vec![(3, 3), (3, 3)], vec![(3, 3)]),
            (vec![(1, 100), (2, 3), (50, 200)], vec![(1, 200)]),
            (vec![(0, 0), (4, 5)], vec![(4, 5)]),
            (vec![(0, 5)], vec![(1, 5)]),
        ] {
            assert_eq!(merged(ranges.clone()), expected, "{ranges:?}");
        }
    }
}
