//! Clients that do not say who they are.

use crate::{Authenticator, ConnectRequest, Identity, Status};

/// Lets clients in that send no credential, with an identity that names nobody: the end of a chain.
///
/// A client that has sent a credential which no authenticator before this one knows is not let in: a mistyped or revoked key
/// never makes a guest of its owner.
///
/// The identity's method is `anonymous`, it has no subject, and its roles are those that it is given here. All anonymous clients
/// are one principal: a session of one is kept from another by its secret alone.
///
/// # Examples
///
/// ```
/// use msip_runtime::auth::Anonymous;
///
/// let guests = Anonymous::new().with_role("guest");
/// // Server::<Chat>::builder(url).authenticate(keys).authenticate(guests)
/// # let _ = guests;
/// ```
#[derive(Debug, Clone)]
pub struct Anonymous(Identity);

impl Anonymous {
    /// Lets them in without a role.
    #[must_use]
    pub fn new() -> Self {
        Self(Identity::new("anonymous"))
    }

    /// The same with one more role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.0 = self.0.with_role(role);
        self
    }
}

impl Default for Anonymous {
    fn default() -> Self {
        Self::new()
    }
}

impl Authenticator for Anonymous {
    async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
        Ok(client.credential().is_empty().then(|| self.0.clone()))
    }
}
