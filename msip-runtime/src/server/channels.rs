//! The sessions of a server that have channels, and to which of them a further connection belongs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::{protocols::ServedPeer, sessions::is_equal};
use crate::{
    PeerId, Status,
    channel::{ChannelClaim, ChannelKey, KindSet},
    connection::{ConnectionShared, Signal},
};
use msip_session::wire::{SessionId, Welcome};

/// The text with which a connection is refused that is no channel of the session that it names, whatever was wrong.
const REFUSAL: &str = "the channel does not belong to that session";

/// The sessions that have channels, by the ids that clients chose; at most those that the server has.
#[derive(Debug, Default)]
pub(super) struct ChannelTable(Mutex<HashMap<SessionId, Arc<ChannelHost>>>);

/// A session that has channels, as they see it.
pub(super) struct ChannelHost {
    key: ChannelKey,
    /// The hash of the session's protocol and principal.
    owner: [u8; 32],
    /// The fingerprint of the client's schema.
    fingerprint: u64,
    kinds: Vec<KindSet>,
    /// For each channel, the number of the last claim: no token up to it is taken any more.
    last: Mutex<Vec<u64>>,
    pub(super) id: PeerId,
    pub(super) main: Arc<ConnectionShared>,
    pub(super) peer: Arc<dyn ServedPeer>,
    /// Raised once the session ends.
    pub(super) over: Arc<Signal>,
    /// How many connections of channels there are.
    running: watch::Sender<usize>,
}

/// What the HELLO of a session asks for.
pub(super) struct ChannelRequest {
    pub(super) session: SessionId,
    pub(super) owner: [u8; 32],
    pub(super) fingerprint: u64,
    pub(super) kinds: Vec<KindSet>,
}

/// A connection that has proved which channel it is.
pub(super) struct BoundChannel {
    pub(super) host: Arc<ChannelHost>,
    /// Which of the session's channels.
    pub(super) index: usize,
    _running: Running,
}

/// The place of a session in the table.
pub(super) struct HostedChannels {
    table: Arc<ChannelTable>,
    session: SessionId,
    host: Arc<ChannelHost>,
}

/// Counts a connection.
struct Running(Arc<ChannelHost>);

impl Running {
    fn new(host: &Arc<ChannelHost>) -> Self {
        host.running.send_modify(|count| *count += 1);
        Self(Arc::clone(host))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.send_modify(|count| *count -= 1);
    }
}

/// The kinds of each channel that a HELLO asks for.
///
/// # Errors
///
/// What is wrong with them.
pub(super) fn parse_kinds(bytes: &[u8]) -> Result<Vec<KindSet>, Status> {
    let invalid = || {
        let text = "the extension `channels` of HELLO is not a set of kinds for each channel";
        Status::invalid_argument(text)
    };
    let mut all = KindSet::default();
    let mut channels = Vec::new();
    for byte in bytes {
        let kinds = KindSet::from_byte(*byte).ok_or_else(invalid)?;
        if kinds.without(all) != kinds {
            return Err(invalid());
        }
        all = all.and(kinds);
        channels.push(kinds);
    }
    Ok(channels)
}

impl ChannelHost {
    pub(super) fn new(
        asked: ChannelRequest,
        key: ChannelKey,
        id: PeerId,
        main: &Arc<ConnectionShared>,
        peer: &Arc<dyn ServedPeer>,
    ) -> Arc<Self> {
        let ChannelRequest {
            owner,
            fingerprint,
            kinds,
            ..
        } = asked;
        Arc::new(Self {
            key,
            owner,
            fingerprint,
            last: Mutex::new(vec![0; kinds.len()]),
            kinds,
            id,
            main: Arc::clone(main),
            peer: Arc::clone(peer),
            over: Arc::default(),
            running: watch::Sender::new(0),
        })
    }
}

impl ChannelTable {
    /// The key of a new session's tokens; `replaces` tells whether its client has proved that the id is its own. `None` where the
    /// id is that of another session with channels, and where there are no random numbers.
    pub(super) fn key_for(&self, session: SessionId, replaces: bool) -> Option<ChannelKey> {
        if !replaces && self.lock().contains_key(&session) {
            return None;
        }
        ChannelKey::draw().ok()
    }

    /// Takes the channels of a session from here on.
    pub(super) fn host(
        self: &Arc<Self>,
        session: SessionId,
        host: Arc<ChannelHost>,
    ) -> HostedChannels {
        host.main.begin_channels(&host.kinds);
        self.lock().insert(session, Arc::clone(&host));
        HostedChannels {
            table: Arc::clone(self),
            session,
            host,
        }
    }

    /// Finds the session of which a connection claims to be a channel. Its token is used up.
    pub(super) fn bind(
        &self,
        claim: &ChannelClaim,
        owner: &[u8; 32],
        fingerprint: u64,
    ) -> Result<BoundChannel, Status> {
        let refused = || Status::unauthenticated(REFUSAL);
        let host = self.lock().get(&claim.session).cloned();
        let host = host.ok_or_else(refused)?;
        let index = usize::from(claim.channel);
        if !host.key.proves(claim) {
            return Err(refused());
        }
        {
            let mut last = host.last.lock().unwrap_or_else(PoisonError::into_inner);
            let last = last.get_mut(index).ok_or_else(refused)?;
            if claim.number <= *last {
                return Err(refused());
            }
            *last = claim.number;
        }
        if !is_equal(&host.owner, owner) || host.fingerprint != fingerprint {
            return Err(refused());
        }
        let running = Running::new(&host);
        if host.over.is_raised() {
            return Err(refused());
        }
        Ok(BoundChannel {
            host,
            index,
            _running: running,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<ChannelHost>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostedChannels {
    /// Gives the client the key of its tokens once more.
    pub(super) fn tell(&self, welcome: &mut Welcome) {
        self.host.key.tell(welcome);
    }

    /// The session has ended: closes its channels, and waits until what came by them was handled, for so long at most.
    pub(super) async fn end(self, limit: Duration) {
        self.host.over.raise();
        let mut running = self.host.running.subscribe();
        let none_left = running.wait_for(|count| *count == 0);
        if timeout(limit, none_left).await.is_err() {
            tracing::debug!(
                ?limit,
                "channels of a session that is over did not end in time"
            );
        }
    }
}

/// No connection finds the session any more, and those that it has end.
impl Drop for HostedChannels {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        let known = table.get(&self.session);
        if known.is_some_and(|known| Arc::ptr_eq(known, &self.host)) {
            table.remove(&self.session);
        }
        drop(table);
        self.host.over.raise();
    }
}

impl std::fmt::Debug for ChannelHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelHost")
            .field("id", &self.id)
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_channels_are_sets_without_a_kind_in_common() {
        let shown = |bytes: &[u8]| {
            let kinds = parse_kinds(bytes).ok()?;
            Some(kinds.iter().map(KindSet::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            shown(&[0x30, 0x02]),
            Some(vec!["log,metric".to_owned(), "event".to_owned()])
        );
        assert_eq!(shown(&[]), Some(Vec::new()));
        for (name, bytes) in [
            ("no kind", &[0][..]),
            ("a COMMAND", &[0x04]),
            ("an unknown kind", &[0x40]),
            ("no kind of number 0", &[0x01]),
            ("one kind twice", &[0x10, 0x30]),
            ("many", &[0x02, 0x08, 0x10, 0x20, 0x02]),
        ] {
            assert_eq!(shown(bytes), None, "{name}");
        }
    }
}
