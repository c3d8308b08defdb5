//! Names and numbers of members: present, in range, unique.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Code, DESCRIBE_VARIANT, Diagnostic, Direction, Draft, DraftMember, MAX_DIAGNOSTICS,
    is_identifier,
};

/// The header's `variant` has 16 bits, and 0 means none.
const RANGE: std::ops::RangeInclusive<u32> = 1..=65_535;
/// Protobuf keeps these for itself.
const RESERVED: std::ops::RangeInclusive<u32> = 19_000..=19_999;
/// MSIP keeps this one.
const DESCRIBE: u32 = DESCRIBE_VARIANT as u32;

pub(super) fn check(draft: &Draft, out: &mut Vec<Diagnostic>) {
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        let envelope = draft.envelope(direction);
        if envelope.members.is_empty() {
            let message = format!("`{}` has no members", direction.envelope_name());
            out.push(
                Diagnostic::new(Code::EMPTY_ENVELOPE, envelope.span, message)
                    .help("add at least one member: a side that says nothing still needs a message it could say"),
            );
        }
        check_envelope(direction, &envelope.members, out);
    }
}

fn check_envelope(direction: Direction, members: &[DraftMember], out: &mut Vec<Diagnostic>) {
    let envelope = direction.envelope_name();
    let mut free = FreeNumbers::new(members);
    let mut by_name: BTreeMap<&str, &DraftMember> = BTreeMap::new();
    let mut by_number: BTreeMap<u32, &DraftMember> = BTreeMap::new();
    for member in members {
        let (name, number) = (&member.name.value, member.number.value);
        if !is_identifier(name) {
            out.push(
                Diagnostic::new(Code::INVALID_NAME, member.name.span, format!("`{name}` cannot name a member"))
                    .help("write ASCII letters, digits and `_`, not beginning with a digit and not `_` alone"),
            );
        }
        if let Some(first) = by_name.get(name.as_str()) {
            out.push(
                Diagnostic::new(
                    Code::DUPLICATE_NAME,
                    member.name.span,
                    format!("`{name}` is defined twice in {envelope}"),
                )
                .label("defined again here")
                .also(first.name.span, "first defined here")
                .help("give one of them another name, or remove it"),
            );
        } else {
            by_name.insert(name, member);
        }
        if !is_usable(number) {
            let (code, why) = if number == DESCRIBE {
                (
                    Code::NUMBER_RESERVED,
                    "is the one by which peers ask each other for their schema",
                )
            } else if RESERVED.contains(&number) {
                (
                    Code::NUMBER_RESERVED,
                    "is one of 19000 to 19999, which protobuf keeps for itself",
                )
            } else {
                (
                    Code::NUMBER_OUT_OF_RANGE,
                    "is not one of 1 to 65535, which a frame's header can carry",
                )
            };
            out.push(
                Diagnostic::new(
                    code,
                    member.number.span,
                    format!("the number {number} of `{name}` {why}"),
                )
                .help(free.advice(name)),
            );
        } else if let Some(first) = by_number.get(&number) {
            out.push(
                Diagnostic::new(
                    Code::DUPLICATE_NUMBER,
                    member.number.span,
                    format!("number {number} is used twice in {envelope}"),
                )
                .label("used again here")
                .also(first.number.span, "first used here")
                .help(format!(
                    "{}; a number already in use on the wire stays as it is",
                    free.advice(name)
                )),
            );
        } else {
            by_number.insert(number, member);
        }
    }
}

/// Whether a member can have this number.
fn is_usable(number: u32) -> bool {
    RANGE.contains(&number) && !RESERVED.contains(&number) && number != DESCRIBE
}

/// Numbers that no member of an envelope has, each offered once.
struct FreeNumbers {
    /// Those that are in range.
    used: BTreeSet<u32>,
    /// The one after the last in use, or the last that was offered.
    next: u32,
    /// How many may still be offered: mistakes that are not shown need no advice.
    left: usize,
}

impl FreeNumbers {
    fn new(members: &[DraftMember]) -> Self {
        let numbers = members.iter().map(|member| member.number.value);
        let used: BTreeSet<u32> = numbers.filter(|number| RANGE.contains(number)).collect();
        // Those in between may have been in use before.
        let mut last = used.iter().rev().filter(|number| **number != DESCRIBE);
        let next = last.next().map_or(1, |last| last + 1);
        Self {
            used,
            next,
            left: MAX_DIAGNOSTICS,
        }
    }

    fn advice(&mut self, member: &str) -> String {
        let Some(left) = self.left.checked_sub(1) else {
            return format!("give `{member}` a free number");
        };
        self.left = left;
        let free = (self.next..=*RANGE.end())
            .chain(RANGE)
            .find(|number| is_usable(*number) && !self.used.contains(number));
        match free {
            Some(free) => {
                self.used.insert(free);
                self.next = free;
                format!("give `{member}` a free number such as {free}")
            }
            None => "no number is free; put several messages into one member".to_owned(),
        }
    }
}
