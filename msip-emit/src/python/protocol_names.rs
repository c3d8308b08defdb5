//! The names of a protocol's classes and constants.

use msip_schema::Direction;

use super::module::Module;
use super::names;
use crate::plan::Plan;
use crate::rust::Sides;

/// The names of a protocol's classes.
pub(super) struct ProtocolNames {
    /// What they begin with.
    pub(super) prefix: String,
    /// The constant of the protocol.
    pub(super) constant: String,
    client_to_server: Vec<String>,
    server_to_client: Vec<String>,
}

/// What the names of the classes end with.
const CLIENT_CLASSES: &[&str] = &["Client", "SyncClient", "ClientHandler"];
const SERVER_CLASSES: &[&str] = &["Peer", "ServerHandler", "Broadcast", "Server"];

impl ProtocolNames {
    pub(super) fn new(module: &Module<'_, '_>, plan: &Plan<'_>) -> Self {
        let taken = &module.package.taken;
        let is_free = |prefix: &str| {
            let mut classes = CLIENT_CLASSES.iter().chain(SERVER_CLASSES);
            !taken.contains(&names::constant(prefix))
                && classes.all(|class| !taken.contains(&format!("{prefix}{class}")))
        };
        let prefix = names::protocol_prefix(plan.schema.package(), is_free);
        let mut constants = taken.clone();
        let mut members = |direction, prefix: &str| {
            let members = plan.envelope(direction).members.iter();
            let named = members.map(|member| {
                let constant = format!(
                    "{prefix}{}",
                    names::constant(member.name).trim_start_matches('_')
                );
                let constant = names::module_name(&constant, &constants);
                constants.insert(constant.clone());
                constant
            });
            named.collect()
        };
        let client_to_server = members(Direction::ClientToServer, "_TO_SERVER_");
        let server_to_client = members(Direction::ServerToClient, "_TO_CLIENT_");
        Self {
            constant: names::constant(&prefix),
            prefix,
            client_to_server,
            server_to_client,
        }
    }

    pub(super) fn members(&self, direction: Direction) -> &[String] {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    /// The classes that are written for these sides.
    pub(super) fn classes(&self, sides: Sides) -> Vec<String> {
        let client = CLIENT_CLASSES.iter().filter(|_| sides != Sides::Server);
        let server = SERVER_CLASSES.iter().filter(|_| sides != Sides::Client);
        client
            .chain(server)
            .map(|class| format!("{}{class}", self.prefix))
            .collect()
    }
}
