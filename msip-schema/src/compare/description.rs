//! A protocol as it is compared.

use crate::{Direction, Envelope, Member, Reserved, Schema, Types};

/// The part of a [`Schema`] that two peers must agree on: the package, the members of both directions, and their types.
///
/// Unlike a schema it was not checked, since it may come from a peer.
#[derive(Debug, Clone)]
pub struct Description(Schema);

impl Description {
    /// That of a schema.
    #[must_use]
    pub fn of(schema: &Schema) -> Self {
        Self(schema.clone())
    }

    /// One of these members and types, which are not checked. Types that are mentioned and missing are compared by
    /// name.
    #[must_use]
    pub fn new(
        package: impl Into<String>,
        client_to_server: Vec<Member>,
        server_to_client: Vec<Member>,
        types: Types,
    ) -> Self {
        let envelope = |direction, mut members: Vec<Member>| {
            members.sort_by_key(|member| member.number);
            Envelope {
                direction,
                doc: String::new(),
                members,
                reserved: Reserved::default(),
            }
        };
        Self(Schema {
            package: package.into(),
            doc: String::new(),
            client_to_server: envelope(Direction::ClientToServer, client_to_server),
            server_to_client: envelope(Direction::ServerToClient, server_to_client),
            types,
        })
    }

    /// The package, which names the protocol.
    #[must_use]
    pub fn package(&self) -> &str {
        self.0.package()
    }

    /// The members of one direction, by ascending number.
    #[must_use]
    pub fn members(&self, direction: Direction) -> &[Member] {
        &self.0.envelope(direction).members
    }

    /// The types of the members.
    #[must_use]
    pub fn types(&self) -> &Types {
        self.0.types()
    }

    /// The fingerprint of the schema that is described ([`Schema::fingerprint`]): of one that a peer has sent, what it
    /// must be.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint()
    }
}
