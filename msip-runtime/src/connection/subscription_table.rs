//! The subscriptions of a client: what it has asked a broker for, and makes again in its next session.
//!
//! The session sends again what a lost connection has left unanswered. What the broker has accepted is gone with the session,
//! and is asked for again as the first thing that is sent in the next one.

use std::collections::BTreeMap;

use crate::MsgKind;
use msip_session::{
    Outcome, SubscribeHead, Token,
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
    pub(super) fn head(&self) -> SubscribeHead<'_> {
        SubscribeHead {
            is_unsubscribe: self.is_unsubscribe,
            kind: self.kind,
            topic: &self.topic,
            subscribe: self.subscribe.as_ref(),
        }
    }

    /// A session has one subscription for each topic as it is written, and one grant.
    pub(super) fn key(&self) -> Key {
        (
            self.kind == MsgKind::Command,
            self.topic.as_str().to_owned(),
        )
    }
}

pub(super) type Key = (bool, String);

/// A subscription that was refused when it was made again.
#[derive(Debug)]
pub(crate) struct RefusedSubscription {
    pub(crate) topic: Topic,
    pub(crate) text: ErrorText,
}

/// The subscriptions of a client. The broker limits how many it accepts.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    pub(super) made: BTreeMap<Key, SubscribeAsk>,
    /// What is not answered, by its exchange.
    pub(super) pending: BTreeMap<Token, PendingSubscribe>,
    pub(super) refused: Vec<RefusedSubscription>,
}

#[derive(Debug)]
pub(super) enum PendingSubscribe {
    /// By a caller.
    First(SubscribeAsk),
    /// Of an earlier session.
    Again(Key),
}

impl Subscriptions {
    /// An exchange has ended; it may be none of these.
    pub(super) fn ended(&mut self, token: Token, outcome: &Outcome) {
        let Some(pending) = self.pending.remove(&token) else {
            return;
        };
        match (pending, outcome) {
            (PendingSubscribe::First(ask), Outcome::Answer { .. }) => {
                self.made.insert(ask.key(), ask);
            }
            (PendingSubscribe::Again(key), Outcome::Error(text, _)) => {
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
        self.pending.remove(&token);
    }

    /// It is not wanted any more, accepted or not.
    pub(super) fn revoke(&mut self, ask: &SubscribeAsk) {
        let key = ask.key();
        self.made.remove(&key);
        self.pending.retain(|_, pending| match pending {
            PendingSubscribe::First(ask) => ask.key() != key,
            PendingSubscribe::Again(again) => *again != key,
        });
    }
}
