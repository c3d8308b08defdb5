//! What must hold, whatever happens: the promises, as the simulation sees them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    super::Outcome,
    flows::Flows,
    node::{DELIVERY, STREAM, Waiter, fails},
    streams::shape_of,
};
use crate::{
    MsgKind,
    wire::{Code, Side},
};

/// What has been said and handled, by the side that said it.
#[derive(Debug, Default)]
struct Said {
    spoken: BTreeMap<u64, Spoken>,
    begun: HashSet<u64>,
    handled: HashSet<u64>,
    /// The last numbers that were handled, urgent or not.
    last: [Last; 2],
    /// Numbers of which the sender was told that they did not arrive.
    never: HashSet<u64>,
    /// Numbers for which nobody waits any more: they need not go out.
    given_up: HashSet<u64>,
    /// Messages of lower numbers may have been pushed out by one that must not wait behind them.
    pushed: u64,
}

/// What was said under a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spoken {
    pub(super) variant: u16,
    pub(super) urgent: bool,
    pub(super) kind: MsgKind,
    /// The key of a STATE.
    pub(super) key: Option<u64>,
    /// By which connection of which session, or the next one where there was none.
    pub(super) connection: (u64, u64),
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
    /// What this message must not come before. A call overtakes what waits by its kind, and a STATE goes out in the
    /// place of an older one.
    fn before(&self, spoken: &Spoken) -> u64 {
        let states = self.states.values().copied().max().unwrap_or(0);
        let droppable = self.log.max(states);
        match (spoken.kind, spoken.key) {
            (MsgKind::Log, _) => self.event.max(self.log),
            (MsgKind::State, Some(key)) => {
                let state = self.states.get(&key).copied().unwrap_or(0);
                self.event.max(self.log).max(state)
            }
            _ => self.call.max(self.event).max(droppable),
        }
    }

    fn note(&mut self, number: u64, spoken: &Spoken) {
        match (spoken.kind, spoken.key) {
            (MsgKind::Log, _) => self.log = number,
            (MsgKind::State, Some(key)) => {
                self.states.insert(key, number);
            }
            (MsgKind::Command, _) => self.call = number,
            _ => self.event = number,
        }
    }
}

/// The promises, and a trace of all that happened.
#[derive(Debug, Default)]
pub(super) struct Rules {
    client: Said,
    server: Said,
    /// What becomes of streams.
    pub(super) flows: Flows,
    pub(super) trace: Vec<(u8, u64)>,
}

impl Said {
    /// Whether this is a STATE, and a newer one of its key was said.
    fn is_replaced(&self, number: u64) -> bool {
        let key = self.spoken.get(&number).and_then(|spoken| spoken.key);
        let mut newer = self.spoken.range(number + 1..);
        key.is_some() && newer.any(|(_, spoken)| spoken.key == key)
    }
}

impl Rules {
    fn by(&mut self, side: Side) -> &mut Said {
        match side {
            Side::Connecting => &mut self.client,
            Side::Accepting => &mut self.server,
        }
    }

    pub(super) fn note(&mut self, what: u8, number: u64) {
        self.trace.push((what, number));
    }

    pub(super) fn said(&mut self, side: Side, number: u64, spoken: Spoken) {
        self.note(b's', number << 8 | u64::from(spoken.variant));
        self.by(side).spoken.insert(number, spoken);
    }

    /// All is quiet on `side`, which has this connection and has dropped so many LOG messages by it: what was to survive
    /// has.
    pub(super) fn survived(
        &mut self,
        side: Side,
        connection: (u64, u64),
        dropped: u64,
    ) -> Result<(), String> {
        let said = self.by(side);
        let mut newest = HashMap::new();
        let (mut unheard, mut given_up, mut last_log) = (0, 0, None);
        let of_this = said
            .spoken
            .iter()
            .filter(|(_, spoken)| spoken.connection == connection);
        for (number, spoken) in of_this {
            let is_unheard = !said.handled.contains(number);
            if is_unheard && said.given_up.contains(number) {
                given_up += u64::from(spoken.kind == MsgKind::Log);
                continue;
            }
            match (spoken.kind, spoken.key) {
                (MsgKind::State, Some(key)) => {
                    newest.insert(key, *number);
                }
                (MsgKind::Log, _) => {
                    unheard += u64::from(is_unheard);
                    last_log = Some(*number);
                }
                _ => {}
            }
        }
        if let Some((key, number)) = newest
            .iter()
            .find(|(_, number)| !said.handled.contains(number))
        {
            return Err(format!(
                "{number}, the newest state of key {key}, is not handled"
            ));
        }
        if !(unheard..=unheard + given_up).contains(&dropped) {
            return Err(format!(
                "{unheard} LOG messages are not handled, and {dropped} counted as dropped"
            ));
        }
        match last_log.filter(|number| *number > said.pushed && !said.handled.contains(number)) {
            Some(number) => Err(format!("{number}, the newest LOG, was dropped")),
            None => Ok(()),
        }
    }

