//! Messages without a network.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Plan, TrialError,
    contender::Encoder,
    table::{markdown, median, number},
};
use crate::problem::Problem;

/// What a program prints of one message.
#[derive(Debug, Clone, Deserialize)]
struct Figures {
    /// Which message.
    message: String,
    /// How long it is in protobuf.
    bytes: u32,
    /// What was done with it, and how often in a second.
    rates: Vec<(String, f64)>,
}

/// Measures each library, and returns the table: microseconds for each message.
pub(super) fn measure(encoders: &[Encoder], plan: Plan) -> Result<String, Problem> {
    let seconds = plan.time.as_secs_f64().to_string();
    let mut runs: BTreeMap<&str, Vec<Vec<Figures>>> = BTreeMap::new();
    for _ in 0..plan.repeat {
        for encoder in encoders {
            let figures = run(encoder, &seconds).map_err(|source| Problem::Trial {
                contender: encoder.name.to_owned(),
                load: "messages".to_owned(),
                source: Box::new(source),
            })?;
            runs.entry(encoder.name).or_default().push(figures);
        }
    }
    let first = encoders
        .first()
        .and_then(|first| runs.get(first.name)?.first());
    let mut rows = Vec::new();
    for Figures {
        message,
        bytes,
        rates,
    } in first.into_iter().flatten()
    {
        for (what, _) in rates {
            let cells = encoders.iter().map(|encoder| {
                let figures = runs.get(encoder.name).into_iter().flatten().flatten();
                let figures = figures.filter(|figures| figures.message == *message);
                let rates = figures.flat_map(|figures| &figures.rates);
                let rates = rates.filter(|(name, _)| name == what);
                number(1e6 / median(rates.map(|(_, rate)| *rate)))
            });
            rows.push((format!("{what}, {message} ({bytes} B)"), cells.collect()));
        }
    }
    let mut head = vec!["µs for each message".to_owned()];
    head.extend(encoders.iter().map(|encoder| encoder.name.to_owned()));
    Ok(markdown(&head, &rows))
}

fn run(encoder: &Encoder, seconds: &str) -> Result<Vec<Figures>, TrialError> {
    let said = encoder.program.output(&[seconds])?;
    serde_json::from_str(&said).map_err(|source| TrialError::Output { said, source })
}
