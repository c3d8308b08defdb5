//! Collisions of identifiers.

use std::collections::BTreeMap;

use msip_schema::Span;

/// The identifiers of one kind, by the scope that they are in, each with the schema's name that it was made of.
///
/// The first name that becomes an identifier has it; a language reports the others as mistakes.
#[derive(Debug)]
pub struct Namespace<'a, S> {
    owners: BTreeMap<(S, String), Claimed<'a>>,
}

/// The name that has an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed<'a> {
    /// The name, as the schema spells it.
    pub name: &'a str,
    /// Where it is declared.
    pub span: Span,
}

impl<S> Default for Namespace<'_, S> {
    fn default() -> Self {
        Self {
            owners: BTreeMap::new(),
        }
    }
}

impl<'a, S: Ord> Namespace<'a, S> {
    /// Takes an identifier in a scope for a name, and returns the other name that has it already, if one does.
    pub fn claim(
        &mut self,
        scope: S,
        identifier: &str,
        name: &'a str,
        span: Span,
    ) -> Option<Claimed<'a>> {
        let own = Claimed { name, span };
        let owner = self
            .owners
            .entry((scope, identifier.to_owned()))
            .or_insert(own);
        (owner.name != name).then_some(*owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_has_the_identifier() {
        let mut names = Namespace::default();
        let first = Span::new(1);
        assert_eq!(names.claim("a", "foo_bar", "fooBar", first), None);
        assert_eq!(names.claim("a", "foo_bar", "fooBar", first), None);
        assert_eq!(names.claim("b", "foo_bar", "foo_bar", Span::new(2)), None);
        let owner = names.claim("a", "foo_bar", "foo_bar", Span::new(3));
        assert_eq!(
            owner,
            Some(Claimed {
                name: "fooBar",
                span: first
            })
        );
    }
}
