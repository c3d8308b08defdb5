//! What the session of this side says.

use msip_session::{
    MsgKind,
    wire::{Code, Flags, FrameType, Header, MsgId, RawHeader, write_error},
};

use super::{
    super::{
        DialectError, Feature, Output, carries::has_wildcards, greeting::Greeting,
        payload::topic_and_body,
    },
    CARRIES, MipClient, NAME, State,
    frame::{ACK_REQUIRED, write_frame},
};

impl MipClient {
    /// The session begins: so does one of MIP, always a new one.
    pub(super) fn hello(
        &mut self,
        header: &Header,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let mut greeting = Greeting::of(NAME, header, payload)?;
        // A topic is the session's where it has subscribed to it by itself.
        greeting.welcome.broker = !self.config.is_typed;
        self.state = State::Greeting(greeting);
        self.send(FrameType::Hello, MsgKind::Event, header.msg_id, &[], output);
        Ok(())
    }

    pub(super) fn publish(&mut self, header: &Header, payload: &[u8], output: &mut Output) {
        let id = header.msg_id;
        let flags = header.flags;
        let is_call = flags.contains(Flags::ACK_REQUIRED) && !id.is_delivery();
        if is_call || flags.contains(Flags::MORE) || flags.contains(Flags::ITEM) {
            // The runtime refuses it before: this is for what finds its way here all the same.
            return refuse(id, Feature::Calls, output);
        }
        let Some((topic, body)) = topic_and_body(flags, payload) else {
            return;
        };
        let topic = if topic.is_empty() {
            &self.config.topic
        } else {
            topic
        };
        // A topic of a URL or a message has 255 bytes at most.
        let topic_len = u16::try_from(topic.len()).unwrap_or_default().to_be_bytes();
        let urgent = flags.bits() & Flags::URGENT.bits();
        let publish = RawHeader {
            flags: ACK_REQUIRED | urgent,
            kind: header.kind.number(),
            ..RawHeader::new(FrameType::Publish, self.masked(id))
        };
        write_frame(&mut output.to_peer, publish, &[&topic_len, topic, body]);
        self.published.push_back((id, header.payload_len));
        if id.is_delivery() {
            self.newest_delivery = self.newest_delivery.max(id);
        } else {
            self.newest = self.newest.max(id);
        }
    }

    pub(super) fn subscribe(&mut self, header: &Header, payload: &[u8], output: &mut Output) {
        let id = header.msg_id;
        let filter = str::from_utf8(payload).unwrap_or_default();
        let lacking = if header.kind.known() == Ok(MsgKind::Command) {
            Some(Feature::Grants)
        } else if header.flags.contains(Flags::META) {
            Some(Feature::Groups)
        } else {
            has_wildcards(filter).then_some(Feature::Wildcards)
        };
        if let Some(lacking) = lacking {
            return refuse(id, lacking, output);
        }
        self.asked.push_back(id);
        self.send(header.frame_type, MsgKind::Event, id, payload, output);
    }
}

/// Answers a frame of the session that has no translation.
fn refuse(id: MsgId, feature: Feature, output: &mut Output) {
    let text = CARRIES.refusal(feature).to_string();
    let (code, output) = (Code::Unimplemented, &mut output.to_session);
    write_error(output, Flags::NONE, id, code, &text);
}
