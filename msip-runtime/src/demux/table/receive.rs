//! What the connection receives goes to the endpoint that its topic names.

use std::sync::Arc;

use bytes::Bytes;

use super::{Open, Table};
use crate::{Code, Status, demux::endpoints::Endpoint, describe::OwnSchema};
use msip_session::{BareMessage, Incoming, ReplyTo};

impl Table {
    /// Hands over one-way messages of this topic. `false` where nobody has them.
    pub(in crate::demux) fn add_bare(
        &mut self,
        topic: &[u8],
        messages: &[BareMessage],
        memory: &Bytes,
    ) -> bool {
        if topic.starts_with(b"$") {
            for message in messages {
                let body = memory.get(message.body()).unwrap_or_default();
                self.handle_notice(topic, body);
            }
            return true;
        }
        let Some(open) = self.find(topic) else {
            return false;
        };
        if !open.window.received(messages.len()) {
            return false;
        }
        open.handlers.inbox.add_bare(messages, memory);
        true
    }

    /// Hands over calls that were read together. `false` where nobody hears the topic.
    pub(in crate::demux) fn add_calls(
        &mut self,
        topic: &[u8],
        calls: &[BareMessage],
        memory: &Bytes,
    ) -> bool {
        match self.find(topic).filter(|_| !topic.starts_with(b"$")) {
            Some(open) => {
                open.handlers.inbox.add_bare(calls, memory);
                true
            }
            None => false,
        }
    }

    /// Hands over a message with metadata, a delivery or a call. `false` where nobody has it.
    ///
    /// # Errors
    ///
    /// The broker has forwarded more of its sender than it may.
    pub(in crate::demux) fn add(&mut self, incoming: Box<Incoming>) -> Result<bool, Status> {
        let topic = incoming.topic.as_bytes();
        if topic.starts_with(b"$") {
            if matches!(incoming.reply, ReplyTo::Call(_)) {
                return Ok(false);
            }
            if !incoming.compressed {
                self.handle_notice(topic, &incoming.body);
            }
            return Ok(true);
        }
        let Some(open) = self.find(topic) else {
            return Ok(false);
        };
        if incoming.payload_len > 0
            && !matches!(incoming.reply, ReplyTo::Call(_))
            && !open.window.received(1)
        {
            let text = "more messages than the window allows";
            return Err(Status::new(Code::ResourceExhausted, text));
        }
        open.handlers.inbox.add_message(incoming);
        Ok(true)
    }

    /// The schema of the client or the service that hears this topic.
    pub(in crate::demux) fn schema(&mut self, topic: &[u8]) -> Option<Arc<OwnSchema>> {
        let id = self.find(topic)?.id;
        Some(match self.endpoints.get(id)? {
            Endpoint::Client(client) => Arc::clone(client.schema()),
            Endpoint::Service(service, _) => Arc::clone(service.schema()),
        })
    }

    fn find(&mut self, topic: &[u8]) -> Option<&Open> {
        let key = match &self.last {
            Some((last, key)) if *last == topic => *key,
            _ => {
                let key = self.key_of(topic)?;
                self.last = Some((Bytes::copy_from_slice(topic), key));
                key
            }
        };
        self.open.get(key)
    }

    fn key_of(&self, topic: &[u8]) -> Option<usize> {
        if let Some(key) = self.by_topic.get(topic) {
            return Some(*key);
        }
        // What is for one client of a topic comes to it alone.
        let to = b"/$to/";
        let at = topic.windows(to.len()).rposition(|window| window == to)?;
        self.by_topic.get(topic.get(..at)?).copied()
    }
}
