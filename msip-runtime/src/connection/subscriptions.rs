//! The subscriptions of a client: what it has asked a broker for, and makes again in its next session.
//!
//! The session sends again what a lost connection has left unanswered. What the broker has accepted is gone with the session,
//! and is asked for again as the first thing that is sent in the next one.

use std::{collections::BTreeMap, time::Duration};

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{NotSent, Queue, no_session},
    deadline::Deadline,
    exchange_table::OpenedExchange,
    reply_slot::ReplySlot,
};
use crate::{CallError, MsgKind, Status};
use msip_session::{
    Outcome, SubscribeHead, SubscribeReply, Token,
    wire::{ErrorText, Subscribe, Topic},
};

/// What a client asks a broker by SUBSCRIBE or UNSUBSCRIBE.
#[derive(Debug, Clone)]
pub(crate) struct SubscribeAsk {
    pub(crate) is_unsubscribe: bool,
    /// STATE; COMMAND for a grant.
    pub(crate) kind: MsgKind,
    pub(crate) topic: Topic,
    pub(crate) subscribe: Option<Subscribe>,
}

impl SubscribeAsk {
    fn head(&self) -> SubscribeHead<'_> {
        SubscribeHead {
            is_unsubscribe: self.is_unsubscribe,
            kind: self.kind,
            topic: &self.topic,
            subscribe: self.subscribe.as_ref(),
        }
    }

    /// A session has one subscription for each topic as it is written, and one grant.
    fn key(&self) -> Key {
        (
            self.kind == MsgKind::Command,
            self.topic.as_str().to_owned(),
        )
    }
}

type Key = (bool, String);

/// A subscription that was refused when it was made again.
#[derive(Debug)]
pub(crate) struct RefusedSubscription {
    pub(crate) topic: Topic,
    pub(crate) text: ErrorText,
}

/// The subscriptions of a client. The broker limits how many it accepts.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    made: BTreeMap<Key, SubscribeAsk>,
    /// What is not answered, by its exchange.
    asked: BTreeMap<Token, Asked>,
    refused: Vec<RefusedSubscription>,
}

#[derive(Debug)]
enum Asked {
    /// By a caller.
    First(SubscribeAsk),
    /// Of an earlier session.
    Again(Key),
}

impl Subscriptions {
    /// An exchange has ended; it may be none of these.
    pub(super) fn ended(&mut self, token: Token, outcome: &Outcome) {
        let Some(asked) = self.asked.remove(&token) else {
            return;
        };
        match (asked, outcome) {
            (Asked::First(ask), Outcome::Answer { .. }) => {
                self.made.insert(ask.key(), ask);
            }
            (Asked::Again(key), Outcome::Error(text, _)) => {
                if let Some(ask) = self.made.remove(&key) {
                    self.refused.push(RefusedSubscription {
                        topic: ask.topic,
                        text: text.clone(),
                    });
                }
            }
            // Where it was lost it is made again in the next session, if it was made before.
            _ => {}
        }
    }

    /// Nobody waits for this exchange any more; it may be none of these.
    pub(super) fn forget(&mut self, token: Token) {
        self.asked.remove(&token);
    }

    /// It is not wanted any more, accepted or not.
    fn revoke(&mut self, ask: &SubscribeAsk) {
        let key = ask.key();
        self.made.remove(&key);
        self.asked.retain(|_, asked| match asked {
            Asked::First(ask) => ask.key() != key,
            Asked::Again(again) => *again != key,
        });
    }
}

impl ConnectionShared {
    /// Asks the server, which is to be a broker, and waits for its answer, for `limit` at most.
    pub(crate) async fn subscribe(
        &self,
        ask: &SubscribeAsk,
        limit: Option<Duration>,
    ) -> Result<(), CallError> {
        let limit = limit.unwrap_or(self.call_timeout);
        let deadline = Deadline {
            timeout: Some(limit),
            at: self.now().saturating_add(limit),
            wire_ms: None,
        };
        let attempt =
            |state: &mut ConnectionInner, deadline: Deadline| state.ask_subscribe(ask, deadline.at);
        let len = ask.topic.len();
        let opened = self
            .open(Queue::Calls, true, len, limit, deadline, attempt)
            .await?;
        match opened.outcome(self).await.0 {
            Outcome::Answer { .. } => Ok(()),
            outcome => Err(self.failure(outcome, limit)),
        }
    }
}

impl ConnectionInner {
    fn ask_subscribe(
        &mut self,
        ask: &SubscribeAsk,
        deadline: Duration,
    ) -> Result<OpenedExchange, NotSent> {
        if self.is_held(0) {
            return Err(NotSent::Held);
        }
        let Self {
            session,
            exchanges,
            closed,
            subscriptions,
            ..
        } = self;
        let session = session
            .as_mut()
            .ok_or_else(|| no_session(closed.as_deref()))?;
        let entry = exchanges.vacant_entry();
        let token = entry.token();
        let slot = session
            .subscribe(&ask.head(), token, deadline)
            .map_err(|blocked| NotSent::blocked(blocked, closed.as_deref()))?;
        let subscriptions = subscriptions.get_or_insert_default();
        if ask.is_unsubscribe {
            subscriptions.revoke(ask);
        } else {
            subscriptions.asked.insert(token, Asked::First(ask.clone()));
        }
        Ok(entry.insert_unary(slot, ReplySlot::new(None)))
    }

    /// Makes the subscriptions of earlier sessions again, in a session that was just begun.
    pub(super) fn restore_subscriptions(&mut self) {
        let Self {
            session: Some(session),
            exchanges,
            subscriptions: Some(subscriptions),
            ..
        } = self
        else {
            return;
        };
        let Subscriptions { made, asked, .. } = &mut **subscriptions;
        for (key, ask) in made {
            let entry = exchanges.vacant_entry();
            let token = entry.token();
            match session.restore(&ask.head(), token) {
                Ok(slot) => {
                    entry.insert_unattended(slot);
                    asked.insert(token, Asked::Again(key.clone()));
                }
                // More than there are exchanges, or the session is closing: none of the others can be made either.
                Err(error) => {
                    tracing::warn!(%error, restored = asked.len(), "not all subscriptions are made again");
                    return;
                }
            }
        }
    }

    /// A subscription that was refused when it was made again.
    #[inline]
    pub(crate) fn take_refused_subscription(&mut self) -> Option<RefusedSubscription> {
        self.subscriptions.as_mut()?.refused.pop()
    }
}

/// The side of a broker.
impl ConnectionShared {
    /// Answers a SUBSCRIBE or an UNSUBSCRIBE of the session with this generation; nothing where another one is there.
    pub(crate) fn answer_subscribe(
        &self,
        generation: u64,
        reply: SubscribeReply,
        outcome: Result<(), &Status>,
    ) {
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        if let Some(session) = state.session() {
            session.answer_subscribe(reply, outcome.map_err(Status::as_error));
        }
        self.note_backlog(&mut state);
        state.wake_driver();
    }
}
