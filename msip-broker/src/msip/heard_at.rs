//! Where an instance hears its clients: of what is sent to it, the next is likely of the same one.

use msip_runtime::Status;
use msip_session::wire::Topic;

use super::presence;
use crate::router::ClientAt;

/// The topic at which an instance heard a client last. In a box, since most sessions are no instance.
#[derive(Debug, Default)]
pub(super) struct HeardAt(Option<Box<(ClientAt, Topic)>>);

impl HeardAt {
    /// Where the instance hears this client.
    ///
    /// # Errors
    ///
    /// The topic is too long with the client's name.
    pub(super) fn topic_of(&mut self, client: &ClientAt) -> Result<&Topic, Status> {
        let known = self.0.take().filter(|known| known.0 == *client);
        let known = match known {
            Some(known) => known,
            None => Box::new((client.clone(), presence::topic_of(client)?)),
        };
        Ok(&self.0.insert(known).1)
    }
}
