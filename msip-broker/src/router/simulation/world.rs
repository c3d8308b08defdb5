//! A router, and a naive broker beside it that says what has to be in which queue.
//!
//! What the naive broker knows: `permissions`, `queues`. How both are compared: `checks`, `settling`. What happens to both:
//! `subscribing`, `publishing`, `taking`, `calls`, `granting`, `lifecycle`; and `typed`: clients that instances hear apart.

mod calls;
mod checks;
mod granting;
mod lifecycle;
mod limits;
mod message;
mod permissions;
mod publishing;
mod queues;
mod settling;
mod subscribing;
mod taking;
mod typed;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use msip_session::{MsgKind, wire::Code};

use super::{
    random::Random,
    rights::{RIGHTS, Said4},
};
use crate::{
    access::{Grant, Principal},
    router::{Choice, Delivery, Dialect, EndReason, Publisher, Router, SessionHandle},
};
use calls::Outcomes;
pub(in crate::router) use calls::number_of;
pub(super) use limits::PEER_SIZES;
use limits::limits;
use message::Message;
pub(in crate::router) use message::numbers;
use typed::{Held, OpenedCall, PeerSim};

const SESSIONS: usize = 7;
const STEPS: usize = 90;

const TOPICS: [&str; 3] = ["a", "a/b", "b"];

/// Whether a session has a connection, and what that does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    /// It waits, or has not had its turn.
    Ready,
    /// It writes what it took.
    Writing,
    /// It is away until then.
    Away(Duration),
    Ended(EndReason),
}

/// A session in both brokers.
struct Sim {
    handle: SessionHandle,
    publisher: Publisher,
    dialect: Dialect,
    said: Said4,
    link: Link,
    filters: BTreeMap<String, Held>,
    grants: BTreeMap<&'static str, Grant>,
    lanes: [Vec<Message>; 3],
    /// What it took and could fail at.
    taken: Vec<Delivery>,
    calls: Vec<OpenedCall>,
    /// The topics where it takes part as a client, and who looks after it there.
    parts: BTreeMap<String, Option<usize>>,
    /// What waits of the clients that it hears apart, by topic and client.
    peers: BTreeMap<(String, usize), PeerSim>,
    /// How many calls ended without an answer since it gave one, and when the last of them did.
    unanswered: (usize, Duration),
    /// By how many messages urgent ones are ahead of others, while both wait.
    lead: i64,
    /// Since when its queue is long, or something was taken of it.
    stuck_since: Option<Duration>,
}

/// Both brokers, and what happens to them.
pub(super) struct World {
    random: Random,
    router: Router,
    sims: Vec<Sim>,
    now: Duration,
    next: u64,
    /// By topic and key: the number of the message, when it expires, and whose it is.
    kept: BTreeMap<(String, String), (u64, Option<Duration>, usize)>,
    /// Which session a key prefers to which other.
    preferred: BTreeSet<(&'static str, usize, usize)>,
    /// How many one-way COMMANDs each service of a topic got since the last change.
    turns: BTreeMap<String, BTreeMap<usize, u64>>,
    refused_calls: Outcomes,
    /// The calls that have to be refused, in order.
    expected_refusals: Vec<(u64, Code)>,
    /// What the router has chosen in this step.
    choices: VecDeque<Choice>,
    pub(super) is_verbose: bool,
    trace: Vec<u64>,
}

type Checked = Result<(), String>;

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            router: Router::new(limits()),
            sims: Vec::new(),
            now: Duration::ZERO,
            next: 1,
            kept: BTreeMap::new(),
            preferred: BTreeSet::new(),
            turns: BTreeMap::new(),
            refused_calls: Outcomes::default(),
            expected_refusals: Vec::new(),
            choices: VecDeque::new(),
            is_verbose: false,
            trace: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Vec<u64>, String> {
        crate::router::choices::take();
        for _ in 0..3 {
            self.connect();
        }
        for step in 0..STEPS {
            self.step()
                .map_err(|broken| format!("step {step}: {broken}"))?;
            self.compare()
                .map_err(|broken| format!("step {step}: {broken}"))?;
        }
        Ok(self.trace)
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.is_verbose {
            eprintln!("{}", what());
        }
    }

    fn step(&mut self) -> Checked {
        let at = self.random.below(self.sims.len());
        match self.random.below(48) {
            0 | 1 => {
                if self.sims.len() < SESSIONS {
                    self.connect();
                }
                Ok(())
            }
            2..=9 => self.subscribe(at),
            10 => self.unsubscribe(at),
            11..=22 => self.publish(at),
            23..=27 => self.take(at),
            28 => self.suspend(at),
            29 | 30 => self.resume(at),
            31 => self.end(at),
            32 | 33 => self.grant(at),
            34 => self.reauthorize(at),
            35 => self.fail(at),
            36 | 37 => (0..3).try_for_each(|_| self.call(at)),
            38 => {
                let topic = self.random.one_of(&TOPICS).to_string();
                (0..3).try_for_each(|_| self.publish_as(at, topic.clone(), MsgKind::Command))
            }
            39 | 45 | 46 => {
                self.finish_call(at)?;
                // Where the next ones go depends on how it has ended.
                (0..2).try_for_each(|_| self.call(at))
            }
            40..=42 => self.credit(at),
            43 | 44 => self.speak(at),
            _ => self.pass_time(),
        }
    }

    fn connect(&mut self) {
        let said = match self.random.once_in(2) {
            true => RIGHTS[0],
            false => *self.random.one_of(&RIGHTS),
        };
        let dialect = match self.random.once_in(4) {
            true => Dialect::Mip,
            false => Dialect::Msip,
        };
        let handle = self
            .router
            .connect(Principal::new("one"), Arc::new(said.rights()), dialect);
        self.sims.push(Sim {
            publisher: Publisher::new(&self.router, &handle),
            handle,
            dialect,
            said,
            link: Link::Ready,
            filters: BTreeMap::new(),
            grants: BTreeMap::new(),
            lanes: Default::default(),
            taken: Vec::new(),
            calls: Vec::new(),
            parts: BTreeMap::new(),
            peers: BTreeMap::new(),
            unanswered: (0, Duration::ZERO),
            lead: 0,
            stuck_since: None,
        });
    }
}
