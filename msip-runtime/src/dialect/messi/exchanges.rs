//! The messages of a connection, which either side says and hears alike.

use std::sync::Arc;

use bytes::Bytes;
use msip_session::wire::{Header, Hello, SessionId};

use super::{
    TO_CLIENTS, TO_SERVERS,
    envelope::message_of,
    frame::{CLIENT_TO_SERVER, SERVER_TO_CLIENT, write_frame},
    questions::Questions,
};
use crate::{
    body::Encoding,
    dialect::{
        Carries, DialectError, DialectProtocol, Feature, MAX_KEPT, Output, Texts,
        protocol::EnvelopeTable,
        session_peer::{FromSession, Heard, SessionPeer},
    },
    protocol::Exchange,
};

/// What the session of this side and the foreign peer have asked each other.
pub(super) struct Exchanges {
    pub(super) session: SessionPeer,
    carries: &'static Carries,
    /// The type of the frames that this side's messages are sent in.
    frame_type: u8,
    outgoing: EnvelopeTable,
    incoming: EnvelopeTable,
    encoding: Encoding,
    texts: Option<Arc<Texts>>,
    /// What this side has asked, by the variant that answers it.
    questions: Questions,
}

impl Exchanges {
    /// Those of a client.
    pub(super) fn of_client(
        encoding: Encoding,
        protocol: DialectProtocol,
        texts: Option<Arc<Texts>>,
    ) -> Self {
        Self {
            session: SessionPeer::server(&TO_SERVERS, MAX_KEPT),
            carries: &TO_SERVERS,
            frame_type: CLIENT_TO_SERVER,
            outgoing: protocol.client_to_server,
            incoming: protocol.server_to_client,
            encoding,
            texts,
            questions: Questions::default(),
        }
    }

    /// Those of a server, to whose session this HELLO is said.
    pub(super) fn of_server(
        encoding: Encoding,
        protocol: DialectProtocol,
        texts: Option<Arc<Texts>>,
        (session_id, hello): (SessionId, Hello),
    ) -> Self {
        Self {
            session: SessionPeer::client(&TO_CLIENTS, session_id, hello, MAX_KEPT),
            carries: &TO_CLIENTS,
            frame_type: SERVER_TO_CLIENT,
            outgoing: protocol.server_to_client,
            incoming: protocol.client_to_server,
            encoding,
            texts,
            questions: Questions::default(),
        }
    }

    /// Sends what the session says. Returns what is no message of it, which a client treats differently from a server.
    ///
    /// # Errors
    ///
    /// The connection cannot go on.
    pub(super) fn handle_frame<'a>(
        &mut self,
        header: &Header,
        payload: &'a [u8],
        output: &mut Output,
    ) -> Result<Option<FromSession<'a>>, DialectError> {
        match self.session.receive(header, payload, output)? {
            Some(FromSession::Message(body)) => self.send(body, output),
            Some(FromSession::Answer(body)) => {
                let texts = self.texts.as_ref();
                if texts.is_some_and(|texts| texts.have_nul(body)) {
                    let refused = self.carries.refusal(Feature::NulText);
                    tracing::warn!(%refused, "an answer is not sent");
                } else {
                    self.send(body, output);
                }
            }
            Some(FromSession::Call { id, variant, body }) => {
                match self.outgoing.get(variant).map(crate::Variant::exchange) {
                    Some(Exchange::Call { response, .. }) => {
                        self.questions.push(response, id)?;
                        self.send(body, output);
                    }
                    _ => self.session.refuse(id, Feature::Calls, output),
                }
            }
            Some(FromSession::Failed(error)) => {
                let (code, text) = (error.code, &error.message);
                tracing::info!(%code, text, "a peer of Messi is not answered: its dialect has no errors");
            }
            other => return Ok(other),
        }
        Ok(None)
    }

    fn send(&self, body: &[u8], output: &mut Output) {
        write_frame(&mut output.to_peer, self.frame_type, body);
    }

    /// Handles a message of the peer.
    ///
    /// # Errors
    ///
    /// It cannot be decoded.
    pub(super) fn receive(
        &mut self,
        payload: &Bytes,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let Some(variant) = message_of(&self.incoming, &self.encoding, payload)? else {
            return Ok(());
        };
        let heard = Heard {
            variant: variant.number(),
            kind: variant.kind(),
            body: payload,
        };
        match variant.exchange() {
            Exchange::Answer => match self.questions.take(variant.number()) {
                Some(id) => self.session.answer(id, heard.variant, heard.body, output),
                None => {
                    tracing::debug!(message = variant.name(), "an answer that nobody asked for")
                }
            },
            Exchange::OneWay | Exchange::Acknowledged => self.session.give_message(heard, output),
            Exchange::Call { .. } if variant.has_streams() => {
                let refused = self.carries.refusal(Feature::Streams);
                tracing::warn!(message = variant.name(), %refused, "a message is ignored");
            }
            Exchange::Call { response, .. } => {
                self.session.give_call(heard, response, output);
            }
        }
        Ok(())
    }

    /// Whether the session has closed, and nothing is left that either end has to answer.
    pub(super) fn is_over(&self) -> bool {
        self.session.is_over() && self.questions.is_empty()
    }
}
