//! Validation of drafts: every rule of docs/schema.md that depends neither on how the schema was written nor on the
//! language that is generated.

mod calls;
mod codes;
mod depth;
mod finish;
mod kinds;
mod members;
mod names;
mod numbers;
mod options;
mod outline;
mod package;
mod pairs;
mod services;
mod streams;

#[cfg(test)]
pub(crate) mod tests;

pub use calls::Role;
pub use outline::{MemberOutline, Outline};

use crate::{Diagnostic, Draft, DraftEnvelope, Payload, Reserved, Schema, Span, Spanned, Types};
use calls::Calls;

impl Draft {
    /// Pairs, classifies and validates the members by the rules that hold for every language.
    ///
    /// Types that [`types`](Self::types) lacks are accepted unchecked: a front end that sees only names, such as a
    /// macro, gets every check that needs no more than names.
    ///
    /// # Errors
    ///
    /// All mistakes together, sorted by span; `docs/schema.md` lists them.
    pub fn check(self) -> Result<Schema, Vec<Diagnostic>> {
        self.check_with(|_, _| {})
    }

    /// Like [`check`](Self::check), with the rules of the languages that the schema is compiled to.
    ///
    /// `rules` is called even if the schema breaks other rules, so that all mistakes are reported together. Such a
    /// schema may have duplicate or invalid names.
    ///
    /// # Errors
    ///
    /// All mistakes together, sorted by span.
    pub fn check_with(
        mut self,
        rules: impl FnOnce(&Outline<'_>, &mut Vec<Diagnostic>),
    ) -> Result<Schema, Vec<Diagnostic>> {
        self.normalise();
        let mut out = Vec::new();
        package::check(&self, &mut out);
        numbers::check(&self, &mut out);
        let calls = pairs::find(&self, &mut out);
        let mut fields = options::KeyFields::new();
        for id in self.ids() {
            kinds::check(&self, id, &calls, &mut out);
            options::check(&self, id, &calls, &mut fields, &mut out);
        }
        codes::check(&self, &calls, &mut out);
        self.check_types(&calls, rules, &mut out);
        if out.is_empty() {
            return Ok(self.into_schema(&calls));
        }
        sort(&mut out);
        Err(out)
    }

    /// Replaces each `google.protobuf.Empty` by [`Payload::Empty`].
    fn normalise(&mut self) {
        for envelope in [&mut self.client_to_server, &mut self.server_to_client] {
            for member in &mut envelope.members {
                if matches!(&member.payload.value, Payload::Message(name) if name.is_empty_message())
                {
                    member.payload.value = Payload::Empty;
                }
            }
        }
    }

    fn check_types(
        &self,
        calls: &Calls,
        rules: impl FnOnce(&Outline<'_>, &mut Vec<Diagnostic>),
        out: &mut Vec<Diagnostic>,
    ) {
        names::check(&self.types, out);
        rules(&Outline::new(self, calls), out);
        depth::check(&self.types, out);
    }
}

/// Validates types that belong to no protocol, and returns all mistakes, sorted by span.
///
/// `rules` are those of [`Draft::check_with`]; the outline that they get has no package and no members.
pub fn check_types(
    types: Types,
    rules: impl FnOnce(&Outline<'_>, &mut Vec<Diagnostic>),
) -> Vec<Diagnostic> {
    let no_members = || DraftEnvelope {
        span: Span::NONE,
        doc: String::new(),
        members: Vec::new(),
        reserved: Reserved::default(),
    };
    let draft = Draft {
        package: Spanned::new(String::new(), Span::NONE),
        doc: String::new(),
        client_to_server: no_members(),
        server_to_client: no_members(),
        methods: Vec::new(),
        types,
    };
    let mut out = Vec::new();
    draft.check_types(&Calls::default(), rules, &mut out);
    sort(&mut out);
    out
}

fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|diagnostic| diagnostic.primary.span);
}
