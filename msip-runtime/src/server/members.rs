//! Who is in which room of a server.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;

use crate::{Code, PeerId, Status};
use msip_session::wire::Escaped;

/// The longest name of a room, in bytes.
const MAX_NAME_LEN: usize = 256;

/// The number of rooms that a client may be in at once.
const MAX_ROOMS: usize = 1024;

/// What a client's membership of a room takes besides its name, in bytes.
const MEMBER_LEN: usize = 192;

/// A client cannot join a room.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RoomError {
    /// The session of the client has ended, or its server has.
    #[error("the client has gone")]
    Gone,
    /// The client is another server's, or of another protocol of this one.
    #[error("the client is another server's than the room")]
    OtherServer,
    /// The name of the room is too long.
    #[error("the name of the room has {len} bytes: at most {max} are allowed")]
    NameTooLong {
        /// Its length, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The client is in too many rooms.
    #[error("the client is in {max} rooms, and may not join room `{}` too", Escaped::new(.name))]
    TooMany {
        /// The room that it was to join.
        name: String,
        /// The number of rooms that a client may be in.
        max: usize,
    },
}

crate::error::debug_with_causes!(RoomError);

/// `UNAVAILABLE` for one that has gone, `INVALID_ARGUMENT` or `RESOURCE_EXHAUSTED` for a limit, else `INTERNAL`.
impl From<RoomError> for Status {
    fn from(error: RoomError) -> Self {
        let code = match error {
            RoomError::Gone => Code::Unavailable,
            RoomError::OtherServer => Code::Internal,
            RoomError::NameTooLong { .. } => Code::InvalidArgument,
            RoomError::TooMany { .. } => Code::ResourceExhausted,
        };
        Self::new(code, error.to_string())
    }
}

/// Who is in which room. Rooms that nobody is in, and clients that are in none, are not there.
#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    rooms: HashMap<String, HashSet<PeerId>>,
    /// The rooms of each.
    peers: HashMap<PeerId, HashSet<String>>,
}

impl Rooms {
    pub(super) fn join(
        &self,
        name: &str,
        id: PeerId,
        is_gone: impl FnOnce() -> bool,
    ) -> Result<(), RoomError> {
        if name.len() > MAX_NAME_LEN {
            return Err(RoomError::NameTooLong {
                len: name.len(),
                max: MAX_NAME_LEN,
            });
        }
        let mut members = self.lock();
        if is_gone() {
            return Err(RoomError::Gone);
        }
        if members.peers.get(&id).map_or(0, HashSet::len) >= MAX_ROOMS && !members.is_in(name, id) {
            return Err(RoomError::TooMany {
                name: name.to_owned(),
                max: MAX_ROOMS,
            });
        }
        members.peers.entry(id).or_default().insert(name.to_owned());
        members.rooms.entry(name.to_owned()).or_default().insert(id);
        Ok(())
    }

    pub(super) fn leave(&self, name: &str, id: PeerId) -> bool {
        let mut members = self.lock();
        let Some(rooms) = members.peers.get_mut(&id) else {
            return false;
        };
        let was_in = rooms.remove(name);
        if rooms.is_empty() {
            members.peers.remove(&id);
        }
        members.remove_from(name, id);
        was_in
    }

    /// A client has gone.
    pub(super) fn leave_all(&self, id: PeerId) {
        let mut members = self.lock();
        for name in members.peers.remove(&id).unwrap_or_default() {
            members.remove_from(&name, id);
        }
    }

    /// What is held of a client's rooms, in bytes: each name twice, and its places in the tables.
    pub(super) fn len_of_peer(&self, id: PeerId) -> usize {
        let members = self.lock();
        let names = members.peers.get(&id).into_iter().flatten();
        names.map(|name| 2 * name.len() + MEMBER_LEN).sum()
    }

    pub(super) fn contains(&self, name: &str, id: PeerId) -> bool {
        self.lock().is_in(name, id)
    }

    pub(super) fn len_of(&self, name: &str) -> usize {
        self.lock().rooms.get(name).map_or(0, HashSet::len)
    }

    /// Who is in a room.
    pub(super) fn members(&self, name: &str) -> Vec<PeerId> {
        let members = self.lock();
        let ids = members.rooms.get(name).into_iter().flatten();
        ids.copied().collect()
    }

    /// The names of a client's rooms, in order.
    pub(super) fn of_peer(&self, id: PeerId) -> Vec<String> {
        let members = self.lock();
        let names = members.peers.get(&id).into_iter().flatten();
        let mut names: Vec<String> = names.cloned().collect();
        names.sort_unstable();
        names
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    fn is_in(&self, name: &str, id: PeerId) -> bool {
        self.rooms.get(name).is_some_and(|ids| ids.contains(&id))
    }

    fn remove_from(&mut self, name: &str, id: PeerId) {
        if let Some(ids) = self.rooms.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                self.rooms.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: PeerId = PeerId::new(1);
    const BOB: PeerId = PeerId::new(2);

    #[test]
    fn rooms_and_members_that_are_not_needed_are_not_there() {
        let rooms = Rooms::default();
        for (name, id) in [
            ("north", ADA),
            ("north", BOB),
            ("south", ADA),
            ("north", ADA),
        ] {
            rooms.join(name, id, || false).unwrap();
        }
        assert_eq!(rooms.len_of("north"), 2);
        assert_eq!(rooms.of_peer(ADA), ["north", "south"]);
        assert!(rooms.leave("south", ADA));
        assert!(!rooms.leave("south", ADA), "it has left already");
        rooms.leave_all(ADA);
        assert_eq!(rooms.members("north"), [BOB]);
        assert!(rooms.leave("north", BOB));
        let members = rooms.lock();
        assert!(
            members.rooms.is_empty() && members.peers.is_empty(),
            "{members:?}"
        );
    }

    #[test]
    fn limits_are_errors_and_change_nothing() {
        let rooms = Rooms::default();
        for number in 0..MAX_ROOMS {
            rooms
                .join(&format!("room {number}"), ADA, || false)
                .unwrap();
        }
        let full = rooms.join("one more", ADA, || false).unwrap_err();
        assert_eq!(
            full.to_string(),
            "the client is in 1024 rooms, and may not join room `one more` too"
        );
        rooms.join("room 7", ADA, || false).expect("it is in it");
        let long = rooms.join(&"x".repeat(257), BOB, || false).unwrap_err();
        assert_eq!(
            long.to_string(),
            "the name of the room has 257 bytes: at most 256 are allowed"
        );
        assert_eq!(rooms.join("north", BOB, || true), Err(RoomError::Gone));
        assert_eq!(rooms.lock().peers.len(), 1);
    }
}
