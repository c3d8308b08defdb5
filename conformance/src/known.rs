//! Failures that are known: each has a reason, and really fails.

use crate::played::{Outcome, Played, Sides};

/// A line of `known_failures.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    case: String,
    client: String,
    server: String,
    pub(crate) reason: String,
}

/// Every line: `case | client | server | reason`, where `*` is any client or server.
///
/// # Errors
///
/// A line that is none of these.
pub(crate) fn read(text: &str) -> Result<Vec<Known>, String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let known = lines.map(|line| {
        let parts: Vec<_> = line.splitn(4, '|').map(str::trim).collect();
        match parts[..] {
            [case, client, server, reason] if !reason.is_empty() => Ok(Known {
                case: case.to_owned(),
                client: client.to_owned(),
                server: server.to_owned(),
                reason: reason.to_owned(),
            }),
            _ => Err(format!(
                "known_failures.txt: `{line}` is not `case | client | server | reason`"
            )),
        }
    });
    known.collect()
}

impl Known {
    /// Whether it is about this case between these sides.
    pub(crate) fn is_about(&self, case: &str, sides: &Sides) -> bool {
        let is_side = |named: &str, side: &str| named == "*" || named == side;
        self.case == case
            && is_side(&self.client, sides.client)
            && is_side(&self.server, sides.server)
    }
}

/// What is not as the list says: what fails without being known, and what is known and passes.
pub(crate) fn surprises(played: &[Played], known: &[Known], is_all: bool) -> Vec<String> {
    let mut surprises = Vec::new();
    for played in played {
        let (case, sides) = (&played.case, &played.sides);
        let name = format!("{} -> {} {case}", sides.client, sides.server);
        match &played.outcome {
            Outcome::Failed(_) if !played.is_known => surprises.push(format!("{name} fails")),
            Outcome::Passed if played.is_known => {
                surprises.push(format!("{name} passes, but is listed as a known failure"));
            }
            _ => {}
        }
    }
    for known in known.iter().filter(|_| is_all) {
        if !played
            .iter()
            .any(|played| known.is_about(&played.case, &played.sides))
        {
            surprises.push(format!("{known:?} is listed, and was not played"));
        }
    }
    surprises
}
