//! One session with a server, and the exchanges that it makes.

use std::{
    borrow::Cow,
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    sync::Arc,
};

use futures_core::Stream;
use msip_runtime::{
    CallOptions, Code, ConnectError, ConnectionState,
    untyped::{Responses, SubscribeOptions, UntypedClient, UntypedMessage},
};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

use super::{
    events::{EventLog, EventReader},
    principal::Principal,
    service::EventService,
    target::Target,
};
use crate::{GatewayError, Operation, ProtocolModel};

/// One session with a server or a broker, of one principal.
#[derive(Debug)]
pub(crate) struct Session {
    client: UntypedClient,
    model: ProtocolModel,
    /// The topic that services hear, through a broker.
    topic: Option<String>,
    events: Arc<EventLog>,
}

impl Session {
    /// Connects as this principal.
    pub(super) async fn connect(
        target: &Target,
        model: &ProtocolModel,
        principal: &Principal,
    ) -> Result<Self, GatewayError> {
        let schema = model.schema();
        let (package, fingerprint) = (schema.package().to_owned(), schema.fingerprint());
        let events = EventLog::new(fresh_number());
        let mut builder = UntypedClient::builder(&target.url, package.clone(), fingerprint)
            .service(EventService::new(&events))
            .name("msip-gateway");
        if let Some(credential) = principal.credential() {
            builder = builder.credential(credential.clone());
        }
        let client = builder.connect().await.map_err(connect_error)?;
        if let Some(topic) = &target.topic {
            let options = SubscribeOptions::new()
                .by_peer()
                .protocol(package, fingerprint);
            client.subscribe(topic, &options).await?;
        } else {
            let theirs = client.connection().server_fingerprint();
            if theirs != fingerprint {
                tracing::warn!(
                    package = schema.package(),
                    ours = format_args!("{fingerprint:016x}"),
                    theirs = format_args!("{theirs:016x}"),
                    "the server's schema is another version"
                );
            }
        }
        Ok(Self {
            model: model.clone(),
            topic: target.topic.as_ref().map(|topic| format!("{topic}/$in")),
            events,
            client,
        })
    }

    /// Whether it has ended for good.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.client.connection().state(), ConnectionState::Closed)
    }

    /// Ends it, once what is open has ended or `drain_timeout` has passed.
    pub(super) async fn close(&self) {
        self.client.close().await;
    }

    /// Waits until it has ended for good.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn closed(&self) {
        let mut state = self.client.connection().watch();
        // An error says that the client is gone.
        let _ = state
            .wait_for(|state| matches!(state, ConnectionState::Closed))
            .await;
    }

    /// What the server says on its own, from here on or after the event of this id.
    #[must_use]
    pub(crate) fn events(&self, last_id: Option<&str>) -> EventReader {
        self.events.read(last_id)
    }

    /// Sends a one-way message; `request` is the member's message in protobuf.
    ///
    /// # Errors
    ///
    /// It was not sent.
    pub(crate) async fn send(
        &self,
        operation: &Operation,
        request: &[u8],
        options: &CallOptions,
    ) -> Result<(), GatewayError> {
        let (message, options) = self.message(operation, request, options)?;
        Ok(self.client.send(&message, &options).await?)
    }

    /// Sends a message and waits for its acknowledgment.
    ///
    /// # Errors
    ///
    /// The server's, or nobody knows.
    pub(crate) async fn deliver(
        &self,
        operation: &Operation,
        request: &[u8],
        options: &CallOptions,
    ) -> Result<(), GatewayError> {
        let (message, options) = self.message(operation, request, options)?;
        Ok(self.client.deliver(&message, &options).await?)
    }

    /// Makes a call, and returns its answer as JSON.
    ///
    /// # Errors
    ///
    /// The server's, or nobody knows.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub(crate) async fn call(
        &self,
        operation: &Operation,
        request: &[u8],
        options: &CallOptions,
    ) -> Result<Vec<u8>, GatewayError> {
        let (message, options) = self.message(operation, request, options)?;
        let answer = self.client.call(&message, &options).await?;
        self.answer_of(operation, &answer)
    }

    /// Makes a call whose answer is a stream.
    ///
    /// # Errors
    ///
    /// It was not sent.
    pub(crate) async fn open(
        self: &Arc<Self>,
        operation: &Arc<Operation>,
        request: &[u8],
        options: &CallOptions,
    ) -> Result<Answers, GatewayError> {
        let (message, options) = self.message(operation, request, options)?;
        let responses = self.client.open(&message, &options).await?;
        Ok(self.answers(operation, responses))
    }

    /// Makes a call whose request is a stream, of messages in protobuf.
    ///
    /// # Errors
    ///
    /// It was not sent.
    pub(crate) async fn open_stream(
        self: &Arc<Self>,
        operation: &Arc<Operation>,
        requests: impl Stream<Item = UntypedMessage> + Send + 'static,
        options: &CallOptions,
    ) -> Result<Answers, GatewayError> {
        let (head, options) = self.message(operation, &[], options)?;
        let responses = self.client.open_stream(&head, requests, &options).await?;
        Ok(self.answers(operation, responses))
    }

    fn answers(self: &Arc<Self>, operation: &Arc<Operation>, responses: Responses) -> Answers {
        Answers {
            responses,
            operation: Arc::clone(operation),
            session: Arc::clone(self),
        }
    }

    fn message(
        &self,
        operation: &Operation,
        request: &[u8],
        options: &CallOptions,
    ) -> Result<(UntypedMessage, CallOptions), GatewayError> {
        let mut options = options.clone();
        let mut message = request_message(operation, request);
        if let Some(topic) = &self.topic {
            message = message.to_topic(topic.clone())?;
            if let Some(key) = operation.key(request) {
                options = options.key(key);
            }
        }
        Ok((message, options))
    }

    /// An answer as JSON.
    fn answer_of(
        &self,
        operation: &Operation,
        answer: &UntypedMessage,
    ) -> Result<Vec<u8>, GatewayError> {
        let number = answer.number();
        if Some(number) != operation.response() {
            let text = format!("variant {number} does not answer {}", operation.name());
            return Err(GatewayError::new(Code::Internal, text));
        }
        let body = answer
            .body()
            .map_err(|error| GatewayError::new(Code::Internal, error.to_string()))?;
        Ok(self.json_of(number, &body)?.1)
    }

    /// The name of a member of the server.
    pub(crate) fn name_of(&self, number: u16) -> Option<&str> {
        self.model.server_member(number).map(|(name, _)| name)
    }

    /// The name of a member of the server, and its message as JSON.
    pub(crate) fn json_of(
        &self,
        number: u16,
        envelope: &[u8],
    ) -> Result<(&str, Vec<u8>), GatewayError> {
        let broken = |what: &str, why: &str| {
            let text = format!("{what} of the server cannot be read: {why}");
            GatewayError::new(Code::Internal, text)
        };
        let Some((name, content)) = self.model.server_member(number) else {
            return Err(broken(&format!("variant {number}"), "it is unknown here"));
        };
        let member =
            member_of(envelope, number).ok_or_else(|| broken(name, "it is malformed protobuf"))?;
        let json = match &content.message {
            Some(message) => message
                .to_json(&member)
                .map_err(|error| broken(name, &error.to_string()))?,
            None => b"{}".to_vec(),
        };
        Ok((name, json))
    }
}

