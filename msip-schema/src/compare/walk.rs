//! The walk over the types of two descriptions: each pair of types is compared once.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Description,
    comparison::Differences,
    difference::{Breaks, Change, Difference, Place},
    value::Pair,
};
use crate::Direction;

/// How many fields and values are compared. Versions of one schema need as many as both have together, at most; descriptions
/// that were made to make this slow could ask for their product.
const MAX_STEPS: usize = 131_072;

/// A comparison that goes on.
pub(super) struct Walk<'a> {
    pub(super) ours: &'a Description,
    pub(super) theirs: &'a Description,
    pub(super) differences: Differences,
    steps_left: usize,
    /// The pairs of types that were compared, or will be.
    seen: BTreeSet<Pair<'a>>,
    due: VecDeque<usize>,
    visits: Vec<Visit<'a>>,
}

/// A pair of types in its place.
#[derive(Clone, Copy)]
struct Visit<'a> {
    pair: Pair<'a>,
    from: Origin<'a>,
}

/// What leads to a pair of types.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Member(Direction, &'a str),
    /// A field of an earlier pair.
    Field(usize, &'a str),
}

impl<'a> Walk<'a> {
    /// A walk that has not begun.
    pub(super) fn new(ours: &'a Description, theirs: &'a Description) -> Self {
        Self {
            ours,
            theirs,
            differences: Differences::default(),
            steps_left: MAX_STEPS,
            seen: BTreeSet::new(),
            due: VecDeque::new(),
            visits: Vec::new(),
        }
    }

    /// The next pair of types to compare: breadth first, so that a type is compared where the path to it is shortest.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.due.pop_front()
    }

    /// Compares a pair of types later, unless it was compared or will be.
    pub(super) fn visit(&mut self, pair: Pair<'a>, from: Origin<'a>) {
        if self.seen.insert(pair) {
            self.due.push_back(self.visits.len());
            self.visits.push(Visit { pair, from });
        }
    }

    /// The pair of types of a visit.
    pub(super) fn pair(&self, visit: usize) -> Option<Pair<'a>> {
        self.visits.get(visit).map(|visit| visit.pair)
    }

    /// Compares the types of a field later.
    pub(super) fn visit_field(&mut self, visit: usize, field: &'a str, pair: Pair<'a>) {
        self.visit(pair, Origin::Field(visit, field));
    }

    /// Takes so many steps, if as many are left.
    pub(super) fn take_steps(&mut self, count: usize) -> bool {
        let left = self.steps_left.checked_sub(count);
        self.steps_left = left.unwrap_or(0);
        left.is_some()
    }

    /// Adds a difference of the types of a visit, or of one of their fields.
    pub(super) fn add(
        &mut self,
        visit: usize,
        field: Option<&str>,
        breaks: Breaks,
        change: impl FnOnce() -> Change,
    ) {
        let visits = &self.visits;
        self.differences.add(breaks, || Difference {
            place: place(visits, visit, field),
            change: change(),
            breaks,
        });
    }
}

/// The place of a visit's types, or of one of their fields.
fn place(visits: &[Visit<'_>], visit: usize, field: Option<&str>) -> Place {
    let mut fields: Vec<String> = field.map(str::to_owned).into_iter().collect();
    let mut at = visit;
    while let Some(visit) = visits.get(at) {
        match visit.from {
            Origin::Field(earlier, name) => {
                fields.push(name.to_owned());
                at = earlier;
            }
            Origin::Member(direction, member) => {
                fields.reverse();
                return Place {
                    direction: Some(direction),
                    member: Some(member.to_owned()),
                    fields,
                };
            }
        }
    }
    Place::default()
}
