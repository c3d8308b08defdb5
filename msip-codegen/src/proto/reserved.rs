//! The numbers and names that messages and enums reserve.

use std::collections::{BTreeMap, HashSet};

use prost_types::{DescriptorProto, EnumDescriptorProto};

/// What an enum reserves.
pub(super) struct ReservedValues<'a> {
    pub(super) ty: &'a str,
    /// Ends of ranges by their starts, such that no range is inside of another.
    numbers: BTreeMap<i32, i32>,
    pub(super) names: HashSet<&'a str>,
}

impl<'a> ReservedValues<'a> {
    pub(super) fn new(ty: &'a EnumDescriptorProto) -> Self {
        let mut ranges: Vec<(i32, i32)> = ty
            .reserved_range
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect();
        ranges.sort_unstable();
        let mut numbers = BTreeMap::new();
        let mut last = None;
        for (start, end) in ranges {
            if last.is_none_or(|last| end > last) {
                let longest = numbers.entry(start).or_insert(end);
                *longest = end.max(*longest);
                last = Some(end);
            }
        }
        Self {
            ty: ty.name(),
            numbers,
            names: ty.reserved_name.iter().map(String::as_str).collect(),
        }
    }

    pub(super) fn has_number(&self, number: i32) -> bool {
        let last = self.numbers.range(..=number).next_back();
        last.is_some_and(|(_, end)| *end >= number)
    }
}

/// The numbers that a message reserves, as inclusive ranges; descriptors end them after the last number.
pub(crate) fn reserved_numbers(message: &DescriptorProto) -> Vec<(u32, u32)> {
    let number = |number: i32| u32::try_from(number).unwrap_or(0);
    let ranges = message.reserved_range.iter();
    ranges
        .map(|range| (number(range.start()), number(range.end()).saturating_sub(1)))
        .collect()
}
