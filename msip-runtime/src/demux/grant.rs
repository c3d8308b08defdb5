//! What a service grants the broker of one client.

use std::sync::Arc;

use msip_session::wire::Credit;

/// So much more of a client may be forwarded.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) topic: Arc<str>,
    pub(super) peer: Arc<str>,
    pub(super) credit: Credit,
    /// How many messages may be forwarded ahead from here on; nothing where that has not changed.
    pub(super) window: Option<u32>,
    /// The connection that it is for: the next one begins with a window anew.
    pub(super) connection: u64,
}
