//! The rules: the protocol's promises, as the simulation checks them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    super::Outcome,
    flows::Flows,
    node::{DELIVERY, STREAM, SUBSCRIBE, Waiter, fails},
    streams::shape_of,
};
use crate::{
    MsgKind,
    wire::{Code, Side},
};

/// What one side has sent, and what was handled of it.
#[derive(Debug, Default)]
struct Sender {
    sent: BTreeMap<u64, SentMessage>,
    begun: HashSet<u64>,
    handled: HashSet<u64>,
    /// The last numbers that were handled, urgent or not.
    last: [Last; 2],
    /// Numbers of which the sender knows that they were not delivered.
    undelivered: HashSet<u64>,
    /// Numbers that are not awaited any more: they need not be sent.
    given_up: HashSet<u64>,
    /// SUBSCRIBEs that are awaited and have not been received, by their session and number.
    subscribing: BTreeSet<(u64, u64)>,
    /// Numbers of which a lane has taken the datagrams.
    in_lane: HashSet<u64>,
    /// How many datagrams have come, by their numbers, and not been handled yet.
    came: HashMap<u64, u64>,
    /// Messages of lower numbers may have been dropped for one that must not wait behind them.
    may_be_dropped_below: u64,
}

/// What was sent under a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentMessage {
    pub(super) variant: u16,
    pub(super) urgent: bool,
    pub(super) kind: MsgKind,
    /// The key of a STATE.
    pub(super) key: Option<u64>,
    /// By which connection of which session, or the next one where there was none.
    pub(super) connection: (u64, u64),
    /// The connection has a lane that it fits.
    pub(super) by_datagram: bool,
}

/// Whether messages of this kind may be lost.
pub(super) fn is_lossy(kind: MsgKind) -> bool {
    matches!(kind, MsgKind::Log | MsgKind::Metric)
}

/// The last numbers that were handled.
#[derive(Debug, Default)]
struct Last {
    call: u64,
    event: u64,
    log: u64,
    /// By key.
    states: HashMap<u64, u64>,
}

impl Last {
    /// What this message must not come before. A call overtakes droppable messages, and a STATE is sent in place of an older
    /// one.
    fn before(&self, sent: &SentMessage) -> u64 {
        let states = self.states.values().copied().max().unwrap_or(0);
        let droppable = self.log.max(states);
        match (sent.kind, sent.key) {
            (MsgKind::Log | MsgKind::Metric, _) => self.event.max(self.log),
            (MsgKind::State, Some(key)) => {
                let state = self.states.get(&key).copied().unwrap_or(0);
                self.event.max(self.log).max(state)
            }
            _ => self.call.max(self.event).max(droppable),
        }
    }

    fn note(&mut self, number: u64, sent: &SentMessage) {
        match (sent.kind, sent.key) {
            (MsgKind::Log | MsgKind::Metric, _) => self.log = number,
            (MsgKind::State, Some(key)) => {
                self.states.insert(key, number);
            }
            (MsgKind::Command, _) => self.call = number,
            _ => self.event = number,
        }
    }
}

/// The rules, and a trace of all that happened.
#[derive(Debug, Default)]
pub(super) struct Rules {
    client: Sender,
    server: Sender,
    /// The streams.
    pub(super) flows: Flows,
    pub(super) trace: Vec<(u8, u64)>,
}

impl Sender {
    /// This SUBSCRIBE, if it is one, has been received, or is not awaited any more.
    fn not_subscribing(&mut self, number: u64) {
        if let Some(sent) = self.sent.get(&number) {
            self.subscribing.remove(&(sent.connection.0, number));
        }
    }

    /// Whether this is a STATE, and a newer one of its key was sent.
    fn is_replaced(&self, number: u64) -> bool {
        let key = self.sent.get(&number).and_then(|sent| sent.key);
        let mut newer = self.sent.range(number + 1..);
        key.is_some() && newer.any(|(_, sent)| sent.key == key)
    }
}

impl Rules {
    fn by(&mut self, side: Side) -> &mut Sender {
        match side {
            Side::Connecting => &mut self.client,
            Side::Accepting => &mut self.server,
        }
    }

    pub(super) fn note(&mut self, what: u8, number: u64) {
        self.trace.push((what, number));
    }

    pub(super) fn sent(&mut self, side: Side, number: u64, sent: SentMessage) {
        self.note(b's', number << 8 | u64::from(sent.variant));
        let sender = self.by(side);
        if sent.variant == SUBSCRIBE {
            sender.subscribing.insert((sent.connection.0, number));
        }
        sender.sent.insert(number, sent);
    }

