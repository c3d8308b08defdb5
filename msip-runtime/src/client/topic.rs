//! The topic of a broker at which a client speaks, and its names.

use bytes::Bytes;

use crate::transport::UrlError;
use msip_session::wire::{Limits, Topic};

/// What follows a topic in the longest name that belongs to it, `T/$to/<peer>`.
const PEER_LEN: usize = "/$to/0123456789abcdef".len();

/// The topic `T` of a client: it hears `T` and sends to `T/$in`, which its services hear.
#[derive(Debug, Clone)]
pub(super) struct ClientTopic {
    name: Topic,
    services: Topic,
}

impl ClientTopic {
    /// The topic of this name.
    ///
    /// # Errors
    ///
    /// [`UrlError::NotSpokenAt`] where no client can speak at it.
    pub(super) fn new(name: &str) -> Result<Self, UrlError> {
        let refuse = |reason: String| UrlError::NotSpokenAt {
            topic: name.to_owned(),
            reason,
        };
        if name.contains(['+', '#']) {
            let reason = "`+` and `#` are for filters, and a client speaks at one topic";
            return Err(refuse(reason.to_owned()));
        }
        if name.split('/').any(|level| level.starts_with('$')) {
            let reason = "levels that begin with `$` are the broker's";
            return Err(refuse(reason.to_owned()));
        }
        let max = usize::from(Limits::default().max_topic) - PEER_LEN;
        if name.len() > max {
            let len = name.len();
            return Err(refuse(format!("it has {len} bytes, and {max} are allowed")));
        }
        let topic = |name: String| {
            Topic::new(Bytes::from(name), Limits::default().max_topic)
                .map_err(|error| refuse(error.to_string()))
        };
        Ok(Self {
            name: topic(name.to_owned())?,
            services: topic(format!("{name}/$in"))?,
        })
    }

    /// The name.
    pub(super) fn name(&self) -> &Topic {
        &self.name
    }

    /// Where its services hear what a client says.
    pub(super) fn services(&self) -> &Topic {
        &self.services
    }
}
