//! What a caller reads of the metadata of a response.

use std::sync::{Arc, Mutex, PoisonError};

use super::Metadata;

/// A shared slot for the metadata of a response; passed to a call with
/// [`CallOptions::response_metadata`](crate::CallOptions::response_metadata).
///
/// Clones share the slot. It holds the metadata of the last response.
///
/// ```no_run
/// # use msip_runtime::{CallOptions, ResponseMetadata};
/// let metadata = ResponseMetadata::new();
/// let options = CallOptions::new().response_metadata(&metadata);
/// // let answer = client.with(options).price_req(request).await?;
/// let price_list = metadata.header("price-list");
/// let sent_at = metadata.get().and_then(|metadata| metadata.response_time());
/// # let _ = (options, price_list, sent_at);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ResponseMetadata(Arc<Mutex<Option<Metadata>>>);

impl ResponseMetadata {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The metadata of the last response; `None` before the first, and if it had none.
    #[must_use]
    pub fn get(&self) -> Option<Metadata> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The value of the header of this name, which the handler has set; `None` where the last response had none.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let metadata = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        metadata.as_ref()?.header(name).map(str::to_owned)
    }

    pub(crate) fn set(&self, metadata: Option<Metadata>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = metadata;
    }
}
