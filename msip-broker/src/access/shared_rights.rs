//! Rights that many have in common.

use std::sync::{Arc, Mutex, PoisonError};

use super::Rights;

/// The rights that were asked for last: whoever comes next and has the same shares them. Nearly all of the peers of a listener
/// have the same, and each would hold ten small pieces of memory.
#[derive(Debug, Default)]
pub(crate) struct SharedRights(Mutex<Option<Arc<Rights>>>);

impl SharedRights {
    /// These rights, or the same that another one has.
    pub(crate) fn share(&self, rights: Arc<Rights>) -> Arc<Rights> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(last) if **last == *rights => Arc::clone(last),
            _ => Arc::clone(last.insert(rights)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rights_are_shared_and_others_are_not() {
        let shared = SharedRights::default();
        let [first, second] = [(); 2].map(|()| shared.share(Arc::new(Rights::all())));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*shared.share(Arc::new(Rights::none())), Rights::none());
        assert_eq!(*shared.share(Arc::new(Rights::all())), Rights::all());
    }
}
