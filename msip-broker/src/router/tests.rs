//! The router, rule by rule.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use msip_session::{
    MsgKind,
    wire::{Code, Flags, FrameType, HEADER_LEN, Header, MsgId},
};

use super::{
    DEAD_CODE, DEAD_TEXT, DEAD_TOPIC, Delivery, Dialect, EndReason, Exchange, Failed, Limits,
    OutboxItem, Presence, Publication, Published, Publisher, Refused, Request, Router,
    SessionHandle, StateKey, SubscribeRequest, Subscribed, SubscriptionEnd, Target, WakeList,
};
use crate::{
    access::{Filters, Grant, Principal, PrincipalLimits, Rights, Role},
    topic::{Filter, TopicFilter},
};

mod apart;
mod by_kind;
mod failures;
mod instances;
mod interleavings;
mod matrix;
mod outboxes;
mod own_windows;
mod rights;
mod routing;
mod sessions;
mod slow;
mod typed;

const NOW: Duration = Duration::ZERO;

/// A session of a test, and what it sends by.
struct Peer {
    router: Router,
    session: SessionHandle,
    publisher: Publisher,
}

impl Peer {
    fn new(router: &Router) -> Self {
        Self::with(router, Rights::all(), Dialect::Msip)
    }

    fn with(router: &Router, rights: Rights, dialect: Dialect) -> Self {
        let session = router.connect(Principal::new("anyone"), Arc::new(rights), dialect);
        Self {
            publisher: Publisher::new(router, &session),
            router: router.clone(),
            session,
        }
    }

    fn subscribe(&self, filter: &str) -> Subscribed {
        self.try_subscribe(filter, None).expect("a subscription")
    }

    fn try_subscribe(&self, filter: &str, group: Option<&str>) -> Result<Subscribed, Refused> {
        let filter = match self.session.dialect() {
            Dialect::Mip => Filter::Literal(Bytes::copy_from_slice(filter.as_bytes())),
            Dialect::Msip | Dialect::MiddleMan => {
                Filter::Pattern(TopicFilter::new(filter).expect("a filter"))
            }
        };
        let request = SubscribeRequest {
            group: group.map(str::to_owned),
            ..SubscribeRequest::new(filter)
        };
        self.router.subscribe(&self.session, request, NOW)
    }

    /// Leaves a subscription that it has.
    fn leave(&self, filter: &str) {
        let filter = Filter::Pattern(TopicFilter::new(filter).expect("a filter"));
        let mut wakes = WakeList::new();
        assert!(self.router.leave(&self.session, &filter, NOW, &mut wakes));
    }

    fn publish(
        &mut self,
        kind: MsgKind,
        topic: &str,
        bodies: &[&str],
    ) -> Result<Published, Refused> {
        let publication = self.publication(kind, topic, bodies);
        self.send(publication)
    }

    /// The same where it is taken.
    fn publishes(&mut self, kind: MsgKind, topic: &str, bodies: &[&str]) -> Published {
        self.publish(kind, topic, bodies).expect("it is taken")
    }

    fn send(&mut self, publication: Publication) -> Result<Published, Refused> {
        self.publisher
            .publish(publication, NOW, &mut WakeList::new())
    }

    fn publication(&self, kind: MsgKind, topic: &str, bodies: &[&str]) -> Publication {
        let mut publication = Publication::new(
            self.session.key(),
            Bytes::copy_from_slice(topic.as_bytes()),
            kind,
            frames(kind, topic, bodies),
            u32::try_from(bodies.len()).expect("few"),
        );
        publication.wants_ack = true;
        if kind == MsgKind::State {
            publication.state = Some(StateKey {
                variant: 1,
                key: Bytes::new(),
                is_cleared: bodies == [""],
            });
        }
        publication
    }

    fn items(&self) -> Vec<OutboxItem> {
        self.items_at(NOW)
    }

