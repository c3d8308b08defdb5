//! The reader: what a peer sends is published, subscribed to, and handed to services.

use std::{
    collections::{BTreeMap, HashMap},
    future::{Future as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use msip_runtime::{
    CallOptions, Identity, Status,
    untyped::{
        Event, Inbound, MessageRef, Messages, PlainCall, Reply, SubscribeRequest, Subscribed,
        UntypedExchange, UntypedPeer,
    },
};
use msip_session::wire::{Code, Escaped};
use tokio::time::timeout;

use super::{
    Shared,
    call::{MsipCall, MsipRequest},
    link::Link,
    outgoing::Outgoing,
    presence,
    publications::{Run, publication_of},
    status,
};
use crate::{
    access::Grant,
    connections::OpenConnection,
    router::{self, Publication, Publisher, Refused, Request, SessionHandle, WakeList},
    topic::{self, Filter, TopicFilter},
};

/// What a peer sends.
pub(super) struct Reader<'a> {
    shared: &'a Arc<Shared>,
    session: &'a SessionHandle,
    peer: &'a UntypedPeer,
    link: &'a Link,
    publisher: Publisher,
    wakes: WakeList,
    /// The topic that something was sent to last: one that may be. Empty before.
    last_topic: Bytes,
    lasting: &'a mut Lasting,
}

/// What is kept of a session for its reader while it is silent.
#[derive(Default)]
pub(super) struct Lasting {
    /// The filters of each grant that was given. Clients give none.
    #[expect(
        clippy::box_collection,
        reason = "a map takes 48 bytes where there is none"
    )]
    granted: Option<Box<HashMap<String, Vec<TopicFilter>>>>,
    /// The connection is listed while this is there.
    listed: Option<OpenConnection>,
    /// The session had a connection before.
    was_connected: bool,
}