    /// A handler begins, on `side`: each message once, and in order.
    pub(super) fn handling(&mut self, side: Side, number: u64) -> Result<(), String> {
        self.note(b'h', number);
        let said = self.by(side.reverse());
        let Some(spoken) = said.spoken.get(&number) else {
            return Err(format!("{number} was never said"));
        };
        if !said.begun.insert(number) {
            return Err(format!("{number} is handled twice"));
        }
        if said.never.contains(&number) {
            return Err(format!(
                "{number} is handled, and its sender was told that it did not arrive"
            ));
        }
        let last = &mut said.last[usize::from(spoken.urgent)];
        let before = last.before(spoken);
        if before > number {
            let (other, spoken) = (said.spoken.get(&before), Some(spoken));
            return Err(format!(
                "{number} ({spoken:?}) is handled after {before} ({other:?})"
            ));
        }
        last.note(number, spoken);
        Ok(())
    }

    /// A handler has ended.
    pub(super) fn handled(&mut self, side: Side, number: u64) {
        self.note(b'd', number);
        self.by(side.reverse()).handled.insert(number);
    }

    /// What is about to be said may push out what waits by its kind.
    pub(super) fn pushes(&mut self, side: Side, number: u64) {
        self.by(side).pushed = number;
    }

    /// Somebody on `side` waits no longer.
    pub(super) fn given_up(&mut self, side: Side, number: u64) {
        self.note(b'f', number);
        self.by(side).given_up.insert(number);
    }

    /// Somebody on `side` is told.
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
        let said = self.by(side);
        let (begun, handled) = (said.begun.contains(&number), said.handled.contains(&number));
        let wrong = |what: &str| Err(format!("{number}: {what}: {outcome:?}"));
        match outcome {
            Outcome::Expired => {
                said.given_up.insert(number);
                Ok(())
            }
            Outcome::Lost { sent: true } => Ok(()),
            Outcome::Lost { sent: false } => {
                said.never.insert(number);
                if begun {
                    return wrong("not sent, and handled");
                }
                Ok(())
            }
            Outcome::Dropped => {
                said.never.insert(number);
                match said.spoken.get(&number) {
                    Some(spoken) if spoken.kind == MsgKind::Log && !begun => Ok(()),
                    _ => wrong("dropped, and not to be"),
                }
            }
            Outcome::Answer { .. } if said.is_replaced(number) && !begun => {
                said.never.insert(number);
                Ok(())
            }
            Outcome::Answer { body, .. } => {
                if !handled || fails(number) {
                    return wrong("answered, and not handled well");
                }
                // A delivery has no answer, and that of a stream is its end.
                let is_bare =
                    variant == DELIVERY || variant == STREAM && shape_of(number).response_stream;
                if !is_bare && body[..] != number.to_be_bytes() || is_bare && !body.is_empty() {
                    return wrong("another's answer");
                }
                Ok(())
            }
            Outcome::NotReceived if variant == DELIVERY => wrong("the fate of a call"),
            Outcome::NotReceived => {
                said.never.insert(number);
                if begun {
                    return wrong("not received, and handled");
                }
                Ok(())
            }
            Outcome::Error(text) => match text.code {
                Code::NotFound if handled && fails(number) => Ok(()),
                Code::Aborted if variant == DELIVERY && handled && fails(number) => {
                    if text.message == "failed earlier" {
                        Ok(())
                    } else {
                        wrong("refused")
                    }
                }
                Code::Unknown if variant != DELIVERY && text.message == "reply lost" => Ok(()),
                // Too many calls are open there: those that were given up here run on.
                Code::ResourceExhausted | Code::Unavailable if variant != DELIVERY => {
                    said.never.insert(number);
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
