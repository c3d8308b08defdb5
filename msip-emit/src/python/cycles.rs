//! Packages that import each other in a circle.
//!
//! Files cannot, but packages can: a file of `a` may import one of `b` that imports another file of `a`. Whichever module Python
//! imports first then finds the other unfinished, so these import each other only once their own messages are there.

use std::collections::{BTreeMap, BTreeSet};

use msip_schema::{FieldType, TypeDef, TypeName};

use super::well_known::WellKnown;
use crate::Compilation;
use crate::plan::{Plan, Shape};

/// Which packages each package refers to, itself left out.
#[derive(Debug, Default)]
pub(super) struct Cycles<'a> {
    uses: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Cycles<'a> {
    pub(super) fn new(compilation: &'a Compilation) -> Self {
        let mut cycles = Self::default();
        for ty in compilation.types.values() {
            let TypeDef::Message(message) = ty else {
                continue;
            };
            for field in &message.fields {
                if let FieldType::Message(name) | FieldType::Enum(name) = &field.ty {
                    cycles.add(compilation, ty.package(), name);
                }
            }
        }
        for protocol in &compilation.protocols {
            for name in payloads(&Plan::new(&protocol.schema)) {
                cycles.add(compilation, protocol.schema.package(), name);
            }
        }
        cycles
    }

    fn add(&mut self, compilation: &'a Compilation, from: &'a str, name: &TypeName) {
        let to = compilation.types.get(name).map_or("", TypeDef::package);
        if WellKnown::of(name).is_none() && to != from {
            self.uses.entry(from).or_default().insert(to);
        }
    }

    /// Whether one package refers to another, directly or not.
    pub(super) fn reaches(&self, from: &str, to: &str) -> bool {
        let mut open = vec![from];
        let mut seen = BTreeSet::new();
        while let Some(package) = open.pop() {
            for &used in self.uses.get(package).into_iter().flatten() {
                if used == to {
                    return true;
                }
                if seen.insert(used) {
                    open.push(used);
                }
            }
        }
        false
    }
}

/// The types that the members of a protocol carry, those of answers included.
pub(super) fn payloads<'a>(plan: &Plan<'a>) -> Vec<&'a TypeName> {
    use msip_schema::Direction::{ClientToServer, ServerToClient};
    let mut names = Vec::new();
    for direction in [ClientToServer, ServerToClient] {
        for member in &plan.envelope(direction).members {
            names.extend(member.payload);
            if let Shape::Call(call) = &member.shape {
                names.extend(call.answer.payload);
            }
        }
    }
    names
}
