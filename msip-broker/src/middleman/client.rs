//! A client of MiddleMan at the router: what it asks for is done, and what it hears becomes text.

use std::{
    any::Any, collections::HashMap, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration,
};

use bytes::Bytes;
use msip_runtime::{
    Code, Status,
    untyped::{CallToRelay, UntypedMessage},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    Admission, Inner,
    members::Member,
    message::{Message, Sender, write},
    replies::RepliesOwner,
    requests::{Call, Held, Request},
    session::{Enable, Input, shown},
    topics::{self, key_of, topic_of},
    translate, uid_of,
};
use crate::{
    access::Grant,
    msip::{Foreign, MsipCall, MsipRequest},
    router::{
        self, About, Assigned, Delivery, Dialect, EndReason, OutboxItem, Publisher, Refused,
        SessionHandle, SessionKey, SubscribeRequest, WakeList,
    },
    topic::{self, Filter, TopicFilter},
};

/// A client at the router.
pub(super) struct Client<'a> {
    peers: &'a Inner,
    pub(super) session: SessionHandle,
    pub(super) publisher: Publisher,
    pub(super) replies: RepliesOwner,
    pub(super) held: Held,
    member: Arc<Member>,
    /// What it has enabled for clients.
    granted: HashMap<TopicFilter, Grant>,
    /// Who has sent the last message that did not come from a client of MiddleMan.
    last_sender: Option<(SessionKey, Arc<str>, String)>,
}

impl<'a> Client<'a> {
    /// A session for a client with this id.
    pub(super) fn new(
        peers: &'a Inner,
        admission: Admission,
        cid: String,
        address: String,
        now: Duration,
    ) -> Self {
        let Admission {
            principal,
            rights,
            renew,
            ..
        } = admission;
        let about = About {
            address,
            ..About::default()
        };
        let rights = peers.rights.share(rights);
        let router = &peers.router;
        let session = router.connect_as(principal, rights, Dialect::MiddleMan, Some((&cid, about)));
        // Its own messages, which nobody else may hear.
        if let Some(filter) = filter_of(&format!("{}{cid}", topics::MSG)) {
            let request = SubscribeRequest::new(Filter::Pattern(filter));
            if let Err(refused) = router.subscribe(&session, request, now) {
                tracing::debug!(%refused, "a client of MiddleMan does not hear its own messages");
            }
        }
        let member = peers.members.enter(cid, session.clone(), renew);
        // From here on it is found when rights change: what has changed since it was admitted is looked up.
        peers.reauthorize(&member);
        Self {
            peers,
            publisher: Publisher::new(router, &session),
            replies: RepliesOwner::new(router.limits().outgoing_bytes),
            held: Held::default(),
            member,
            session,
            granted: HashMap::new(),
            last_sender: None,
        }
    }

    pub(super) fn cid(&self) -> &str {
        &self.member.cid
    }

    /// Does what the client asks for. An error is what it is told. `Ok(true)` where it should send no more for now.
    pub(super) fn handle(
        &mut self,
        input: Input<'_>,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<bool, String> {
        match input {
            // There is one, and it was handled.
            Input::Key(_) => {}
            Input::Publish(message) => return self.publish(&message, now, wakes),
            Input::Subscribe(key) => self.subscribe(key, now)?,
            Input::Unsubscribe(key) => {
                if let Some(filter) = filter_of(key) {
                    let filter = Filter::Pattern(filter);
                    self.peers.router.leave(&self.session, &filter, now, wakes);
                }
            }
            Input::Request(message) => self.request(&message, now, wakes)?,
            Input::Respond(rid, message) => self.respond(rid, &message)?,
            Input::Enable(what, key) => self.enable(what, key, now)?,
            Input::SetUid { cid, uid } => self.peers.members.set_uid(&cid, &uid),
        }
        Ok(false)
    }

    fn publish(
        &mut self,
        message: &Message<'_>,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<bool, String> {
        let Message {
            key, headers, body, ..
        } = message;
        let topic = topic_of(key).ok_or_else(|| no_key("PUB", key))?;
        let uid = self.member.uid();
        let sender = Sender {
            cid: &self.member.cid,
            uid: &uid,
        };
        let from = self.session.key();
        let publication = translate::publication(from, topic, headers, sender, body);
        let mut publication = publication.ok_or_else(|| no_key("PUB", key))?;
        let named = headers.iter().map(|header| (&*header.name, &*header.value));
        let text: Utf8Bytes = write("PUB", key, named, sender, body).into();
        publication.pinned += text.len();
        publication.original = Some(Arc::new(text));
        match self.publisher.publish(publication, now, wakes) {
            Ok(published) => Ok(published.is_congested),
            Err(refused) => Err(not_done("Not trusted PUB", "PUB", key, &refused)),
        }
    }

