//! The members of a draft, each with an id.

use crate::{Direction, Draft, DraftEnvelope, DraftMember};

/// Identifies a member of a draft: its direction, and its index in the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId {
    pub(super) direction: Direction,
    pub(super) index: usize,
}

impl Draft {
    pub(super) fn envelope(&self, direction: Direction) -> &DraftEnvelope {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    /// The members of one direction, each with its id, in the order of the source.
    pub(super) fn members(
        &self,
        direction: Direction,
    ) -> impl Iterator<Item = (MemberId, &DraftMember)> {
        let members = self.envelope(direction).members.iter().enumerate();
        members.map(move |(index, member)| (MemberId { direction, index }, member))
    }

    /// All members, those of the client first.
    pub(super) fn all_members(&self) -> impl Iterator<Item = (MemberId, &DraftMember)> {
        self.members(Direction::ClientToServer)
            .chain(self.members(Direction::ServerToClient))
    }

    pub(super) fn ids(&self) -> Vec<MemberId> {
        self.all_members().map(|(id, _)| id).collect()
    }

    pub(super) fn member(&self, id: MemberId) -> &DraftMember {
        // Ids come from `members` of this draft, from which no member is removed.
        &self.envelope(id.direction).members[id.index]
    }
}