/// The answers of a call, as JSON.
#[derive(Debug)]
pub(crate) struct Answers {
    responses: Responses,
    operation: Arc<Operation>,
    session: Arc<Session>,
}

impl Answers {
    /// The next one; `None` at the end. An error is the last.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Result<Vec<u8>, GatewayError>> {
        Some(match self.responses.next().await? {
            Ok(answer) => self.session.answer_of(&self.operation, &answer),
            Err(error) => Err(error.into()),
        })
    }
}

/// The message of an operation, without a topic.
pub(crate) fn request_message(operation: &Operation, request: &[u8]) -> UntypedMessage {
    let number = u32::from(operation.variant().number());
    let mut body = Vec::with_capacity(request.len() + 8);
    encode_key(number, WireType::LengthDelimited, &mut body);
    encode_varint(request.len() as u64, &mut body);
    body.extend_from_slice(request);
    UntypedMessage::new(operation.variant(), body)
}

/// The member of an envelope. Several occurrences are merged, which for encoded messages means to concatenate them.
fn member_of(mut envelope: &[u8], number: u16) -> Option<Cow<'_, [u8]>> {
    let mut found: Option<Cow<'_, [u8]>> = None;
    while !envelope.is_empty() {
        let (tag, wire_type) = decode_key(&mut envelope).ok()?;
        if tag != u32::from(number) || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, tag, &mut envelope, DecodeContext::default()).ok()?;
            continue;
        }
        let len = usize::try_from(decode_varint(&mut envelope).ok()?).ok()?;
        let (member, rest) = envelope.split_at_checked(len)?;
        envelope = rest;
        match &mut found {
            Some(before) => before.to_mut().extend_from_slice(member),
            None => found = Some(member.into()),
        }
    }
    found
}

/// A number that nothing else has: a hasher begins with random keys.
pub(crate) fn fresh_number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Why there is no session, for the client.
fn connect_error(error: ConnectError) -> GatewayError {
    match error {
        ConnectError::Refused { status, .. } => status.into(),
        ConnectError::CredentialTooLarge { .. } => {
            GatewayError::new(Code::Unauthenticated, "the credential is too long")
        }
        error => {
            // Where it is, is the operator's business alone.
            tracing::warn!(%error, "the upstream cannot be reached");
            GatewayError::new(Code::Unavailable, "the upstream cannot be reached")
        }
    }
}
