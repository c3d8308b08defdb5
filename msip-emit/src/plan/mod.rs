//! The plan of a protocol's code: what every language must say of each member, without the names of any.
//!
//! A language turns the names, which are spelled as in the schema, into its own by its
//! [`NameTable`](crate::write::NameTable).

mod member;

pub use member::{AnswerPlan, Call, DEFAULT_TIMEOUT, KeyPlan, MemberPlan, Shape};

use msip_schema::{Direction, Schema};

/// A schema with its calls resolved.
///
/// ```
/// # fn example(schema: &msip_schema::Schema) {
/// use msip_emit::plan::{Plan, Shape};
/// use msip_schema::Direction;
///
/// for member in &Plan::new(schema).envelope(Direction::ClientToServer).members {
///     match &member.shape {
///         Shape::Call(call) => println!("{} -> {}", member.name, call.answer.name),
///         Shape::OneWay | Shape::Acknowledged => println!("{}", member.name),
///         Shape::Answer => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The schema that it was made of.
    pub schema: &'a Schema,
    client_to_server: EnvelopePlan<'a>,
    server_to_client: EnvelopePlan<'a>,
}

/// One direction of a [`Plan`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EnvelopePlan<'a> {
    /// The direction.
    pub direction: Direction,
    /// The comment above the envelope.
    pub doc: &'a str,
    /// The members, by ascending number.
    pub members: Vec<MemberPlan<'a>>,
}

impl<'a> Plan<'a> {
    /// The plan of a schema.
    #[must_use]
    pub fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            client_to_server: EnvelopePlan::new(schema, Direction::ClientToServer),
            server_to_client: EnvelopePlan::new(schema, Direction::ServerToClient),
        }
    }

    /// The members of one direction.
    #[must_use]
    pub fn envelope(&self, direction: Direction) -> &EnvelopePlan<'a> {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    #[cfg(test)]
    pub(crate) fn envelope_mut(&mut self, direction: Direction) -> &mut EnvelopePlan<'a> {
        match direction {
            Direction::ClientToServer => &mut self.client_to_server,
            Direction::ServerToClient => &mut self.server_to_client,
        }
    }
}

impl<'a> EnvelopePlan<'a> {
    fn new(schema: &'a Schema, direction: Direction) -> Self {
        let envelope = schema.envelope(direction);
        let members = envelope.members.iter();
        let others = &schema.envelope(direction.reverse()).members;
        let answers = others.iter().map(|member| (member.name.as_str(), member));
        let answers = answers.collect();
        Self {
            direction,
            doc: &envelope.doc,
            members: members
                .map(|member| MemberPlan::new(schema, &answers, member))
                .collect(),
        }
    }
}
