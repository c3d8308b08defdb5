//! What a dialect carries, and the refusal of all else by name.

use msip_session::wire::{Metadata, Topic};
use prost::Message as _;

use crate::error::Unsupported;

/// What a dialect does not carry. All of it is refused before anything is sent.
#[derive(Debug)]
pub(crate) struct Carries {
    /// Its name, as errors say it.
    pub(crate) dialect: &'static str,
    /// What it lacks.
    pub(crate) lacks: &'static [Feature],
}

/// Something that MSIP has and another framing may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    Calls,
    /// One-way messages that are acknowledged.
    Acknowledgments,
    Streams,
    Headers,
    CorrelationIds,
    /// That a message may be repeated.
    Idempotency,
    /// Keys that distinguish one STATE from another.
    Keys,
    /// The clearing of a STATE.
    Clearing,
    Topics,
    Groups,
    Wildcards,
    Grants,
    /// What is spoken at the topic of a subscription.
    SubscribedProtocols,
    Pings,
    PingPayloads,
    /// Servers that are attached to a broker, and what else is typed at several topics of one connection.
    Endpoints,
    Credentials,
    Channels,
    Compression,
    /// Bodies in another codec than protobuf.
    Codecs,
    /// Clients without a schema.
    Untyped,
}

impl Feature {
    const fn text(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Acknowledgments => "acknowledgments",
            Self::Streams => "streams",
            Self::Headers => "headers",
            Self::CorrelationIds => "correlation ids",
            Self::Idempotency => "idempotency in metadata",
            Self::Keys => "keys of STATEs",
            Self::Clearing => "clearing of STATEs",
            Self::Topics => "topics",
            Self::Groups => "groups",
            Self::Wildcards => "wildcards",
            Self::Grants => "grants",
            Self::SubscribedProtocols => "protocols of subscriptions",
            Self::Pings => "pings from this side",
            Self::PingPayloads => "payloads of PINGs",
            Self::Endpoints => "servers or clients of a broker's typed topics",
            Self::Credentials => "credentials",
            Self::Channels => "channels",
            Self::Compression => "compression",
            Self::Codecs => "codecs but protobuf",
            Self::Untyped => "clients without a schema",
        }
    }
}

impl Carries {
    /// Refuses what the dialect lacks.
    pub(crate) fn check(&self, feature: Feature) -> Result<(), Unsupported> {
        if !self.lacks.contains(&feature) {
            return Ok(());
        }
        Err(self.refusal(feature))
    }

    /// The refusal of what the dialect lacks.
    pub(crate) const fn refusal(&self, lacking: Feature) -> Unsupported {
        Unsupported {
            dialect: self.dialect,
            what: lacking.text(),
        }
    }

    /// Refuses metadata that the dialect lacks. A deadline ends the waiting on this side, so that it need not be carried; nor
    /// need what only observes: a trace context, the time of sending.
    pub(crate) fn check_metadata(&self, encoded: &[u8]) -> Result<(), Unsupported> {
        // What this side has encoded can be decoded.
        let metadata = Metadata::decode(encoded).unwrap_or_default();
        let has = [
            (!metadata.headers.is_empty(), Feature::Headers),
            (!metadata.correlation_id.is_empty(), Feature::CorrelationIds),
            (metadata.idempotent, Feature::Idempotency),
            (
                !metadata.key.is_empty() || !metadata.cleared.is_empty(),
                Feature::Keys,
            ),
        ];
        has.iter()
            .filter(|(has, _)| *has)
            .try_for_each(|(_, feature)| self.check(*feature))
    }

    /// Refuses a filter that names more than one topic.
    pub(crate) fn check_filter(&self, filter: &Topic) -> Result<(), Unsupported> {
        if has_wildcards(filter.as_str()) {
            self.check(Feature::Wildcards)?;
        }
        Ok(())
    }
}

/// Whether a level of the topic stands for others.
pub(super) fn has_wildcards(filter: &str) -> bool {
    filter.split('/').any(|level| matches!(level, "+" | "#"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Carries = Carries {
        dialect: "MIP",
        lacks: &[Feature::Calls, Feature::Headers, Feature::Wildcards],
    };

    #[test]
    fn what_a_dialect_lacks_is_refused_by_name() {
        let refused = SOME.check(Feature::Calls).unwrap_err();
        assert_eq!(refused.to_string(), "the MIP dialect has no calls");
        assert_eq!(SOME.check(Feature::Streams), Ok(()));
    }

    #[test]
    fn metadata_is_looked_at_field_by_field() {
        let mut metadata = Metadata {
            deadline_ms: Some(5),
            traceparent: "00-1-2-01".into(),
            request_time_us: Some(1),
            ..Metadata::default()
        };
        assert_eq!(SOME.check_metadata(&[]), Ok(()));
        assert_eq!(SOME.check_metadata(&metadata.encode_to_vec()), Ok(()));
        metadata.headers.insert("a".into(), "b".into());
        let refused = SOME.check_metadata(&metadata.encode_to_vec());
        assert_eq!(refused.unwrap_err().what, "headers");
    }

    #[test]
    fn a_wildcard_is_a_whole_level() {
        for (filter, expected) in [
            ("a/b", false),
            ("a+/b#", false),
            ("a/+/b", true),
            ("#", true),
        ] {
            assert_eq!(has_wildcards(filter), expected, "{filter}");
        }
    }
}
