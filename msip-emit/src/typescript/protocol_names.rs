//! The identifiers of a protocol.

use std::collections::BTreeSet;

use msip_schema::{Direction, Schema};

use super::claim::claim;
use crate::rust::names::protocol_name;
use crate::write::Case;

/// A protocol and the identifiers of what is written for it.
pub(super) struct ProtocolNames<'a> {
    pub(super) schema: &'a Schema,
    /// The protocol itself: `CHAT`.
    pub(super) constant: String,
    /// Its description: `CHAT_DESCRIPTION`.
    pub(super) description: String,
    /// The tables of its messages for JSON: `CHAT_JSON`.
    pub(super) json: String,
    /// What its classes begin with: `Chat`.
    pub(super) prefix: String,
    /// The constants of its members, in the order of their numbers.
    to_server: Vec<String>,
    to_client: Vec<String>,
}

impl<'a> ProtocolNames<'a> {
    /// The identifiers, which are declared from then on.
    pub(super) fn new(schema: &'a Schema, declared: &mut BTreeSet<String>) -> Self {
        const CLASSES: [&str; 6] = [
            "Client",
            "ClientHandler",
            "Peer",
            "ServerHandler",
            "Broadcast",
            "Server",
        ];
        let constant = |prefix: &str| Case::UpperSnake.apply(prefix);
        let all = |prefix: &str| {
            let classes = CLASSES.map(|class| format!("{prefix}{class}"));
            let own = constant(prefix);
            let constants = ["", "_DESCRIPTION", "_JSON"].map(|end| format!("{own}{end}"));
            classes.into_iter().chain(constants)
        };
        let prefix = protocol_name(schema.package(), |prefix| {
            all(prefix).any(|identifier| declared.contains(&identifier))
        });
        declared.extend(all(&prefix));
        let mut members = |direction: Direction| {
            let members = schema.envelope(direction).members.iter();
            let side = match direction {
                Direction::ClientToServer => "ToServer",
                Direction::ServerToClient => "ToClient",
            };
            let names = members.map(|member| {
                let name = format!("{side}_{}", Case::LowerCamel.apply(&member.name));
                claim(declared, name, |name| vec![name])
            });
            names.collect()
        };
        Self {
            schema,
            constant: constant(&prefix),
            description: format!("{}_DESCRIPTION", constant(&prefix)),
            json: format!("{}_JSON", constant(&prefix)),
            to_server: members(Direction::ClientToServer),
            to_client: members(Direction::ServerToClient),
            prefix,
        }
    }

    /// The constants of the members of a direction.
    pub(super) fn members(&self, direction: Direction) -> &[String] {
        match direction {
            Direction::ClientToServer => &self.to_server,
            Direction::ServerToClient => &self.to_client,
        }
    }
}
