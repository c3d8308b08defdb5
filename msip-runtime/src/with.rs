//! A client or peer with options for what is sent through it.

use crate::CallOptions;

/// A view of a client or peer that sends with its own options; made by their `with`.
///
/// It has the same send traits as what it looks at.
#[derive(Debug, Clone)]
pub struct With<'a, T> {
    pub(crate) target: &'a T,
    pub(crate) options: CallOptions,
}
