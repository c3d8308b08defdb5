//! The identity of a peer, as this side has authenticated it.

use std::time::{Duration, SystemTime};

use crate::PeerId;
use msip_session::wire;

/// Who a client is, as its server has authenticated it: what
/// [`authenticate`](crate::ServerBuilder::authenticate) answers.
///
/// Handlers read it as [`peer.identity()`](crate::Peer::identity), and as the identity in the
/// [metadata](crate::Metadata::identity) of each message, where a middleware may have replaced it for one exchange.
///
/// A session is resumed only by its *principal*: the same [`method`](Self::method), [`issuer`](Self::issuer) and
/// [`subject`](Self::subject). Everything else is read anew at each connection.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use msip_runtime::Identity;
///
/// let identity = Identity::new("token")
///     .with_user("ada")
///     .with_role("operator")
///     .expires_at(SystemTime::now() + Duration::from_secs(3600));
/// assert!(identity.has_role("operator"));
/// assert_eq!(identity.subject(), "ada");
/// ```
///
/// # Protocol
///
/// docs/protocol.md, "Metadata": of all this only user, service, peer and roles are ever sent to another peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Identity {
    /// How it was authenticated: `token`, `certificate`, `jwt`. The application chooses the words.
    pub method: String,
    /// The user; empty where it is none.
    pub user: String,
    /// The service, where a program connects on its own behalf; empty where it is none.
    pub service: String,
    /// What it may do, in words of the application.
    pub roles: Vec<String>,
    /// Who vouches for it, such as the `iss` of a token; empty where there is only one.
    pub issuer: String,
    /// The time at which it ends; `None` for never. The client is told then with `CLOSE UNAUTHENTICATED`, nothing new is
    /// accepted from it, and its connection ends.
    pub expires: Option<SystemTime>,
    /// The client's id; set by the server.
    pub peer: Option<PeerId>,
    /// Its name with the issuer, where that is neither the user nor the service.
    subject: String,
}

impl Identity {
    /// How much memory it takes, in bytes.
    pub(crate) fn len(&self) -> usize {
        let texts = [
            &self.method,
            &self.user,
            &self.service,
            &self.issuer,
            &self.subject,
        ];
        let roles = self
            .roles
            .iter()
            .map(|role| role.len() + size_of::<String>());
        size_of::<Self>() + texts.map(String::len).iter().sum::<usize>() + roles.sum::<usize>()
    }

    /// An identity of nobody yet, authenticated by this method.
    #[must_use]
    pub fn new(method: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            ..Self::default()
        }
    }

    /// The same as this user.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// The same as this service.
    #[must_use]
    pub fn with_service(mut self, service: impl Into<String>) -> Self {
        self.service = service.into();
        self
    }

    /// The same with one more role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// The same with these roles besides those that it has.
    #[must_use]
    pub fn with_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles.extend(roles.into_iter().map(Into::into));
        self
    }

    /// The same, vouched for by this issuer.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// The same with this name among all that its issuer vouches for, such as the `sub` of a token.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// The same, until this time.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expires = Some(time);
        self
    }

    /// Its name with the issuer: what [`with_subject`](Self::with_subject) has said, else the user, else the service.
    #[must_use]
    pub fn subject(&self) -> &str {
        let names = [&self.subject, &self.user, &self.service];
        names
            .into_iter()
            .find(|name| !name.is_empty())
            .map_or("", String::as_str)
    }

    /// Whether it has this role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    /// The same of the client with this id.
    pub(crate) fn of_peer(mut self, id: PeerId) -> Self {
        self.peer = Some(id);
        self
    }

    /// Who a client of a broker is, as the broker says. `None` where it has authenticated nobody.
    pub(crate) fn of_presence(about: &wire::broker::PresenceInd) -> Option<Self> {
        let is_named = !about.user.is_empty() || !about.service.is_empty();
        if !is_named && about.roles.is_empty() && matches!(&*about.principal, "" | "anonymous") {
            return None;
        }
        let subject = about.principal.clone();
        Some(Self {
            user: about.user.clone(),
            service: about.service.clone(),
            roles: about.roles.clone(),
            peer: Some(PeerId::of_name(&about.peer)),
            ..Self::new("broker").with_subject(subject)
        })
    }

    /// Whether it says nothing but which peer it is.
    pub(crate) fn is_nameless(&self) -> bool {
        self.user.is_empty()
            && self.service.is_empty()
            && self.roles.is_empty()
            && self.subject().is_empty()
    }

    /// How long it still holds: nothing where it has expired, `None` where it never does.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let expires = self.expires?;
        Some(
            expires
                .duration_since(SystemTime::now())
                .unwrap_or_default(),
        )
    }
}

/// As this side states it.
impl From<&Identity> for wire::Identity {
    fn from(identity: &Identity) -> Self {
        Self {
            user: identity.user.clone(),
            service: identity.service.clone(),
            peer: identity.peer.map_or(0, PeerId::number),
            roles: identity.roles.clone(),
        }
    }
}

/// As another peer, such as a broker, has authenticated it.
impl From<wire::Identity> for Identity {
    fn from(identity: wire::Identity) -> Self {
        let wire::Identity {
            user,
            service,
            peer,
            roles,
        } = identity;
        Self {
            user,
            service,
            roles,
            peer: (peer != 0).then(|| PeerId::new(peer)),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_is_what_was_said_or_the_user_or_the_service() {
        let identity = Identity::new("token").with_service("billing");
        assert_eq!(identity.subject(), "billing");
        let identity = identity.with_user("ada");
        assert_eq!(identity.subject(), "ada");
        assert_eq!(identity.with_subject("u-17").subject(), "u-17");
        assert_eq!(Identity::new("none").subject(), "");
    }

    #[test]
    fn an_identity_of_the_wire_keeps_what_is_sent() {
        let identity = Identity::from(wire::Identity {
            user: "ada".into(),
            peer: 7,
            roles: vec!["operator".into()],
            ..wire::Identity::default()
        });
        assert_eq!(identity.user, "ada");
        assert_eq!(identity.peer, Some(PeerId::new(7)));
        assert!(identity.has_role("operator") && !identity.has_role("Operator"));
        assert_eq!(identity.method, "");
        assert_eq!(Identity::from(wire::Identity::default()).peer, None);
    }
}
