//! A client or peer with options.

use crate::CallOptions;

/// A reference to a client or peer, with [`CallOptions`] for all that is sent through it; created by their `with`.
///
/// It implements the same send traits.
#[derive(Debug, Clone)]
pub struct With<'a, T> {
    pub(crate) target: &'a T,
    pub(crate) options: CallOptions,
}
