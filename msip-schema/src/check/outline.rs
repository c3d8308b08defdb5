//! The view of a draft that the rules of a language get.

use super::calls::{Calls, Role};
use crate::{Direction, Draft, Spanned, Types};

/// A draft whose calls have been found: its names, and what each member is for its sender.
///
/// It is not known to be free of mistakes.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'a> {
    draft: &'a Draft,
    calls: &'a Calls,
}

/// One member of an [`Outline`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MemberOutline<'a> {
    /// The name, as the schema spells it.
    pub name: &'a Spanned<String>,
    /// What the member is for its sender.
    pub role: Role,
}

impl<'a> Outline<'a> {
    pub(super) fn new(draft: &'a Draft, calls: &'a Calls) -> Self {
        Self { draft, calls }
    }

    /// The package.
    pub fn package(&self) -> &'a Spanned<String> {
        &self.draft.package
    }

    /// All types that are checked.
    pub fn types(&self) -> &'a Types {
        &self.draft.types
    }

    /// The members of one direction, in the order of the source.
    pub fn members(&self, direction: Direction) -> impl Iterator<Item = MemberOutline<'a>> {
        let Self { draft, calls } = *self;
        draft
            .members(direction)
            .map(move |(id, member)| MemberOutline {
                name: &member.name,
                role: calls.role(draft, id),
            })
    }
}
