//! Inflated bodies: where a compressed message has several receivers that take it uncompressed, it is inflated once.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use bytes::Bytes;

use super::{
    Publication,
    sync::{Mutex, lock},
};

/// How many bytes of inflated bodies a router keeps, and of how many publications: beyond that those that were inflated first are
/// forgotten. A queue counts its messages as they came, so that what they inflate to is bounded here.
const MAX_BYTES: usize = 8 << 20;
const MAX_COUNT: usize = 256;

/// The inflated bodies that a router keeps.
#[derive(Debug, Default)]
pub(super) struct InflatedBodies(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// The publications whose bodies were inflated, and the lengths of these, oldest first.
    publications: VecDeque<(Weak<Publication>, usize)>,
    bytes: usize,
}

impl InflatedBodies {
    /// The inflated body of a compressed message: what `inflate` returns, or returned for another of its receivers a moment ago.
    /// `None` where it returns none, or where these are several messages.
    pub(super) fn body(
        &self,
        publication: &Arc<Publication>,
        inflate: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        if publication.count != 1 {
            return None;
        }
        // Held meanwhile, so that no two receivers do the same work.
        let mut inflated = lock(&publication.inflated.0);
        if let Some(body) = &*inflated {
            return Some(Bytes::clone(body));
        }
        let body = inflate()?;
        *inflated = Some(Box::new(body.clone()));
        drop(inflated);
        self.keep(publication, body.len());
        Some(body)
    }

    fn keep(&self, publication: &Arc<Publication>, len: usize) {
        let mut ring = lock(&self.0);
        ring.publications
            .push_back((Arc::downgrade(publication), len));
        ring.bytes = ring.bytes.saturating_add(len);
        while ring.bytes > MAX_BYTES || ring.publications.len() > MAX_COUNT {
            let Some((oldest, len)) = ring.publications.pop_front() else {
                break;
            };
            ring.bytes = ring.bytes.saturating_sub(len);
            if let Some(oldest) = oldest.upgrade() {
                *lock(&oldest.inflated.0) = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use msip_session::MsgKind;

    use super::*;
    use crate::router::SessionKey;

    fn publication(count: u32) -> Arc<Publication> {
        let topic = Bytes::from_static(b"t");
        Arc::new(Publication::new(
            SessionKey::BROKER,
            topic,
            MsgKind::Event,
            Bytes::from_static(b"compressed"),
            count,
        ))
    }

    /// Whether the body had to be inflated.
    fn inflates(bodies: &InflatedBodies, publication: &Arc<Publication>, len: usize) -> bool {
        let mut has_inflated = false;
        let body = bodies.body(publication, || {
            has_inflated = true;
            Some(Bytes::from(vec![7; len]))
        });
        assert_eq!(body.map(|body| body.len()), Some(len));
        has_inflated
    }

    #[test]
    fn a_message_is_inflated_once_for_all_of_its_receivers() {
        let bodies = InflatedBodies::default();
        let one = publication(1);
        assert_eq!(bodies.body(&one, || None), None, "not by this one");
        assert!(inflates(&bodies, &one, 9));
        assert!(!inflates(&bodies, &one, 9));
        let part = Arc::new(Publication::clone(&one));
        assert!(inflates(&bodies, &part, 3), "a part is another one");
        let many = bodies.body(&publication(2), || Some(Bytes::new()));
        assert_eq!(many, None, "which of them it is, is not known");
    }

    #[test]
    fn what_bodies_inflate_to_is_bounded() {
        let bodies = InflatedBodies::default();
        let large: Vec<_> = (0..3).map(|_| publication(1)).collect();
        for one in &large {
            assert!(inflates(&bodies, one, MAX_BYTES / 2));
        }
        let is_kept = |one: &Arc<Publication>| lock(&one.inflated.0).is_some();
        assert_eq!(
            large.iter().map(is_kept).collect::<Vec<_>>(),
            [false, true, true]
        );
        assert!(inflates(&bodies, &publication(1), MAX_BYTES + 1));
        assert!(!large.iter().any(is_kept), "one that is larger than all");
        let small: Vec<_> = (0..=MAX_COUNT).map(|_| publication(1)).collect();
        for one in &small {
            assert!(inflates(&bodies, one, 1));
        }
        assert_eq!(small.iter().filter(|one| is_kept(one)).count(), MAX_COUNT);
    }
}
