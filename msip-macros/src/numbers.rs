//! Tags: present, in range, unique, and not reserved.
//!
//! A tag is never inferred from the order of the source, since moving a line would then change the wire. A missing tag
//! is an error with a suggestion.

use std::collections::{BTreeMap, BTreeSet};

use msip_schema::{is_identifier, json_name};
use proc_macro2::Span;

use crate::attributes::{OptionValue, Reserved};
use crate::errors::Errors;

/// The largest field number of protobuf.
pub(crate) const LARGEST: i64 = 536_870_911;

/// The numbers that protobuf keeps for itself.
const RESERVED: std::ops::RangeInclusive<i64> = 19_000..=19_999;

/// Something that must have a tag.
pub(crate) struct Tagged<'a> {
    /// The name in the schema.
    pub(crate) name: &'a str,
    /// The span of its name.
    pub(crate) span: Span,
    pub(crate) tag: Option<OptionValue<i64>>,
}

/// Checks the tags of a message's fields or a oneof's variants, and returns them in their order.
///
/// `in_rust` is the name that each has in the Rust that is generated from the schema.
pub(crate) fn fields(
    tagged: &[Tagged<'_>],
    reserved: &[Reserved],
    in_rust: fn(&str) -> String,
    errors: &mut Errors,
) -> Vec<u32> {
    check_range(tagged, errors);
    check_duplicates(tagged, in_rust, errors);
    members(tagged, reserved, errors)
}

/// Checks what the schema's own checks do not cover: missing tags, and reserved tags and names.
pub(crate) fn members(
    tagged: &[Tagged<'_>],
    reserved: &[Reserved],
    errors: &mut Errors,
) -> Vec<u32> {
    check_missing(tagged, reserved, errors);
    check_ranges(reserved, errors);
    check_names(reserved, errors);
    check_reserved(tagged, reserved, errors);
    tagged
        .iter()
        .map(|tagged| {
            let tag = tagged.tag.map_or(0, |tag| tag.value);
            // What does not fit is out of range, which is reported elsewhere.
            u32::try_from(tag).unwrap_or(0)
        })
        .collect()
}

/// Reports reserved names and numbers of an enum without data.
pub(crate) fn check_reserved(tagged: &[Tagged<'_>], reserved: &[Reserved], errors: &mut Errors) {
    if reserved.is_empty() {
        return;
    }
    let gone = Gone::new(reserved);
    let free = next_free(tagged, reserved);
    for item in tagged {
        if let Some(tag) = item.tag.filter(|tag| gone.has_number(tag.value)) {
            errors.push(
                tag.span,
                format!(
                    "the number {} of `{}` is reserved [number-reserved]\nhelp: {}; what is reserved was in use \
                     once, and old peers still mean the old thing by it",
                    tag.value,
                    item.name,
                    advice(item.name, free),
                ),
            );
        }
        if gone.names.contains(item.name) {
            errors.push(
                item.span,
                format!(
                    "the name `{}` is reserved [number-reserved]\nhelp: choose another name",
                    item.name
                ),
            );
        }
    }
}

/// What is reserved, for look-ups.
struct Gone<'a> {
    /// Ends of ranges by their starts, such that no range is inside of another.
    numbers: BTreeMap<i64, i64>,
    names: BTreeSet<&'a str>,
}

impl<'a> Gone<'a> {
    fn new(reserved: &'a [Reserved]) -> Self {
        let mut ranges = Vec::new();
        let mut names = BTreeSet::new();
        for entry in reserved {
            match entry {
                Reserved::Numbers(numbers) => ranges.push(numbers.value),
                Reserved::Name(name) => {
                    names.insert(name.value.as_str());
                }
            }
        }
        // Of ranges that begin together the longest comes first, and of those inside another none is kept.
        ranges.sort_unstable_by_key(|&(first, last)| (first, std::cmp::Reverse(last)));
        let mut numbers = BTreeMap::new();
        let mut end = None;
        for (first, last) in ranges {
            if end.is_none_or(|end| last > end) {
                numbers.insert(first, last);
                end = Some(last);
            }
        }
        Self { numbers, names }
    }

    fn has_number(&self, number: i64) -> bool {
        let before = self.numbers.range(..=number).next_back();
        before.is_some_and(|(_, last)| *last >= number)
    }
}

/// Reports reserved names that no field can have.
pub(crate) fn check_names(reserved: &[Reserved], errors: &mut Errors) {
    for entry in reserved {
        if let Reserved::Name(name) = entry
            && !is_identifier(&name.value)
        {
            errors.push(
                name.span,
                format!(
                    "`{}` is no name that a field or value could have [invalid-name]\nhelp: write the name that was in use: ASCII \
                     letters, digits and `_`, not beginning with a digit",
                    name.value
                ),
            );
        }
    }
}

/// Reports reserved numbers that no field can have. A range without an end goes beyond them, and means all.
fn check_ranges(reserved: &[Reserved], errors: &mut Errors) {
    for entry in reserved {
        let Reserved::Numbers(numbers) = entry else {
            continue;
        };
        let (first, last) = numbers.value;
        if first < 0 || (last > LARGEST && last < i64::from(i32::MAX)) {
            errors.push(
                numbers.span,
                format!("the numbers of fields are 0 to {LARGEST} [option-value]\nhelp: only enums have others"),
            );
        }
    }
}

fn check_missing(tagged: &[Tagged<'_>], reserved: &[Reserved], errors: &mut Errors) {
    let missing = tagged.iter().filter(|item| item.tag.is_none());
    for (next, item) in (next_free(tagged, reserved)..).zip(missing) {
        errors.push(
            item.span,
            format!(
                "`{}` has no tag, the number that it has on the wire\nhelp: write `#[msip(tag = {next})]` above it, and never \
                 change it: only the tag says what the bytes mean, the order of lines does not matter",
                item.name
            ),
        );
    }
}

fn check_range(tagged: &[Tagged<'_>], errors: &mut Errors) {
    let free = next_free(tagged, &[]);
    for item in tagged {
        let Some(tag) = item.tag else { continue };
        if RESERVED.contains(&tag.value) {
            errors.push(
                tag.span,
                format!(
                    "the number {} of `{}` is one of 19000 to 19999, which protobuf keeps for itself [number-reserved]\nhelp: {}",
                    tag.value,
                    item.name,
                    advice(item.name, free),
                ),
            );
        } else if !(1..=LARGEST).contains(&tag.value) {
            errors.push(
                tag.span,
                format!(
                    "the number {} of `{}` is not one of 1 to {LARGEST} [number-out-of-range]\nhelp: {}",
                    tag.value,
                    item.name,
                    advice(item.name, free),
                ),
            );
        }
    }
}

fn check_duplicates(tagged: &[Tagged<'_>], in_rust: fn(&str) -> String, errors: &mut Errors) {
    let mut next = next_free(tagged, &[]);
    let mut numbers: BTreeMap<i64, &str> = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut json_names: BTreeMap<String, &str> = BTreeMap::new();
    let mut identifiers: BTreeMap<String, &str> = BTreeMap::new();
    for item in tagged {
        if !names.insert(item.name) {
            errors.push(
                item.span,
                format!("`{}` is the name of two of them [duplicate-name]\nhelp: rename one, or write `#[msip(name = \"…\")]`", item.name),
            );
        }
        let json = json_name(item.name);
        let identifier = in_rust(item.name);
        let same_json = json_names.insert(json.clone(), item.name);
        let same_identifier = identifiers.insert(identifier.clone(), item.name);
        let collision = match (same_json, same_identifier) {
            (Some(first), _) => Some((first, json, "in JSON")),
            (None, Some(first)) => Some((
                first,
                identifier,
                "in code that is generated from the schema",
            )),
            (None, None) => None,
        };
        if let Some((first, name, place)) = collision
            && first != item.name
        {
            errors.push(
                item.span,
                format!("`{first}` and `{}` both become `{name}` {place} [name-collision]\nhelp: rename one, or write `#[msip(name = \"…\")]`", item.name),
            );
        }
        let Some(tag) = item.tag else { continue };
        match numbers.get(&tag.value) {
            Some(first) => {
                errors.push(
                    tag.span,
                    format!(
                        "number {} is used twice, `{first}` has it already [duplicate-number]\nhelp: {}; a number already in use \
                         on the wire stays as it is",
                        tag.value,
                        advice(item.name, next),
                    ),
                );
                next += 1;
            }
            None => {
                numbers.insert(tag.value, item.name);
            }
        }
    }
}

/// The number after the last that is or was in use.
fn next_free(tagged: &[Tagged<'_>], reserved: &[Reserved]) -> i64 {
    let used = tagged
        .iter()
        .filter_map(|item| item.tag.map(|tag| tag.value));
    let gone = reserved.iter().filter_map(|entry| match entry {
        Reserved::Numbers(numbers) => Some(numbers.value.1),
        Reserved::Name(_) => None,
    });
    let last = used
        .chain(gone)
        .filter(|number| *number < LARGEST && !RESERVED.contains(number))
        .max();
    let next = last.unwrap_or(0).max(0) + 1;
    if RESERVED.contains(&next) {
        20_000
    } else {
        next
    }
}

fn advice(name: &str, free: i64) -> String {
    format!("give `{name}` a free number such as {free}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_numbers_are_found_in_ranges_that_overlap() {
        let range = |value| {
            let span = Span::call_site();
            Reserved::Numbers(OptionValue { value, span })
        };
        let reserved = [(5, 5), (1, 3), (2, 3), (8, 20), (10, 12), (19, 25)].map(range);
        let gone = Gone::new(&reserved);
        let found: Vec<i64> = (-1..30).filter(|number| gone.has_number(*number)).collect();
        let expected: Vec<i64> = (1..=3).chain([5]).chain(8..=25).collect();
        assert_eq!(found, expected);
    }
}