/// Why nothing is read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// The session has ended.
    Ended,
    /// Nothing has come or gone for a while, and nothing is under way.
    Silent,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        session: &'a SessionHandle,
        peer: &'a UntypedPeer,
        link: &'a Link,
        lasting: &'a mut Lasting,
    ) -> Self {
        Self {
            shared,
            session,
            peer,
            link,
            publisher: Publisher::new(&shared.router, session),
            wakes: WakeList::new(),
            last_topic: Bytes::new(),
            lasting,
        }
    }

    /// Reads until the session has ended, or is silent, and nothing that goes `out` is under way.
    pub(super) async fn run(&mut self, inbound: &mut Inbound, out: &Outgoing<'_>) -> Read {
        loop {
            // An event is handled in here: the future has no place for one while it waits for anything.
            let has_event = {
                let (wakes, mut next) = (&mut self.wakes, pin!(inbound.next()));
                let next = poll_fn(|task| {
                    let polled = next.as_mut().poll(task);
                    if polled.is_pending() {
                        // Once for all that was read together: else one of them runs for each message that it is given.
                        wakes.wake();
                    }
                    polled
                });
                match next.await {
                    Some(Event::Idle) if out.is_silent() => return Read::Silent,
                    Some(event) => {
                        self.handle(event);
                        true
                    }
                    None => false,
                }
            };
            if !has_event {
                break;
            }
            self.take_calls(inbound);
            if self.publisher.wait_until().is_some() {
                self.wakes.wake();
                Box::pin(self.push_back()).await;
            }
        }
        self.wakes.wake();
        if let Some(listed) = self.lasting.listed.take() {
            listed.closed("its session has ended");
        }
        Read::Ended
    }

    /// Takes the calls that were read with what was handled last, unless their caller is to be pushed back.
    fn take_calls(&mut self, inbound: &mut Inbound) {
        let mut now = None;
        let mut now = || *now.get_or_insert_with(|| self.shared.now());
        let is_unnamed = inbound.sender().is_some_and(is_unnamed);
        while self.publisher.wait_until().is_none() {
            // What is stated of a caller with a name makes an unusual call of it.
            if is_unnamed
                && let Some(topic) = self.topic_of_services()
                && let Some(call) = inbound.take_plain_call(topic)
            {
                let PlainCall {
                    message, responder, ..
                } = call;
                let mut call = MsipRequest::received(
                    self.session.clone(),
                    message,
                    CallOptions::new(),
                    responder,
                );
                call.call.is_unnamed = is_unnamed;
                self.hand_over(call, now());
            } else if let Some(exchange) = inbound.take_call() {
                self.take(exchange, now());
            } else {
                return;
            }
        }
    }

    /// Does what the peer asks for.
    fn handle(&mut self, event: Event<'_>) {
        match event {
            Event::Messages(messages) => self.publish_all(messages),
            Event::Exchange(exchange) => self.take(exchange, self.shared.now()),
            Event::Subscribe(request) if request.is_about_grant() => {
                let granted = self.grant(&request);
                answer(request, granted);
            }
            Event::Subscribe(request) => {
                let is_by_peer = request.is_by_peer();
                match self.subscribe(&request) {
                    Ok(Some(spoken)) if is_by_peer => request.accept_with(&spoken),
                    Ok(_) => request.accept(),
                    Err(status) => request.refuse(&status),
                }
            }
            Event::Unsubscribe(request) => {
                self.unsubscribe(&request);
                request.accept();
            }
            Event::Connected => {
                if self.lasting.was_connected && !self.resume() {
                    return;
                }
                self.lasting.was_connected = true;
                if let Some(max_body) = self.peer.max_body() {
                    self.session.accepts_up_to(max_body);
                }
                let address = self.peer.address().map(ToString::to_string);
                let address = address.unwrap_or_default();
                let connections = &self.shared.connections;
                self.lasting.listed = Some(connections.opened(address, self.session));
                self.link.set(true);
            }
            Event::Disconnected(reason) => {
                if let Some(listed) = self.lasting.listed.take() {
                    listed.closed(reason);
                }
                self.link.set(false);
                let now = self.shared.now();
                self.shared
                    .router
                    .suspend(self.session, now, &mut self.wakes);
            }
            // Of a client only.
            _ => {}
        }
    }

    /// Reads nothing while those are far behind who hear what was sent.
    async fn push_back(&mut self) {
        let Self {
            publisher, shared, ..
        } = self;
        while publisher.wait_until().is_some() {
            let now = shared.now();
            let first = poll_fn(|task| Poll::Ready(publisher.poll_ready(now, task))).await;
            let Some(until) = publisher.wait_until().filter(|_| first.is_pending()) else {
                return;
            };
            let ready = poll_fn(|task| publisher.poll_ready(shared.now(), task));
            // What has not become ready by then is looked at again.
            if timeout(until.saturating_sub(now), ready).await.is_ok() {
                return;
            }
        }
    }

    /// The session has another connection. `false` where the router has ended it.
    fn resume(&mut self) -> bool {
        let Some((_, rights)) = self.shared.authorize(self.peer) else {
            // Whoever writes finds the end, and tells the peer.
            self.shared.reauthorize(self.session, self.peer);
            return false;
        };
        let now = self.shared.now();
        match self.shared.router.resume(self.session, rights, now) {
            Ok(()) => true,
            Err(refused) => {
                self.peer.disconnect(status(&refused));
                false
            }
        }
    }

    /// Publishes messages that were read together, as few publications.
    fn publish_all(&mut self, messages: Messages<'_>) {
        let is_credit = |message: &MessageRef<'_>| presence::is_of_broker(message.topic_bytes());
        let mut messages = messages.iter();
        while let Some(first) = messages.next() {
            if is_credit(&first) {
                self.credit(&first);
                continue;
            }
            let mut run = Run::new(&first, &self.last_topic);
            let of_run = messages
                .clone()
                .take_while(|it| is_credit(it) || run.takes(it));
            // Its frames are copied into memory of their length.
            let (count, len) = of_run.fold((0, first.frame().len()), |(count, len), message| {
                let is_one = !is_credit(&message);
                (
                    count + 1,
                    len + if is_one { message.frame().len() } else { 0 },
                )
            });
            run.reserve(len);
            run.push(&first);
            for message in messages.by_ref().take(count) {
                match is_credit(&message) {
                    true => self.credit(&message),
                    false => run.push(&message),
                }
            }
            self.publish_run(run);
        }
    }

    /// An instance has finished with messages of a client. All else at such a topic is a call, or nobody's.
    fn credit(&self, message: &MessageRef<'_>) {
        if let Some((topic, credit)) = presence::credit(message) {
            if credit.window > 0 {
                self.session.widen(topic, &credit.peer, credit.window);
            }
            self.session.credit(topic, &credit.peer, credit.items);
        }
    }

    fn publish_run(&mut self, run: Run) {
        let publication = run.into_publication(self.session.key());
        if let Err(refused) = self.publish(publication, self.shared.now()) {
            // Nobody waits for an answer; the router has counted it.
            tracing::debug!(%refused, "a message that nobody waits for was not published");
        }
    }

    fn publish(&mut self, publication: Publication, now: Duration) -> Result<(), Refused> {
        if !self.is_last_topic(&publication.topic) {
            check(&publication.topic)?;
            self.last_topic = publication.topic.clone();
        }
        self.publisher
            .publish(publication, now, &mut self.wakes)
            .map(|_| ())
    }

    /// Whether something was sent to this topic last, so that it may be.
    fn is_last_topic(&self, topic: &[u8]) -> bool {
        !topic.is_empty() && self.last_topic == topic
    }

    /// The topic that something was sent to last, where calls to it are for services.
    fn topic_of_services(&self) -> Option<&[u8]> {
        let topic = &*self.last_topic;
        (!topic.is_empty() && !presence::is_of_broker(topic)).then_some(topic)
    }

    /// Takes a message with metadata, a delivery or a call.
    fn take(&mut self, exchange: UntypedExchange, now: Duration) {
        if let Reply::Call(_) = exchange.reply {
            return self.request(exchange, now);
        }
        let mut publication = publication_of(&exchange, self.session.key(), now);
        publication.wants_ack = matches!(exchange.reply, Reply::Delivery(_));
        let published = self.publish(publication, now);
        match exchange.reply {
            // It is in the outbox of everyone who hears it.
            Reply::Delivery(acknowledgment) => match published {
                Ok(()) => acknowledgment.acknowledge(),
                Err(refused) => acknowledgment.fail(status(&refused)),
            },
            _ => {
                if let Err(refused) = published {
                    tracing::debug!(%refused, "a message that nobody waits for was not published");
                }
            }
        }
    }

    /// Hands a call to a service.
    fn request(&mut self, exchange: UntypedExchange, now: Duration) {
        let metadata = exchange.metadata();
        // Where an instance hears each client apart, its topic says as much as an identity without a name.
        let is_unnamed = metadata.identity().is_some_and(is_unnamed);
        let options = match is_unnamed {
            true => exchange.options(),
            false => exchange.options_with_identity(),
        };
        let is_idempotent = metadata.is_idempotent();
        let key = metadata.key().map(str::to_owned);
        let Reply::Call(responder) = exchange.reply else {
            return;
        };
        if let Some(about) = presence::asks_broker(&exchange.message) {
            let Some((_, rights)) = self.shared.authorize(self.peer) else {
                return responder.fail(&status(&Refused::permission()));
            };
            match presence::ask(self.shared, &rights, about, &exchange.message) {
                Ok(answer) => responder.answer(&answer),
                Err(status) => responder.fail(&status),
            }
            return;
        }
        let topic = exchange.message.topic_bytes();
        if !self.is_last_topic(topic) {
            if let Err(refused) = check(topic) {
                return responder.fail(&status(&refused));
            }
            self.last_topic = Bytes::copy_from_slice(topic);
        }
        let caller = self.session.clone();
        let mut call = MsipRequest::received(caller, exchange.message, options, responder);
        call.call.is_unnamed = is_unnamed;
        call.call.requests = exchange.requests;
        call.call.is_idempotent = is_idempotent;
        call.call.key = key;
        self.hand_over(call, now);
    }

    /// Hands a call to a service of the topic that was looked at last.
    fn hand_over(&mut self, call: Box<MsipCall>, now: Duration) {
        let request = Request {
            topic: self.last_topic.clone(),
            exchange: call,
            tried: Vec::new(),
        };
        if let Err((refused, request)) = self.publisher.request(request, now, &mut self.wakes) {
            request.exchange.refuse(refused);
        }
    }

    fn subscribe(&mut self, request: &SubscribeRequest) -> Result<Option<Subscribed>, Status> {
        let filter = filter(request.topic())?;
        let (protocol, fingerprint) = request.protocol().unzip();
        let asked = router::SubscribeRequest {
            group: request.group().map(str::to_owned),
            protocol: protocol.map(str::to_owned),
            fingerprint: fingerprint.unwrap_or_default(),
            is_by_peer: request.is_by_peer(),
            has_own_window: request.has_own_window(),
            is_strict: request.is_strict(),
            ..router::SubscribeRequest::new(Filter::Pattern(filter))
        };
        let subscribed = self
            .shared
            .router
            .subscribe(self.session, asked, self.shared.now())
            .map_err(|refused| status(&refused))?;
        let spoken = subscribed.spoken;
        if let Some(differs) = spoken.as_ref().filter(|_| subscribed.differs) {
            tracing::info!(
                topic = request.topic(),
                protocol = differs.protocol,
                fingerprint = differs.fingerprint,
                "the first service of a topic speaks another protocol than this session"
            );
        }
        Ok(spoken.map(|spoken| Subscribed::new(spoken.protocol, spoken.fingerprint)))
    }

    fn unsubscribe(&mut self, request: &SubscribeRequest) {
        if request.is_about_grant() {
            let granted = self.lasting.granted.as_mut();
            let filters = granted.and_then(|granted| granted.remove(request.topic()));
            for filter in filters.unwrap_or_default() {
                let now = self.shared.now();
                self.shared.router.revoke(self.session, &filter, now);
            }
        } else if let Ok(filter) = TopicFilter::new(request.topic()) {
            let now = self.shared.now();
            let router = &self.shared.router;
            router.leave(self.session, &Filter::Pattern(filter), now, &mut self.wakes);
        }
    }

    /// A service enables topics for clients, in place of what it enabled at this topic before.
    fn grant(&mut self, request: &SubscribeRequest) -> Result<(), Status> {
        let asked = request.grant()?;
        let mut grants: BTreeMap<TopicFilter, Grant> = BTreeMap::new();
        for text in asked.publishes() {
            grants.entry(filter(text)?).or_default().publish = true;
        }
        for text in asked.subscribes() {
            grants.entry(filter(text)?).or_default().subscribe = true;
        }
        for text in asked.requests() {
            grants.entry(filter(text)?).or_default().request = true;
        }
        let (router, now) = (&self.shared.router, self.shared.now());
        let mut given = Vec::with_capacity(grants.len());
        for (filter, grant) in &grants {
            if let Err(refused) = router.grant(self.session, filter.clone(), *grant, now) {
                for filter in &given {
                    router.revoke(self.session, filter, now);
                }
                return Err(status(&refused));
            }
            given.push(filter.clone());
        }
        let granted = self.lasting.granted.get_or_insert_default();
        let before = granted.insert(request.topic().to_owned(), given);
        for filter in before.unwrap_or_default() {
            let is_given = granted.values().flatten().any(|given| *given == filter);
            if !is_given {
                router.revoke(self.session, &filter, now);
            }
        }
        Ok(())
    }
}

/// Whether an identity says nothing but which peer it is.
fn is_unnamed(identity: &Identity) -> bool {
    identity.user.is_empty() && identity.service.is_empty() && identity.roles.is_empty()
}

fn answer(request: SubscribeRequest, outcome: Result<(), Status>) {
    match outcome {
        Ok(()) => request.accept(),
        Err(status) => request.refuse(&status),
    }
}

fn filter(text: &str) -> Result<TopicFilter, Status> {
    TopicFilter::new(text).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// Whether this is a topic that a message can be sent to.
fn check(name: &[u8]) -> Result<(), Refused> {
    let text = match topic::is_valid(name) {
        true => return Ok(()),
        false if name.is_empty() => "a message without a topic, and this is a broker".into(),
        false => format!(
            "the topic `{}` is not one to send to: one has at most {} levels, and no `+` or `#`",
            Escaped::new(&String::from_utf8_lossy(name)),
            topic::MAX_LEVELS
        ),
    };
    Err(Refused {
        code: Code::InvalidArgument,
        text: text.into(),
    })
}
