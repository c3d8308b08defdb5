//! What waits in an outbox.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use msip_session::MsgKind;

use crate::{
    router::{
        Assigned, ClientAt, Presence, Publication, SessionKey, TopicSpoken,
        fault_injection::FaultInjection,
    },
    topic::Filter,
};

/// What a session is given.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboxItem {
    /// Messages.
    Publication(Delivery),
    /// A call for a service.
    Exchange(Box<Assigned>),
    /// A client of a topic that it serves comes or goes.
    Presence(Arc<Presence>),
    /// The first service of a topic has come, of which this is a client.
    TopicSpoken(Arc<TopicSpoken>),
    /// A subscription has ended. It comes before all else, and alone.
    SubscriptionEnded(Filter, SubscriptionEnd),
}

/// Why a subscription has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// What allowed it was withdrawn.
    NotAllowed,
    /// It has a window of its own, and its client takes too little of what waits.
    SlowConsumer,
}

/// Messages on their way to one session.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The messages.
    pub publication: Arc<Publication>,
    /// For whom they are.
    pub target: Target,
    /// The instances that have failed at them before.
    pub tried: Vec<SessionKey>,
    /// The client, for an instance that hears each client apart: they go to `T/$in/<peer>`.
    pub client: Option<ClientAt>,
}

/// For whom messages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everyone who hears the topic.
    Everyone,
    /// One member of this group.
    Group(Arc<str>),
    /// One service of the topic.
    Service,
}

impl Delivery {
    /// One of these messages alone, whose frame this is.
    pub(crate) fn of_frame(&self, frame: Bytes) -> Self {
        let mut publication = Publication::clone(&self.publication);
        publication.pinned = frame.len();
        publication.frames = frame;
        publication.count = 1;
        Self {
            publication: Arc::new(publication),
            ..self.clone()
        }
    }
}

impl OutboxItem {
    /// Whose it is, for an instance that hears each client apart.
    pub(super) fn client(&self) -> Option<&ClientAt> {
        match self {
            Self::Publication(delivery) => delivery.client.as_ref(),
            Self::Exchange(assigned) => assigned.client.as_ref(),
            Self::Presence(_) | Self::TopicSpoken(_) | Self::SubscriptionEnded(..) => None,
        }
    }

    /// What it counts for: the memory that it keeps, and its messages.
    pub(super) fn size(&self) -> (usize, usize) {
        match self {
            Self::Publication(delivery) => {
                let publication = &delivery.publication;
                (publication.pinned, publication.count as usize)
            }
            Self::Exchange(assigned) => (assigned.request.exchange.pinned(), 1),
            Self::Presence(presence) => (presence.topic.len() + presence.peer.len() + 64, 1),
            Self::TopicSpoken(spoken) => (spoken.topic.len() + spoken.protocol.len() + 64, 1),
            // It never waits among the others.
            Self::SubscriptionEnded(..) => (0, 0),
        }
    }

    /// Whether it is for one of several, so that others can have it.
    pub(crate) fn is_for_one(&self) -> bool {
        match self {
            Self::Publication(delivery) => delivery.target != Target::Everyone,
            Self::Exchange(_) => true,
            Self::Presence(_) | Self::TopicSpoken(_) | Self::SubscriptionEnded(..) => false,
        }
    }

    pub(super) fn is_droppable(&self) -> bool {
        matches!(self, Self::Publication(delivery) if delivery.publication.is_droppable())
    }

    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Self::Publication(delivery) if delivery.publication.urgent)
    }

    pub(super) fn is_expired(&self, now: Duration) -> bool {
        match self {
            Self::Publication(delivery) => {
                let expires_at = delivery.publication.expires_at;
                expires_at.is_some_and(|at| at <= now) && !FaultInjection::DeliverExpired.is_on()
            }
            _ => false,
        }
    }

    /// Whether it waits for the next connection, where one is lost.
    pub(crate) fn is_kept_while_away(&self) -> bool {
        match self {
            Self::Publication(delivery) => {
                if FaultInjection::KeepUnacknowledged.is_on() {
                    return true;
                }
                let is_acked =
                    delivery.publication.wants_ack && !FaultInjection::LoseAcknowledged.is_on();
                is_acked || delivery.publication.kind == MsgKind::State
            }
            Self::Exchange(_) => false,
            Self::Presence(_) | Self::TopicSpoken(_) | Self::SubscriptionEnded(..) => true,
        }
    }

    /// Whether it is a STATE.
    pub(super) fn is_state(&self) -> bool {
        matches!(self, Self::Publication(delivery) if delivery.publication.state.is_some())
    }

    /// Which STATE it is, if it is one.
    pub(super) fn state_key(&self) -> Option<(Bytes, u16, Bytes)> {
        let Self::Publication(delivery) = self else {
            return None;
        };
        let state = delivery.publication.state.as_ref()?;
        Some((
            delivery.publication.topic.clone(),
            state.variant,
            state.key.clone(),
        ))
    }
}
