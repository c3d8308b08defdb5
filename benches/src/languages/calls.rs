//! What goes over a network: calls, messages that nothing answers, and a program from its start to an answer.

use std::io::{self, Write as _};

use super::{
    Contenders, Plan,
    contender::{Ask, Trial},
    table::{markdown, median, number},
};
use crate::problem::Problem;

/// A load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Calls { at_once: u32 },
    OneWay,
    Start,
}

/// How many messages nothing answers in a second's trial.
const MESSAGES: f64 = 20_000.0;

impl Load {
    const ALL: [Self; 4] = [
        Self::Calls { at_once: 1 },
        Self::Calls { at_once: 64 },
        Self::OneWay,
        Self::Start,
    ];

    fn name(self) -> String {
        match self {
            Self::Calls { at_once } => format!("calls, {at_once} at a time"),
            Self::OneWay => "one-way messages".to_owned(),
            Self::Start => "from start to answer".to_owned(),
        }
    }

    /// The load and how much of it, as clients are told.
    fn ask(self, plan: Plan) -> (String, f64) {
        let seconds = plan.time.as_secs_f64();
        match self {
            Self::Calls { at_once } => (at_once.to_string(), seconds),
            Self::OneWay => ("one-way".to_owned(), (MESSAGES * seconds).ceil()),
            Self::Start => ("start".to_owned(), 0.0),
        }
    }
}

/// A line of the table.
struct Row {
    load: Load,
    what: &'static str,
    value: fn(&Trial) -> f64,
    /// Whether more of it is better.
    is_rate: bool,
}

const RATE: (&str, fn(&Trial) -> f64, bool) = (", a second", |trial| trial.rate, true);
const COST: (&str, fn(&Trial) -> f64, bool) = (
    ", µs of processor time",
    |trial| trial.cost.as_secs_f64() * 1e6,
    false,
);
const TIME: (&str, fn(&Trial) -> f64, bool) =
    (", ms", |trial| trial.took.as_secs_f64() * 1e3, false);

fn rows() -> impl Iterator<Item = Row> {
    Load::ALL.into_iter().flat_map(|load| {
        let columns: &[_] = match load {
            Load::Start => &[TIME],
            _ => &[RATE, COST],
        };
        columns.iter().map(move |&(what, value, is_rate)| Row {
            load,
            what,
            value,
            is_rate,
        })
    })
}

/// Measures each contender under each load, and returns the table.
pub(super) fn measure(contenders: &Contenders, plan: Plan) -> Result<String, Problem> {
    let peers = &contenders.peers;
    let mut trials = Vec::new();
    for repetition in 0..plan.repeat {
        for load in Load::ALL {
            let (name, amount) = load.ask(plan);
            for turn in 0..peers.len() {
                let peer = &peers[(turn + repetition) % peers.len()];
                tell(&format!("{}: {}", peer.name, load.name()));
                let ask = Ask {
                    load: &name,
                    amount,
                    warm_up: if plan.is_quick {
                        64
                    } else {
                        contenders.warm_up
                    },
                };
                let trial = peer.trial(ask).map_err(|source| Problem::Trial {
                    contender: peer.name.to_owned(),
                    load: load.name(),
                    source: Box::new(source),
                })?;
                trials.push((load, peer.name, trial));
            }
        }
    }
    tell("");
    let figure = |row: &Row, name: &str| {
        let of = trials.iter();
        let of = of.filter(|(load, peer, _)| *load == row.load && *peer == name);
        median(of.map(|(_, _, trial)| (row.value)(trial)))
    };
    let mut head = vec![String::new()];
    head.extend(peers.iter().map(|peer| peer.name.to_owned()));
    let ratios = contenders.ratios.iter();
    head.extend(ratios.map(|(ours, theirs)| format!("{ours} : {theirs}")));
    let rows: Vec<_> = rows()
        .map(|row| {
            let figures = peers.iter().map(|peer| number(figure(&row, peer.name)));
            let ratios = contenders.ratios.iter().map(|(ours, theirs)| {
                let (ours, theirs) = (figure(&row, ours), figure(&row, theirs));
                // So that a higher one is always better.
                number(if row.is_rate {
                    ours / theirs
                } else {
                    theirs / ours
                })
            });
            let cells = figures.chain(ratios).collect();
            (format!("{}{}", row.load.name(), row.what), cells)
        })
        .collect();
    Ok(markdown(&head, &rows))
}

/// Shows the progress on one line, which the next message replaces.
fn tell(text: &str) {
    let _ = write!(io::stderr(), "\r\x1b[K{text}");
}
