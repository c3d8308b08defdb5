//! What must hold, whatever happens: the promises, as the simulation sees them.

use std::collections::{HashMap, HashSet};

use super::{
    super::Outcome,
    node::{DELIVERY, Waiter, fails},
};
use crate::wire::{Code, Side};

/// What has been said and handled, by the side that said it.
#[derive(Debug, Default)]
struct Said {
    /// Of each number, whether it was urgent.
    urgent: HashMap<u64, bool>,
    begun: HashSet<u64>,
    handled: HashSet<u64>,
    /// The last number that was handled, urgent or not.
    last: [u64; 2],
    /// Numbers of which the sender was told that they did not arrive.
    never: HashSet<u64>,
}

/// The promises, and a trace of all that happened.
#[derive(Debug, Default)]
pub(super) struct Rules {
    client: Said,
    server: Said,
    pub(super) trace: Vec<(u8, u64)>,
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

    pub(super) fn said(&mut self, side: Side, number: u64, variant: u16, urgent: bool) {
        self.note(b's', number << 8 | u64::from(variant));
        self.by(side).urgent.insert(number, urgent);
    }

    /// A handler begins, on `side`: each message once, and in order.
    pub(super) fn handling(&mut self, side: Side, number: u64) -> Result<(), String> {
        self.note(b'h', number);
        let said = self.by(side.reverse());
        let Some(urgent) = said.urgent.get(&number) else {
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
        let last = &mut said.last[usize::from(*urgent)];
        if *last > number {
            return Err(format!("{number} is handled after {last}"));
        }
        *last = number;
        Ok(())
    }

    /// A handler has ended.
    pub(super) fn handled(&mut self, side: Side, number: u64) {
        self.note(b'd', number);
        self.by(side.reverse()).handled.insert(number);
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
            Outcome::Expired | Outcome::Lost { sent: true } => Ok(()),
            Outcome::Lost { sent: false } => {
                said.never.insert(number);
                if begun {
                    return wrong("not sent, and handled");
                }
                Ok(())
            }
            Outcome::Answer { body, .. } => {
                if !handled || fails(number) {
                    return wrong("answered, and not handled well");
                }
                if variant != DELIVERY && body[..] != number.to_be_bytes() {
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
