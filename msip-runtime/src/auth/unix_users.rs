//! Processes of this machine, by their users.

use std::collections::BTreeMap;

use crate::{Authenticator, ConnectRequest, Identity, Status, transport::PeerCredential};

/// Says who a process is that connects over a Unix socket: by the user and the group that it runs as, as the system reports them.
///
/// A user that is not listed is refused, also where another authenticator follows, unless
/// [`pass_unlisted`](Self::pass_unlisted) leaves it to that one. Clients of other transports are left to the next one in any
/// case.
///
/// The identity's method is `unix`, and its subject the user id in digits.
///
/// # Examples
///
/// ```
/// use msip_runtime::auth::UnixUsers;
///
/// let users = UnixUsers::new()
///     .user(1000, "ada", ["operator"])
///     // Everyone whose primary group it is.
///     .group(50, ["member"]);
/// // Server::<Chat>::builder("unix:///run/chat.sock?mode=0660").authenticate(users)
/// # let _ = users;
/// ```
#[derive(Debug, Clone, Default)]
pub struct UnixUsers {
    users: BTreeMap<u32, User>,
    groups: BTreeMap<u32, Vec<String>>,
    passes_unlisted: bool,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    roles: Vec<String>,
}

impl UnixUsers {
    /// Knows nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the user with this id in, with this name and these roles. A later call replaces an earlier one for the same id.
    #[must_use]
    pub fn user<R: Into<String>>(
        mut self,
        uid: u32,
        name: impl Into<String>,
        roles: impl IntoIterator<Item = R>,
    ) -> Self {
        let user = User {
            name: name.into(),
            roles: roles.into_iter().map(Into::into).collect(),
        };
        self.users.insert(uid, user);
        self
    }

    /// Lets every user in whose primary group has this id, with these roles, besides those that [`user`](Self::user) gives. Who is
    /// not named there is named `uid 1000`, after the user id. The other groups of a user are not known, and do not count.
    #[must_use]
    pub fn group<R: Into<String>>(mut self, gid: u32, roles: impl IntoIterator<Item = R>) -> Self {
        let roles = roles.into_iter().map(Into::into).collect();
        self.groups.insert(gid, roles);
        self
    }

    /// Leaves users that are not listed to the next authenticator, which may know them by an API key.
    #[must_use]
    pub fn pass_unlisted(mut self) -> Self {
        self.passes_unlisted = true;
        self
    }

    fn find(&self, uid: u32, gid: u32) -> Option<Identity> {
        let (user, of_group) = (self.users.get(&uid), self.groups.get(&gid));
        if user.is_none() && of_group.is_none() {
            return None;
        }
        let name = user.map_or_else(|| format!("uid {uid}"), |user| user.name.clone());
        let mut identity = Identity::new("unix")
            .with_user(name)
            .with_subject(uid.to_string());
        let own = user.map_or(&[][..], |user| &user.roles);
        for role in own.iter().chain(of_group.into_iter().flatten()) {
            if !identity.has_role(role) {
                identity.roles.push(role.clone());
            }
        }
        Some(identity)
    }
}

impl Authenticator for UnixUsers {
    async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
        let &PeerCredential::UnixUser { uid, gid } = client.transport_credential() else {
            return Ok(None);
        };
        match self.find(uid, gid) {
            None if !self.passes_unlisted => {
                let text = format!("the user {uid} (group {gid}) is not listed");
                Err(Status::unauthenticated(text))
            }
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_known_by_their_ids_and_roles_add_up() {
        let users = UnixUsers::new()
            .user(1000, "ada", ["operator", "member"])
            .group(50, ["member", "staff"]);
        let ada = users.find(1000, 50).unwrap();
        assert_eq!((&*ada.user, ada.subject()), ("ada", "1000"));
        assert_eq!(ada.roles, ["operator", "member", "staff"]);
        assert_eq!(users.find(1000, 51).unwrap().roles, ["operator", "member"]);
        let other = users.find(1001, 50).unwrap();
        assert_eq!((&*other.user, other.subject()), ("uid 1001", "1001"));
        assert_eq!(other.roles, ["member", "staff"]);
        assert_eq!(users.find(1001, 51), None);
        // A group's id is no user's.
        assert_eq!(users.find(50, 1000), None);
    }
}
