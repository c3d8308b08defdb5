//! The client of an exchange, as the middleware of its server sees it.

use std::{fmt::Debug, sync::Arc};

use crate::{Extensions, Identity, PeerId, transport::PeerAddress};

/// A client of whatever protocol.
pub(crate) trait RemotePeer: Debug + Send + Sync {
    fn id(&self) -> PeerId;

    /// Where it connects from.
    fn address(&self) -> PeerAddress;

    /// Who it is by its current connection.
    fn identity(&self) -> Option<Arc<Identity>>;

    /// What the application keeps for it.
    fn extensions(&self) -> &Extensions;
}
