//! Who may connect: the holders of tokens. The hub keeps the tokens' hashes only.

use std::collections::HashMap;

use msip_runtime::{Authenticator, ConnectRequest, Identity, Status};
use sha2::{Digest as _, Sha256};

/// The role of those who take commands, and tell how they are.
pub(crate) const DEVICE: &str = "device";

/// The role of those who give commands, and watch.
pub(crate) const OPERATOR: &str = "operator";

/// The fleet's tokens, with their holders and roles. They are in the source for the example alone.
const KNOWN: [(&str, &str, &str); 4] = [
    ("7d1f-van-1", "van-1", DEVICE),
    ("a90c-van-2", "van-2", DEVICE),
    ("e24b-van-3", "van-3", DEVICE),
    ("54f8-olga", "olga", OPERATOR),
];

/// The token of this name, for the other parts of the example; empty if there is none.
pub(crate) fn token_of(name: &str) -> &'static str {
    let found = KNOWN.iter().find(|(_, holder, _)| *holder == name);
    found.map_or("", |(token, ..)| token)
}

/// The holders of tokens, by the hashes of the tokens.
pub(crate) struct Tokens(HashMap<[u8; 32], Identity>);

impl Tokens {
    pub(crate) fn known() -> Self {
        let hashed = |(token, holder, role)| {
            let identity = Identity::new("token").with_user(holder).with_role(role);
            (Sha256::digest(token).into(), identity)
        };
        Self(KNOWN.map(hashed).into())
    }
}

impl Authenticator for Tokens {
    async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
        let hash: [u8; 32] = Sha256::digest(client.credential()).into();
        match self.0.get(&hash) {
            Some(identity) => Ok(Some(identity.clone())),
            // The client is not told more than that; the log is.
            None => Err(Status::unauthenticated("unknown token")),
        }
    }
}