    fn subscribe(&mut self, key: &str, now: Duration) -> Result<(), String> {
        let filter = filter_of(key).ok_or_else(|| no_key("SUB", key))?;
        let request = SubscribeRequest::new(Filter::Pattern(filter));
        let subscribed = self.peers.router.subscribe(&self.session, request, now);
        match subscribed {
            Ok(_) => Ok(()),
            Err(refused) => Err(not_done("Not trusted: SUB", "SUB", key, &refused)),
        }
    }

    /// Enables something for clients, and for a while no longer than this connection lasts.
    fn enable(&mut self, what: Enable, key: &str, now: Duration) -> Result<(), String> {
        let command = what.command();
        let filter = filter_of(key).ok_or_else(|| no_key(command, key))?;
        let mut grant = self.granted.get(&filter).copied().unwrap_or_default();
        match what {
            Enable::Publish => grant.publish = true,
            Enable::Subscribe => grant.subscribe = true,
            Enable::Request => grant.request = true,
        }
        let router = &self.peers.router;
        let refused =
            |refused: Refused| not_done(&format!("Not trusted {command}"), command, key, &refused);
        if what == Enable::Request {
            // First, so that whoever may ask finds it there.
            let served = topic::services(filter.as_str().as_bytes());
            let served = std::str::from_utf8(&served).unwrap_or_default();
            let served = TopicFilter::new(served).map_err(|_| no_key(command, key))?;
            let request = SubscribeRequest::new(Filter::Pattern(served));
            let subscribed = router.subscribe(&self.session, request, now);
            subscribed.map_err(refused)?;
        }
        let granted = router.grant(&self.session, filter.clone(), grant, now);
        granted.map_err(refused)?;
        self.granted.insert(filter, grant);
        Ok(())
    }

    fn request(
        &mut self,
        message: &Message<'_>,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<(), String> {
        let key = message.key;
        let topic = topic_of(key).ok_or_else(|| no_key("REQ", key))?;
        let too_many = || format!("Too many open requests REQ {}", shown(key));
        let reply = self.replies.open(key).ok_or_else(too_many)?;
        let call = Call {
            caller: self.session.clone(),
            cid: self.member.cid.clone(),
            uid: self.member.uid().as_ref().to_owned(),
            headers: message.headers.clone(),
            body: message.body.to_owned(),
            reply,
        };
        let request = router::Request {
            topic: topic.into(),
            exchange: Box::new(Foreign(Box::new(call))),
            tried: Vec::new(),
        };
        if let Err((refused, request)) = self.publisher.request(request, now, wakes) {
            request.exchange.refuse(refused);
        }
        Ok(())
    }

    fn respond(&mut self, rid: u64, message: &Message<'_>) -> Result<(), String> {
        // Only what this service holds: numbers of others mean nothing here.
        let nobody = || format!("No client for request ID  RES {}", shown(message.key));
        let request = self.held.answered(rid).ok_or_else(nobody)?;
        let uid = self.member.uid();
        let service = Sender {
            cid: &self.member.cid,
            uid: &uid,
        };
        match request {
            Request::MiddleMan(call) => match call.respond(message, service) {
                true => Ok(()),
                false => Err(nobody()),
            },
            Request::Msip(call) => {
                let CallToRelay { responder, .. } = *call;
                for (name, value) in translate::answer_headers(&message.headers, service) {
                    // The number is the service's.
                    if name != "rid"
                        && let Err(error) = responder.set_header(&name, &value)
                    {
                        tracing::debug!(%error, "a header of an answer is not passed on");
                    }
                }
                let body = super::dots::unstuff(message.body).into_owned();
                responder.answer(&UntypedMessage::new(&translate::COMMAND, body));
                Ok(())
            }
        }
    }

    /// What the client is to read of an item of its outbox.
    pub(super) fn render(&mut self, item: OutboxItem, now: Duration, texts: &mut Vec<Utf8Bytes>) {
        match item {
            OutboxItem::Publication(delivery) => self.deliver(&delivery, texts),
            OutboxItem::Exchange(assigned) => self.hold(*assigned, now, texts),
            OutboxItem::SubscriptionEnded(filter, _) => {
                let topic = match &filter {
                    Filter::Literal(topic) => topic,
                    Filter::Pattern(filter) => filter.as_str().as_bytes(),
                };
                let what = format!("Not trusted: SUB {}", shown(&key_of(topic)));
                texts.push(super::message::error(&what).into());
            }
            // It asks for nothing of this kind.
            OutboxItem::Presence(_) | OutboxItem::TopicSpoken(_) => {}
        }
    }

