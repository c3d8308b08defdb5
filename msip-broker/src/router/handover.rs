//! What was meant for a session that is not there, or that could not handle it.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;

use super::{
    Delivery, EndReason, OutboxItem, Refused, Router, SessionHandle, SessionKey, Target, WakeList,
    dead_letter::dead_letter,
    fault_injection::FaultInjection,
    sending::{Pending, Sending},
};
use crate::topic::{self, Internal};

/// How many instances get a message that others have failed at.
const MAX_REDELIVERIES: usize = 3;

/// A message that its receiver has answered with an error, or that was under way when the receiver went.
#[derive(Debug)]
pub struct Failed<'a> {
    /// What it was delivered with.
    pub delivery: &'a Delivery,
    /// Its frame, one of the publication's.
    pub frame: Bytes,
    /// What the receiver said.
    pub why: Refused,
}

impl Router {
    /// The connection of a session is lost. What is sent for acknowledgment is kept for it, and the last of each STATE, until
    /// `session_expiry`; what others can have instead of it goes to them.
    pub fn suspend(&self, session: &SessionHandle, now: Duration, wakes: &mut WakeList) {
        let left = self.set_away(session, now, wakes);
        self.hand_over(left, now, wakes);
    }

    /// Gives to others what was meant for one that cannot have it any more.
    pub(super) fn hand_over(&self, left: Vec<OutboxItem>, now: Duration, wakes: &mut WakeList) {
        if left.is_empty() {
            return;
        }
        let mut sending = Sending::new(self, SessionKey::BROKER, now, wakes);
        sending.hand_over(left);
        sending.finish();
        let unplaced = sending.unplaced;
        self.bury(unplaced, &Refused::no_service(), now, wakes);
    }

    /// A session ends: its subscriptions and grants with it. What it has not taken goes to others where they can have it.
    pub fn end(
        &self,
        session: &SessionHandle,
        reason: EndReason,
        now: Duration,
        wakes: &mut WakeList,
    ) {
        self.end_with(session, Vec::new(), reason, now, wakes);
    }

    /// The same, with what it has taken and not sent: that goes first. Also where the session has ended before.
    pub fn end_with(
        &self,
        session: &SessionHandle,
        mut unsent: Vec<OutboxItem>,
        reason: EndReason,
        now: Duration,
        wakes: &mut WakeList,
    ) {
        unsent.extend(self.remove(session, reason, now, wakes));
        self.hand_over(unsent, now, wakes);
    }

    /// A session that has no connection has taken this and not sent it: it goes to others where they can have it.
    pub fn return_unsent(&self, unsent: Vec<OutboxItem>, now: Duration, wakes: &mut WakeList) {
        self.hand_over(unsent, now, wakes);
    }

    /// Ends the sessions that were away for too long, and forgets kept STATEs that have expired. Returns when the next session
    /// ends.
    pub fn expire(&self, now: Duration, wakes: &mut WakeList) -> Option<Duration> {
        self.expire_kept(now);
        for session in self.expired(now) {
            self.end(&session, EndReason::Expired, now, wakes);
        }
        // What they left may have been too much for others that are away.
        self.next_expiry()
    }

    /// A receiver has failed at a message. If that was for one of several, and may be repeated, up to three others get it, one
    /// after the other; else, and after them, it goes to `$dead/T`, if it was sent for acknowledgment. One that is for
    /// everyone is only counted, except that of a service.
    pub fn failed(
        &self,
        session: &SessionHandle,
        failed: Failed<'_>,
        now: Duration,
        wakes: &mut WakeList,
    ) {
        let Failed {
            delivery,
            frame,
            why,
        } = failed;
        self.counters().failed.fetch_add(1, Relaxed);
        let Delivery {
            publication,
            target,
            mut tried,
            client,
        } = delivery.of_frame(frame);
        if !FaultInjection::RepeatToSame.is_on() {
            tried.push(session.key());
        }
        let is_for_one = target != Target::Everyone;
        let pending = Pending {
            publication: publication.clone(),
            target,
            to: None,
            tried,
            client,
            is_new: false,
        };
        let is_work =
            is_for_one || matches!(Internal::of(&publication.topic), Internal::Services(_));
        if !is_work {
            return;
        }
        let may_repeat = publication.is_idempotent || FaultInjection::RepeatAnything.is_on();
        let is_over = pending.tried.len() > MAX_REDELIVERIES;
        if !is_for_one || !may_repeat || is_over {
            self.bury(vec![pending], &why, now, wakes);
            return;
        }
        self.counters().handed_over.fetch_add(1, Relaxed);
        let mut sending = Sending::new(self, SessionKey::BROKER, now, wakes);
        sending.send(pending);
        sending.finish();
        let unplaced = sending.unplaced;
        self.bury(unplaced, &why, now, wakes);
    }

    /// What nobody could handle goes to `$dead/T`.
    pub(super) fn bury(
        &self,
        dead: Vec<Pending>,
        why: &Refused,
        now: Duration,
        wakes: &mut WakeList,
    ) {
        let mut dead = VecDeque::from(dead);
        while let Some(pending) = dead.pop_front() {
            let publication = &pending.publication;
            let counters = self.counters();
            let about = match Internal::of(&publication.topic) {
                Internal::Clients(about)
                | Internal::Services(about)
                | Internal::Peer { topic: about, .. }
                    if publication.wants_ack && !FaultInjection::ForgetTheDead.is_on() =>
                {
                    about
                }
                _ => {
                    let count = publication.count.into();
                    counters.dropped.fetch_add(count, Relaxed);
                    continue;
                }
            };
            let topic = topic::dead_letters(about);
            let route = self.route(&topic);
            let mut sending = Sending::new(self, SessionKey::BROKER, now, wakes);
            for frame in publication.iter() {
                if let Some(letter) = dead_letter(publication, frame, &topic, why) {
                    counters.dead_letters.fetch_add(1, Relaxed);
                    sending.all(&route, &Arc::new(letter));
                }
            }
            sending.finish();
            // Who has no place for them ends, and what that leaves may find nobody either.
            dead.extend(sending.unplaced);
        }
    }
}
