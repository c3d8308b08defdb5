//! Sessions publish.

use std::time::Duration;

use bytes::Bytes;
use msip_session::{MsgKind, wire::Code};

use super::{
    Checked, Link, TOPICS, World,
    limits::{KEPT, MAX_RUN, SIZE},
    message::{Message, frames},
    settling::Sending,
};
use crate::{
    access::Uses,
    router::{Dialect, Publication, Published, StateKey, Target, WakeList},
};

impl World {
    /// An urgent message has a number that is divisible by 5.
    pub(super) fn is_urgent(&self, number: u64) -> bool {
        number.is_multiple_of(5)
    }

    pub(super) fn topic(&mut self) -> String {
        let topic = *self.random.one_of(&TOPICS);
        match self.random.below(8) {
            0 | 1 => format!("{topic}/$in"),
            2 => {
                let to = self.random.below(self.sims.len());
                format!("{topic}/$to/{}", self.sims[to].handle.peer())
            }
            _ => topic.to_owned(),
        }
    }

    pub(super) fn publish(&mut self, at: usize) -> Checked {
        const KINDS: [MsgKind; 8] = [
            MsgKind::Event,
            MsgKind::Event,
            MsgKind::Event,
            MsgKind::Command,
            MsgKind::Command,
            MsgKind::State,
            MsgKind::State,
            MsgKind::Log,
        ];
        let topic = self.topic();
        let kind = *self.random.one_of(&KINDS);
        self.publish_as(at, topic, kind)
    }

    pub(super) fn publish_as(&mut self, at: usize, topic: String, kind: MsgKind) -> Checked {
        let is_state = kind == MsgKind::State;
        let count = match is_state || self.random.once_in(2) {
            true => 1,
            false => 1 + self.random.below(MAX_RUN),
        };
        let numbers: Vec<u64> = (self.next..).take(count).collect();
        self.next += count as u64;
        let is_cleared = is_state && self.random.once_in(4);
        let message = Message {
            topic: topic.clone(),
            target: Target::Everyone,
            kind,
            is_call: false,
            acked: kind != MsgKind::Log && (is_state || !self.random.once_in(3)),
            urgent: self.is_urgent(numbers[0]),
            idempotent: self.random.once_in(2),
            expires: self
                .random
                .once_in(6)
                .then_some(self.now + Duration::from_secs(5)),
            key: is_state.then(|| self.random.one_of(&["", "k"]).to_string()),
            sticky: match self.sims[at].dialect {
                Dialect::Mip | Dialect::MiddleMan => None,
                Dialect::Msip => {
                    *self
                        .random
                        .one_of(&[None, None, Some("1"), Some("2"), Some("3")])
                }
            },
            from: at,
            client: None,
            tried: Vec::new(),
            is_new: true,
            numbers,
        };
        let mut publication = Publication::new(
            self.sims[at].handle.key(),
            Bytes::copy_from_slice(topic.as_bytes()),
            kind,
            frames(&message),
            u32::try_from(count).expect("few"),
        );
        publication.pinned = SIZE * count;
        publication.urgent = message.urgent;
        publication.wants_ack = message.acked;
        publication.is_idempotent = message.idempotent;
        publication.expires_at = message.expires;
        publication.sticky_key = message.sticky.map(|key| Bytes::from_static(key.as_bytes()));
        publication.state = message.key.as_ref().map(|key| StateKey {
            variant: 1,
            key: Bytes::copy_from_slice(key.as_bytes()),
            is_cleared,
        });
        let now = self.now;
        let published = self.sims[at]
            .publisher
            .publish(publication, now, &mut WakeList::new());
        self.say(|| format!("{at} publishes {message:?} {is_cleared}: {published:?}"));
        let published = published.map_err(|refused| refused.code);
        let expect = |expected: Result<Published, Code>| match published == expected {
            true => Ok(()),
            false => Err(format!(
                "{at} publishes to {topic}: {published:?}, not {expected:?}"
            )),
        };
        if let Link::Ended(_) = self.sims[at].link {
            return expect(Err(Code::Unavailable));
        }
        if let Err(code) = self.may_send(at, Uses::Publish, &topic) {
            return expect(Err(code));
        }
        let mut sending = Sending::from(at);
        let about = topic.strip_suffix("/$in").unwrap_or(&topic);
        let services = self.hearing(&format!("{about}/$in"), None);
        // What a service sends to its clients is for them; to `T/$in` it sends as a client.
        let is_to_clients = services.contains(&at) && !topic.ends_with("/$in");
        if kind == MsgKind::Command && !topic.contains("$to") && !is_to_clients {
            let is_mip = self.sims[at].dialect == Dialect::Mip;
            if is_mip {
                for to in self.hearing(&topic, Some(None)) {
                    if self.sims[to].dialect == Dialect::Mip {
                        self.give(&mut sending, to, message.clone());
                    }
                }
            }
            if !is_mip || !services.is_empty() {
                let for_one = Message {
                    target: Target::Service,
                    ..message
                };
                self.place(&mut sending, for_one)?;
            }
            return expect(self.sent(sending, true, false)?);
        }
        if let Some(key) = &message.key {
            let key = (topic.clone(), key.clone());
            match (is_cleared, self.kept.contains_key(&key)) {
                (true, _) => {
                    self.kept.remove(&key);
                }
                (false, false) if self.kept.len() >= KEPT => {
                    return expect(Err(Code::ResourceExhausted));
                }
                (false, _) => {
                    let (number, expires) = (message.numbers[0], message.expires);
                    self.kept.insert(key, (number, expires, at));
                }
            }
        }
        let groups = !self.hearing(&topic, Some(Some("g"))).is_empty();
        let is_acked = message.acked;
        self.send_to_all(&mut sending, &message)?;
        if groups {
            let for_one = Message {
                target: Target::Group("g".into()),
                ..message
            };
            self.place(&mut sending, for_one)?;
        }
        expect(self.sent(sending, false, is_acked)?)
    }

    /// What has become of a publication.
    fn sent(
        &mut self,
        mut sending: Sending,
        is_for_service: bool,
        is_acked: bool,
    ) -> Result<Result<Published, Code>, String> {
        self.finish(&mut sending)?;
        let unplaced = std::mem::take(&mut sending.unplaced).into_iter();
        let (new, old): (Vec<_>, Vec<_>) = unplaced.partition(|one| one.is_new);
        self.bury(old)?;
        if is_for_service && sending.receivers == 0 && !new.is_empty() {
            // Its sender knows.
            return Ok(Err(sending.code()));
        }
        self.bury(new)?;
        if sending.is_crowded && is_acked {
            return Ok(Err(Code::ResourceExhausted));
        }
        Ok(Ok(Published {
            receivers: sending.receivers,
            dropped: sending.dropped,
            is_congested: sending.is_congested,
        }))
    }
}