    /// All is settled on `side`, which has this connection and has dropped so many LOG and METRIC messages by it: checks
    /// that all others were handled, but for those that a lane has taken and lost.
    pub(super) fn check_survivors(
        &mut self,
        side: Side,
        connection: (u64, u64),
        dropped: u64,
    ) -> Result<(), String> {
        let sender = self.by(side);
        let mut newest = HashMap::new();
        let (mut unhandled, mut given_up, mut last_log) = (0, 0, None);
        let of_this = sender
            .sent
            .iter()
            .filter(|(_, sent)| sent.connection == connection);
        for (number, sent) in of_this {
            if sender.in_lane.contains(number) {
                continue;
            }
            let is_unhandled = !sender.handled.contains(number);
            if is_unhandled && sender.given_up.contains(number) {
                given_up += u64::from(is_lossy(sent.kind));
                continue;
            }
            match (sent.kind, sent.key) {
                (MsgKind::State, Some(key)) => {
                    newest.insert(key, *number);
                }
                (MsgKind::Log | MsgKind::Metric, _) => {
                    unhandled += u64::from(is_unhandled);
                    if !sent.by_datagram {
                        last_log = Some(*number);
                    }
                }
                _ => {}
            }
        }
        if let Some((key, number)) = newest
            .iter()
            .find(|(_, number)| !sender.handled.contains(number))
        {
            return Err(format!(
                "{number}, the newest state of key {key}, is not handled"
            ));
        }
        if !(unhandled..=unhandled + given_up).contains(&dropped) {
            return Err(format!(
                "{unhandled} LOG and METRIC messages are not handled, and {dropped} counted as dropped"
            ));
        }
        match last_log.filter(|number| {
            *number > sender.may_be_dropped_below && !sender.handled.contains(number)
        }) {
            Some(number) => Err(format!("{number}, the newest LOG, was dropped")),
            None => Ok(()),
        }
    }

    /// A handler begins, on `side`: each message once, and in order.
    pub(super) fn handling(&mut self, side: Side, number: u64) -> Result<(), String> {
        self.note(b'h', number);
        let sender = self.by(side.reverse());
        let Some(sent) = sender.sent.get(&number) else {
            return Err(format!("{number} was never sent"));
        };
        if sent.by_datagram {
            return Err(format!("{number} fits a datagram, and came by the stream"));
        }
        if !sender.begun.insert(number) {
            return Err(format!("{number} is handled twice"));
        }
        if sender.undelivered.contains(&number) {
            return Err(format!(
                "{number} is handled, and its sender has the outcome that it was not delivered"
            ));
        }
        let first = sender.subscribing.range((sent.connection.0, 0)..).next();
        if let Some((generation, before)) = first
            && *generation == sent.connection.0
            && *before < number
            && !sent.urgent
        {
            return Err(format!(
                "{number} ({sent:?}) is handled before the SUBSCRIBE {before} was received"
            ));
        }
        let last = &mut sender.last[usize::from(sent.urgent)];
        let before = last.before(sent);
        if before > number {
            let (other, sent) = (sender.sent.get(&before), Some(sent));
            return Err(format!(
                "{number} ({sent:?}) is handled after {before} ({other:?})"
            ));
        }
        last.note(number, sent);
        Ok(())
    }

    /// A SUBSCRIBE was received on `side`, perhaps once more after its connection was lost.
    pub(super) fn subscribed(&mut self, side: Side, number: u64) -> Result<(), String> {
        self.note(b'S', number);
        let sender = self.by(side.reverse());
        if !sender.sent.contains_key(&number) {
            return Err(format!("the SUBSCRIBE {number} was never sent"));
        }
        if sender.undelivered.contains(&number) {
            return Err(format!(
                "the SUBSCRIBE {number} is received, and its sender has the outcome that it was not sent"
            ));
        }
        sender.not_subscribing(number);
        sender.begun.insert(number);
        sender.handled.insert(number);
        Ok(())
    }

    /// A lane takes a message of `side`: once, and on the connection by which it was sent.
    pub(super) fn sent_by_datagram(
        &mut self,
        side: Side,
        number: u64,
        connection: (u64, u64),
    ) -> Result<(), String> {
        self.note(b'g', number);
        let sender = self.by(side);
        match sender.sent.get(&number) {
            Some(sent) if sent.by_datagram && sent.connection == connection => {}
            sent => {
                return Err(format!(
                    "{number} ({sent:?}) is in a lane of {connection:?}"
                ));
            }
        }
        if !sender.in_lane.insert(number) {
            return Err(format!("{number} is given to the lane twice"));
        }
        Ok(())
    }

