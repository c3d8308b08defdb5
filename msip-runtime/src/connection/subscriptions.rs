//! Subscribing, and answering those who subscribe.

use std::time::Duration;

use bytes::Bytes;

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{NotSent, Queue, no_session},
    deadline::Deadline,
    exchange_table::OpenedExchange,
    reply_slot::ReplySlot,
    subscription_table::{PendingSubscribe, RefusedSubscription, SubscribeAsk, Subscriptions},
};
use crate::{
    CallError, Code, MsgKind, Status, Unsupported,
    dialect::{Carries, Feature},
};
use msip_session::{
    Outcome, SubscribeReply,
    wire::{self, broker::SubscriptionEndedInd},
};

impl ConnectionShared {
    /// Asks the server, which is to be a broker, and waits for its answer, for `limit` at most. Returns the body of that.
    pub(crate) async fn subscribe(
        &self,
        ask: &SubscribeAsk,
        limit: Option<Duration>,
    ) -> Result<Bytes, CallError> {
        if let Some(carries) = self.carries {
            check_subscription(carries, ask)?;
        }
        let limit = limit.unwrap_or(self.call_timeout);
        let attempt =
            |state: &mut ConnectionInner, deadline: Deadline| state.ask_subscribe(ask, deadline.at);
        self.answer_of_broker(ask, limit, attempt).await
    }

    /// The same for the login of this number, whose subscription is of this session alone.
    pub(crate) async fn subscribe_at_login(
        &self,
        ask: &SubscribeAsk,
        limit: Duration,
        login: u64,
    ) -> Result<Bytes, CallError> {
        let attempt = |state: &mut ConnectionInner, deadline: Deadline| {
            state.open_subscribe(ask, deadline.at, login)
        };
        self.answer_of_broker(ask, limit, attempt).await
    }

    async fn answer_of_broker(
        &self,
        ask: &SubscribeAsk,
        limit: Duration,
        attempt: impl Fn(&mut ConnectionInner, Deadline) -> Result<OpenedExchange, NotSent>,
    ) -> Result<Bytes, CallError> {
        let deadline = Deadline {
            timeout: Some(limit),
            at: self.now().saturating_add(limit),
            wire_ms: None,
        };
        let len = ask.topic.len();
        let opened = self
            .open(Queue::Calls, true, len, limit, deadline, attempt)
            .await?;
        match opened.outcome(self).await.0 {
            Outcome::Answer { body, .. } => Ok(body),
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
        let opened = self.open_subscribe(ask, deadline, 0)?;
        let subscriptions = self.subscriptions.get_or_insert_default();
        if ask.is_unsubscribe {
            subscriptions.revoke(ask);
        } else {
            let first = PendingSubscribe::First(ask.clone());
            subscriptions.pending.insert(opened.token, first);
        }
        Ok(opened)
    }

    fn open_subscribe(
        &mut self,
        ask: &SubscribeAsk,
        deadline: Duration,
        login: u64,
    ) -> Result<OpenedExchange, NotSent> {
        if self.is_held(login) {
            return Err(NotSent::Held);
        }
        let Self {
            session,
            exchanges,
            closed,
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
        Ok(entry.insert_unary(slot, ReplySlot::new(None)))
    }

    /// Makes the subscriptions of earlier sessions again, in a session that was just begun.
    pub(super) fn restore_subscriptions(&mut self) {
        let Self {
            session,
            exchanges,
            subscriptions: Some(subscriptions),
            ..
        } = self
        else {
            return;
        };
        let Some(session) = session.as_mut() else {
            return;
        };
        let Subscriptions { made, pending, .. } = &mut **subscriptions;
        for (key, ask) in made {
            let entry = exchanges.vacant_entry();
            let token = entry.token();
            match session.restore(&ask.head(), token) {
                Ok(slot) => {
                    entry.insert_unattended(slot);
                    pending.insert(token, PendingSubscribe::Again(key.clone()));
                }
                // More than there are exchanges, or the session is closing: none of the others can be made either.
                Err(error) => {
                    tracing::warn!(%error, restored = pending.len(), "not all subscriptions are made again");
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

/// Refuses what a dialect lacks.
fn check_subscription(carries: &Carries, ask: &SubscribeAsk) -> Result<(), Unsupported> {
    if ask.kind == MsgKind::Command {
        carries.check(Feature::Grants)?;
    }
    if let Some(subscribe) = &ask.subscribe {
        if !subscribe.group.is_empty() {
            carries.check(Feature::Groups)?;
        }
        let is_typed = !subscribe.protocol.is_empty()
            || subscribe.by_peer
            || subscribe.schema_rule != wire::SchemaRule::Unspecified as i32;
        if is_typed {
            carries.check(Feature::SubscribedProtocols)?;
        }
    }
    carries.check_filter(&ask.topic)
}

/// Why the broker has ended a subscription.
pub(crate) fn why_ended(ended: &SubscriptionEndedInd) -> Status {
    if ended.code.is_empty() {
        return Status::permission_denied("what allowed it was withdrawn");
    }
    let code = Code::from_name(&ended.code).unwrap_or(Code::Unknown);
    Status::new(code, ended.text.clone())
}

/// The side of a broker.
impl ConnectionShared {
    /// Answers a SUBSCRIBE or an UNSUBSCRIBE of the session with this generation, with the body of the acknowledgment; nothing
    /// where another one is there.
    pub(crate) fn answer_subscribe(
        &self,
        generation: u64,
        reply: SubscribeReply,
        outcome: Result<&[u8], &Status>,
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
