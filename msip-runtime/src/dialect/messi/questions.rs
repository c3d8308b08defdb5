//! Questions whose answers are known by their order alone, one row for each message that answers.

use std::collections::{HashMap, VecDeque};

use msip_session::wire::MsgId;

use super::{super::DialectError, frame::fault};

/// How many may be unanswered, those included that nobody waits for any more.
const MAX: usize = 4096;

/// The questions that this side has asked.
#[derive(Debug, Default)]
pub(super) struct Questions {
    rows: HashMap<u16, VecDeque<MsgId>>,
    len: usize,
}

impl Questions {
    /// A question was asked that a message of the variant `answer` answers.
    ///
    /// # Errors
    ///
    /// The peer has left too many unanswered.
    pub(super) fn push(&mut self, answer: u16, id: MsgId) -> Result<(), DialectError> {
        if self.len >= MAX {
            let text = format!("{MAX} questions are unanswered, and one more was asked");
            return Err(fault(text));
        }
        self.len += 1;
        self.rows.entry(answer).or_default().push_back(id);
        Ok(())
    }

    /// The question that a message of the variant `answer` answers: the oldest one, whether or not anybody waits for it.
    pub(super) fn take(&mut self, answer: u16) -> Option<MsgId> {
        let row = self.rows.get_mut(&answer)?;
        let id = row.pop_front()?;
        if row.is_empty() {
            self.rows.remove(&answer);
        }
        self.len -= 1;
        Some(id)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}