    /// A datagram has come to `side`, and was taken.
    pub(super) fn came_by_datagram(&mut self, side: Side, number: u64) -> Result<(), String> {
        self.note(b'G', number);
        let sender = self.by(side.reverse());
        if !sender.in_lane.contains(&number) {
            return Err(format!("{number} was given to no lane"));
        }
        *sender.came.entry(number).or_default() += 1;
        Ok(())
    }

    /// A handler of a message begins, on `side`, that came by a datagram: in any order, and each one that came once.
    pub(super) fn handling_datagram(&mut self, side: Side, number: u64) -> Result<(), String> {
        self.note(b'h', number);
        let sender = self.by(side.reverse());
        match sender.came.get_mut(&number) {
            Some(count @ 1..) => *count -= 1,
            _ => return Err(format!("{number} is handled more often than it came")),
        }
        sender.begun.insert(number);
        Ok(())
    }

    /// A handler has ended.
    pub(super) fn handled(&mut self, side: Side, number: u64) {
        self.note(b'd', number);
        self.by(side.reverse()).handled.insert(number);
    }

    /// A message that is about to be sent may cause earlier droppable ones to be dropped.
    pub(super) fn may_drop_earlier(&mut self, side: Side, number: u64) {
        self.by(side).may_be_dropped_below = number;
    }

    /// A waiter on `side` has given up.
    pub(super) fn given_up(&mut self, side: Side, number: u64) {
        self.note(b'f', number);
        let sender = self.by(side);
        sender.not_subscribing(number);
        sender.given_up.insert(number);
    }

    /// A waiter on `side` has an outcome.
    pub(super) fn outcome(
        &mut self,
        side: Side,
        waiter: Waiter,
        outcome: &Outcome,
    ) -> Result<(), String> {
        let Waiter {
            number, variant, ..
        } = waiter;
        self.note(b'o', number);
        let sender = self.by(side);
        sender.not_subscribing(number);
        let (begun, handled) = (
            sender.begun.contains(&number),
            sender.handled.contains(&number),
        );
        let wrong = |what: &str| Err(format!("{number}: {what}: {outcome:?}"));
        match outcome {
            Outcome::Expired => {
                sender.given_up.insert(number);
                Ok(())
            }
            Outcome::Lost { sent: true } => Ok(()),
            Outcome::Lost { sent: false } => {
                sender.undelivered.insert(number);
                if begun {
                    return wrong("not sent, and handled");
                }
                Ok(())
            }
            Outcome::Dropped => {
                sender.undelivered.insert(number);
                match sender.sent.get(&number) {
                    Some(sent) if is_lossy(sent.kind) && !begun => Ok(()),
                    _ => wrong("dropped, and not to be"),
                }
            }
            Outcome::Answer { .. } if sender.is_replaced(number) && !begun => {
                sender.undelivered.insert(number);
                Ok(())
            }
            Outcome::Answer { body, .. } => {
                if !handled || fails(number) {
                    return wrong("answered, and not handled well");
                }
                // A delivery has no answer, and that of a stream is its end.
                let is_bare = matches!(variant, DELIVERY | SUBSCRIBE)
                    || variant == STREAM && shape_of(number).response_stream;
                let is_own = body.starts_with(&number.to_be_bytes());
                if is_bare && !body.is_empty() || !is_bare && !is_own {
                    return wrong("another's answer");
                }
                Ok(())
            }
            Outcome::NotReceived if matches!(variant, DELIVERY | SUBSCRIBE) => {
                wrong("the outcome of a call")
            }
            Outcome::NotReceived | Outcome::NotAccepted => {
                sender.undelivered.insert(number);
                if begun {
                    return wrong("it did not run, and was handled");
                }
                Ok(())
            }
            Outcome::Error(text, _) => match text.code {
                Code::NotFound if handled && fails(number) => Ok(()),
                Code::Aborted if variant == DELIVERY && handled && fails(number) => {
                    if text.message == "failed earlier" {
                        Ok(())
                    } else {
                        wrong("refused")
                    }
                }
                Code::Unknown
                    if !matches!(variant, DELIVERY | SUBSCRIBE) && text.message == "reply lost" =>
                {
                    Ok(())
                }
                // A server is not told how many calls its client takes. After a loss more handlers than the limit may run on
                // for nobody.
                Code::ResourceExhausted
                    if side == Side::Connecting
                        && (sender.sent.get(&number)).is_some_and(|it| it.connection.1 == 1) =>
                {
                    wrong("refused, though calls that were given up are counted")
                }
                Code::ResourceExhausted | Code::Unavailable
                    if !matches!(variant, DELIVERY | SUBSCRIBE) =>
                {
                    sender.undelivered.insert(number);
                    if begun {
                        return wrong("refused, and handled");
                    }
                    Ok(())
                }
                _ => wrong("an error of no reason"),
            },
        }
    }
}
