//! The types that a protocol reaches.

use std::collections::BTreeSet;

use msip_schema::{Draft, FieldType, Payload, TypeDef, TypeName, Types};

/// The types that the envelopes and services of a draft reach, directly or through fields.
pub(crate) fn reachable(draft: &Draft, types: &Types) -> Types {
    let methods = &draft.methods;
    let members = [&draft.client_to_server, &draft.server_to_client]
        .into_iter()
        .flat_map(|envelope| &envelope.members);
    let payloads = members.filter_map(|member| match &member.payload.value {
        Payload::Message(name) => Some(name.clone()),
        Payload::Empty => None,
    });
    let called = methods
        .iter()
        .flat_map(|method| [method.request.value.clone(), method.response.value.clone()]);
    let mut open: Vec<TypeName> = payloads.chain(called).collect();
    let mut seen = BTreeSet::new();
    let mut found = Types::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(def) = types.get(&name) else {
            continue;
        };
        if let TypeDef::Message(message) = def {
            for field in &message.fields {
                if let FieldType::Message(inner) | FieldType::Enum(inner) = &field.ty {
                    open.push(inner.clone());
                }
            }
        }
        found.insert(name, def.clone());
    }
    found
}
