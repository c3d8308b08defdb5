//! What a service enables for clients.

/// What clients may do with the topics of a filter, as long as the session that gave it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grant {
    /// Publish to them.
    pub publish: bool,
    /// Subscribe to them.
    pub subscribe: bool,
    /// Call their services.
    pub request: bool,
}

/// What somebody wants to do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Uses {
    /// Publish to it.
    Publish,
    /// Hear it.
    Subscribe,
    /// Be a service of it.
    Serve,
    /// Call one of its services.
    Request,
}

impl Grant {
    /// Whether it enables this.
    pub fn enables(self, what: Uses) -> bool {
        match what {
            Uses::Publish => self.publish,
            Uses::Subscribe => self.subscribe,
            Uses::Request => self.request,
            Uses::Serve => false,
        }
    }
}