    fn deliver(&mut self, delivery: &Delivery, texts: &mut Vec<Utf8Bytes>) {
        let publication = &delivery.publication;
        let original = publication.original.as_deref();
        if let Some(text) = original.and_then(<dyn Any + Send + Sync>::downcast_ref::<Utf8Bytes>) {
            texts.push(text.clone());
            return;
        }
        let (cid, uid) = self.sender(publication.from);
        let sender = Sender {
            cid: &cid,
            uid: &uid,
        };
        let (key, max_body) = (key_of(&publication.topic), self.peers.settings.max_body);
        let mut dropped = 0;
        let all = translate::texts(publication, &key, sender, max_body, &mut dropped);
        texts.extend(all.into_iter().map(Utf8Bytes::from));
        self.session.count_dropped(dropped);
    }

    /// Who a session of another dialect is to clients of MiddleMan.
    fn sender(&mut self, from: SessionKey) -> (Arc<str>, String) {
        if let Some((key, cid, uid)) = &self.last_sender
            && *key == from
        {
            return (Arc::clone(cid), uid.clone());
        }
        let Some((cid, principal)) = self.peers.router.peer(from) else {
            return (Arc::from(""), String::new());
        };
        let uid = uid_of(&principal).to_owned();
        self.last_sender = Some((from, Arc::clone(&cid), uid.clone()));
        (cid, uid)
    }

    /// A request for this service: it is held until it is answered.
    fn hold(&mut self, assigned: Assigned, now: Duration, texts: &mut Vec<Utf8Bytes>) {
        let (
            router::Request {
                topic, exchange, ..
            },
            open,
        ) = assigned.into_parts();
        if self.held.is_full() {
            return exchange.refuse(Refused::crowded());
        }
        let rid = self.peers.next_rid.fetch_add(1, Relaxed);
        let exchange: Box<dyn Any> = exchange;
        let (request, text) = match exchange.downcast::<MsipCall>() {
            Ok(call) => match asked(&call.call, &topic, rid) {
                Ok(text) => (Request::Msip(call), text),
                Err(status) => return call.responder.fail(&status),
            },
            Err(other) => {
                let Ok(foreign) = other.downcast::<Foreign>() else {
                    return;
                };
                let call: Box<dyn Any> = foreign.0;
                let Ok(call) = call.downcast::<Call>() else {
                    return;
                };
                let text = call.text(rid);
                (Request::MiddleMan(call), text)
            }
        };
        self.held.insert(rid, request, open, now);
        texts.push(text.into());
    }

    /// The client has gone: what it was given and has not answered is told so, and what it enabled is withdrawn.
    pub(super) fn end(&mut self, reason: EndReason, now: Duration) {
        let mut wakes = WakeList::new();
        self.peers.members.leave(&self.member);
        self.peers
            .router
            .end(&self.session, reason, now, &mut wakes);
        self.held.end();
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        // The server was dropped, if it has not ended before.
        self.end(EndReason::Shutdown, self.peers.now());
    }
}

/// The call of an MSIP client as a service of MiddleMan gets it.
fn asked(call: &MsipRequest, topic: &Bytes, rid: u64) -> Result<String, Status> {
    if call.requests.is_some() {
        return Err(Status::new(
            Code::Unimplemented,
            "MiddleMan has no streams of requests",
        ));
    }
    let body = call.message.body();
    let body = body.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let sender = Sender {
        cid: call.caller.peer(),
        uid: uid_of(call.caller.principal()),
    };
    let (key, rid) = (key_of(topic), rid.to_string());
    let metadata = call.options.metadata();
    let text = translate::text("REQ", &key, metadata, &[("Rid", &rid)], sender, &body);
    text.map_err(Status::from)
}

/// The topic of a key, as a filter.
fn filter_of(key: &str) -> Option<TopicFilter> {
    TopicFilter::new(&topic_of(key)?).ok()
}

/// A key that is no topic.
fn no_key(command: &str, key: &str) -> String {
    format!("Not a key {command} {}", shown(key))
}

/// What a client is told whose wish is refused: in the words of the reference where that has any.
fn not_done(not_trusted: &str, command: &str, key: &str, refused: &Refused) -> String {
    let key = shown(key);
    match refused.code {
        Code::PermissionDenied => format!("{not_trusted} {key}"),
        _ => format!("{} {command} {key}", refused.text),
    }
}
