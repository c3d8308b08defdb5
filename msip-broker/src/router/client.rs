//! A client of typed topics, as the instances of their services are told of it.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    About, Introduction, Presence, SessionKey,
    fault_injection::FaultInjection,
    packed_about::PackedAbout,
    sync::{Mutex, lock},
};
use crate::{access::Principal, small_map::SmallMap};

/// A session as a client of topics.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) key: SessionKey,
    pub(super) peer: Arc<str>,
    pub(super) principal: Principal,
    about: Option<PackedAbout>,
    /// Where it takes part in typed traffic, by topic.
    parts: Mutex<SmallMap<Bytes, Part>>,
}

/// How a client takes part in a topic.
#[derive(Debug, Default)]
struct Part {
    /// What it has said that it speaks there.
    spoken: Option<(Arc<str>, u64)>,
    /// The instance that looks after it.
    carer: Option<SessionKey>,
}

/// A client at a topic, for an instance that hears each client apart.
#[derive(Debug, Clone)]
pub struct ClientAt {
    /// The topic `T`, without wildcards and without `$in`.
    pub topic: Bytes,
    pub(super) client: Arc<Client>,
}

impl PartialEq for ClientAt {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.client, &other.client) && self.topic == other.topic
    }
}

impl Eq for ClientAt {}

impl ClientAt {
    /// The client's name in `T/$in/<peer>`.
    pub fn peer(&self) -> &str {
        &self.client.peer
    }
}

impl Client {
    pub(super) fn new(
        key: SessionKey,
        peer: Arc<str>,
        principal: Principal,
        about: Option<About>,
    ) -> Self {
        Self {
            key,
            peer,
            principal,
            about: about.map(PackedAbout::from),
            parts: Mutex::default(),
        }
    }

    /// It takes part in a topic from here on, if it has not, and speaks this there.
    pub(super) fn comes(&self, topic: &Bytes, spoken: Option<(Arc<str>, u64)>) {
        let mut parts = lock(&self.parts);
        let part = parts.get_or_default(topic);
        if spoken.is_some() {
            part.spoken = spoken;
        }
    }

    /// Whether it takes part in a topic, or may: in so many at most.
    pub(super) fn may_take_part(&self, topic: &[u8], most: usize) -> bool {
        let parts = lock(&self.parts);
        parts.len() < most || parts.contains_key(topic)
    }

    /// It takes part in a topic no longer; `false` if it has not.
    pub(super) fn leaves(&self, topic: &[u8]) -> bool {
        lock(&self.parts).remove(topic).is_some()
    }

    /// The topics that it takes part in.
    pub(super) fn topics(&self) -> Vec<Bytes> {
        let mut topics: Vec<_> = lock(&self.parts).keys().cloned().collect();
        topics.sort_unstable();
        topics
    }

    /// Which instance looks after it at a topic.
    pub(super) fn carer(&self, topic: &[u8]) -> Option<SessionKey> {
        lock(&self.parts).get(topic)?.carer
    }

    /// Nobody looks after it at a topic, if it was this instance that did.
    pub(super) fn lose_carer(&self, topic: &[u8], instance: SessionKey) -> bool {
        let mut parts = lock(&self.parts);
        let part = parts.get_mut(topic);
        part.is_some_and(|part| part.carer.take_if(|carer| *carer == instance).is_some())
    }

    /// What an instance is told that has not heard of it, or that looks after it from here on. The first one looks after it.
    pub(super) fn introduction(
        &self,
        topic: &Bytes,
        instance: SessionKey,
        is_handed_over: bool,
    ) -> Presence {
        let mut parts = lock(&self.parts);
        let part = parts.get_or_default(topic);
        let carer = *part.carer.get_or_insert(instance);
        let about = self.about.as_ref().map(PackedAbout::unpack);
        let about = about.unwrap_or_default();
        let (protocol, fingerprint) = match &part.spoken {
            Some((protocol, fingerprint)) => (String::from(&**protocol), *fingerprint),
            None => (about.protocol.clone(), about.fingerprint),
        };
        let introduction = Introduction {
            looks_after: carer == instance || FaultInjection::AllLookAfter.is_on(),
            is_handed_over,
            about: About {
                protocol,
                fingerprint,
                ..about
            },
        };
        Presence {
            introduction: Some(Box::new(introduction)),
            ..self.presence(topic, true)
        }
    }

    /// What an instance is told when it has gone.
    pub(super) fn presence(&self, topic: &Bytes, is_there: bool) -> Presence {
        Presence {
            topic: topic.clone(),
            peer: (*self.peer).to_owned(),
            session: self.key,
            principal: self.principal.clone(),
            is_there,
            introduction: None,
        }
    }
}
