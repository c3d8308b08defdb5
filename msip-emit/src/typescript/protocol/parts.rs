//! The parts of a client: no bundle has those that its schema does not need.

use msip_schema::{Direction, MsgKind};

use crate::plan::{Plan, Shape};
use crate::typescript::fields::Types;
use crate::typescript::part::Part;
use crate::write::Writer;

/// The parts of a client beside its core, some of which only some schemas need: no bundle has others.
pub(super) fn parts(types: &Types<'_, '_>, plan: &Plan<'_>, out: &mut Writer) -> String {
    let chosen = types.modules.parts;
    let mut parts: Vec<(&str, &str)> = chosen
        .iter()
        .filter(|part| has_part(types, plan, **part))
        .map(|part| (part.name(), part.name()))
        .collect();
    if !chosen.contains(&Part::Urls) {
        parts.push((Part::Urls.name(), "plainUrls"));
    }
    if has_deliveries(plan) {
        parts.push(("deliveries", "deliveries"));
    }
    if sends_droppable(plan) {
        parts.push(("droppable", "droppable"));
    }
    let written = |(name, value): (&str, &str)| match out.import(types.modules.core, value) {
        local if local == name => local,
        local => format!("{name}: {local}"),
    };
    let parts: Vec<String> = parts.into_iter().map(written).collect();
    format!("{{ {} }}", parts.join(", "))
}

/// Whether a client has this part, and of those for what servers send something to take.
pub(super) fn has_part(types: &Types<'_, '_>, plan: &Plan<'_>, part: Part) -> bool {
    let mut members = plan.envelope(Direction::ServerToClient).members.iter();
    let is_inbound = matches!(part, Part::InboundMessages | Part::InboundCalls);
    types.modules.parts.contains(&part)
        && (!is_inbound || members.any(|member| inbound_part(&member.shape) == Some(part)))
}

/// The part by which a client takes what its server sends in this way: none for answers, which its calls take.
pub(super) fn inbound_part<A>(shape: &Shape<A>) -> Option<Part> {
    match shape {
        Shape::OneWay | Shape::Acknowledged => Some(Part::InboundMessages),
        Shape::Call(_) => Some(Part::InboundCalls),
        Shape::Answer => None,
    }
}

/// Whether a client sends messages that may be dropped, rather than hold it up.
fn sends_droppable(plan: &Plan<'_>) -> bool {
    let members = &plan.envelope(Direction::ClientToServer).members;
    members.iter().any(|member| {
        matches!(member.kind, MsgKind::State | MsgKind::Log | MsgKind::Metric)
            && matches!(member.shape, Shape::OneWay)
    })
}

/// Whether a message of either direction is acknowledged.
fn has_deliveries(plan: &Plan<'_>) -> bool {
    [Direction::ClientToServer, Direction::ServerToClient]
        .into_iter()
        .flat_map(|direction| &plan.envelope(direction).members)
        .any(|member| member.shape == Shape::Acknowledged)
}
