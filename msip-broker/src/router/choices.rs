//! What was chosen among several, for the simulation's naive broker: it cannot know whose turn it is, but checks each choice.

use std::cell::RefCell;

use super::{Publication, Request, SessionKey, sending::Pending, session::Session, simulation};

/// Whom something for one of several was given to, or to several in parts.
#[derive(Debug)]
pub(super) struct Choice {
    /// Numbers of the messages, or of the call.
    pub(super) numbers: Vec<u64>,
    /// The members, and how many messages each of them gets. Nobody, where there is none.
    pub(super) shares: Vec<(SessionKey, u32)>,
}

thread_local! {
    static NOTED: RefCell<Option<Vec<Choice>>> = const { RefCell::new(None) };
}

fn note(choice: impl FnOnce() -> Choice) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            noted.push(choice());
        }
    });
}

/// Messages go to these.
pub(super) fn note_messages(pending: &Pending, shares: &[(&std::sync::Arc<Session>, u32)]) {
    note_publication(&pending.publication, shares);
}

/// The same, of what is for everyone, but for one of several instances.
pub(super) fn note_publication(
    publication: &Publication,
    shares: &[(&std::sync::Arc<Session>, u32)],
) {
    note(|| Choice {
        numbers: simulation::numbers(publication),
        shares: shares
            .iter()
            .map(|(one, count)| (one.key, *count))
            .collect(),
    });
}

/// A call goes to this one.
pub(super) fn note_call(request: &Request, chosen: Option<SessionKey>) {
    note(|| Choice {
        numbers: vec![simulation::number_of(&*request.exchange)],
        shares: chosen.into_iter().map(|key| (key, 1)).collect(),
    });
}

/// What was chosen on this thread since the last time. From the first time on it is noted.
pub(super) fn take() -> Vec<Choice> {
    NOTED.with_borrow_mut(|noted| noted.replace(Vec::new()).unwrap_or_default())
}