    fn items_at(&self, now: Duration) -> Vec<OutboxItem> {
        let mut items = Vec::new();
        let mut task = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(())) = self.session.poll_take(now, 1 << 20, &mut items, &mut task)
        {
        }
        items
    }

    /// Takes one item, as a connection does that is in the middle of writing.
    fn take_one(&self) -> Poll<Result<(), EndReason>> {
        self.take_one_at(NOW)
    }

    fn take_one_at(&self, now: Duration) -> Poll<Result<(), EndReason>> {
        let mut task = Context::from_waker(Waker::noop());
        self.session.poll_take(now, 1, &mut Vec::new(), &mut task)
    }

    fn suspend(&self) {
        self.router
            .suspend(&self.session, NOW, &mut WakeList::new());
    }

    fn resume(&self, rights: Rights) {
        let resumed = self.router.resume(&self.session, Arc::new(rights), NOW);
        resumed.expect("the session");
    }

    fn end(&self) {
        let mut wakes = WakeList::new();
        self.router
            .end(&self.session, EndReason::Closed, NOW, &mut wakes);
    }

    /// The one delivery that waits.
    fn delivery(&self) -> Delivery {
        let mut items = self.items();
        match (items.pop(), items.pop()) {
            (Some(OutboxItem::Publication(delivery)), None) => delivery,
            other => panic!("not one delivery: {other:?}"),
        }
    }

    /// Answers a delivery with an error.
    fn fail(&self, delivery: &Delivery) {
        let failed = Failed {
            delivery,
            frame: delivery.publication.frames.clone(),
            why: Refused::new(Code::Internal, "it broke"),
        };
        self.router
            .failed(&self.session, failed, NOW, &mut WakeList::new());
    }

    /// The bodies of what waits.
    fn take(&self) -> Vec<String> {
        let publications = self.items().into_iter().filter_map(|item| match item {
            OutboxItem::Publication(delivery) => Some(delivery.publication),
            _ => None,
        });
        publications
            .flat_map(|publication| bodies(&publication))
            .collect()
    }
}

fn frames(kind: MsgKind, topic: &str, bodies: &[&str]) -> Bytes {
    let mut frames = Vec::new();
    for body in bodies {
        let header = Header {
            flags: Flags::NONE,
            frame_type: FrameType::Event,
            kind: kind.into(),
            variant: 1,
            payload_len: u32::try_from(2 + topic.len() + body.len()).expect("short"),
            msg_id: MsgId::new(1),
        };
        frames.extend_from_slice(&header.encode());
        frames.extend_from_slice(&u16::try_from(topic.len()).expect("short").to_be_bytes());
        frames.extend_from_slice(topic.as_bytes());
        frames.extend_from_slice(body.as_bytes());
    }
    frames.into()
}

fn bodies(publication: &Publication) -> Vec<String> {
    let frames: Vec<_> = publication.iter().collect();
    assert_eq!(frames.len(), publication.count as usize);
    let body = |frame: &Bytes| frame.slice(HEADER_LEN + 2 + publication.topic.len()..);
    frames
        .iter()
        .map(|frame| String::from_utf8(body(frame).to_vec()).expect("text"))
        .collect()
}

fn router() -> Router {
    Router::new(Limits::default())
}

fn filters(allow: &[&str], deny: &[&str]) -> Filters {
    let parse = |texts: &[&str]| {
        let filters = texts.iter().map(|text| TopicFilter::new(text));
        filters.collect::<Result<Vec<_>, _>>().expect("filters")
    };
    Filters {
        allow: parse(allow),
        deny: parse(deny),
    }
}

/// A client that may do what services enable.
fn client() -> Rights {
    Rights::none()
}

/// A service of these topics, which may do nothing else.
fn service(serve: &[&str]) -> Rights {
    Rights {
        role: Role::Service,
        serve: filters(serve, &[]),
        ..Rights::none()
    }
}

const ALL: Grant = Grant {
    publish: true,
    subscribe: true,
    request: true,
};

/// A call that remembers nothing.
#[derive(Debug)]
struct Call;

impl Exchange for Call {
    fn pinned(&self) -> usize {
        100
    }

    fn refuse(self: Box<Self>, _why: Refused) {}
}

fn call(topic: &str) -> Request {
    Request {
        topic: Bytes::copy_from_slice(topic.as_bytes()),
        exchange: Box::new(Call),
        tried: Vec::new(),
    }
}
