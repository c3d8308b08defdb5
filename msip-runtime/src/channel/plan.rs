//! What the channels of a client are, from its URL and its builder.

use super::{Channel, ChannelError, KindSet};
use crate::{
    MsgKind,
    settings::Settings,
    transport::{self, CHANNEL_SETTING, Connector, GivenOptions, ServiceUrl},
};
use msip_session::wire::Side;

/// The settings that the URL of a channel takes, besides those of its transport.
const SETTINGS: [&str; 6] = [
    "codec",
    "compress",
    "compress_threshold",
    "outgoing_queue",
    "ping_interval",
    "insecure",
];

/// Those that the URL of a channel of datagrams takes.
const DATAGRAM_SETTINGS: [&str; 2] = ["ping_interval", "insecure"];

/// A channel that is to be opened.
#[derive(Debug, Clone)]
pub(crate) struct ChannelPlan {
    /// What goes by it.
    pub(crate) kinds: KindSet,
    pub(crate) url: ServiceUrl,
    /// The client's, with those of the channel over them.
    pub(crate) settings: Settings,
    pub(crate) transport: ChannelTransport,
}

/// What a channel is made of, by the scheme of its URL: a second session, unless the scheme is one of datagrams.
#[derive(Debug, Clone)]
pub(crate) enum ChannelTransport {
    /// A connection and a session of its own.
    Session(Connector),
    /// Datagrams beside the client's connection.
    #[cfg(feature = "datagram")]
    Datagrams,
}

impl ChannelPlan {
    /// Whether it is a session of its own.
    pub(crate) const fn is_session(&self) -> bool {
        self.connector().is_some()
    }

    /// What opens its connections, where it is a session of its own.
    pub(crate) const fn connector(&self) -> Option<&Connector> {
        match &self.transport {
            ChannelTransport::Session(connector) => Some(connector),
            #[cfg(feature = "datagram")]
            ChannelTransport::Datagrams => None,
        }
    }
}

impl ChannelTransport {
    fn of(url: &ServiceUrl, given: &GivenOptions) -> Result<Self, ChannelError> {
        #[cfg(feature = "datagram")]
        if url.check_streams().is_err() {
            return Ok(Self::Datagrams);
        }
        let options = url.transport_options(Side::Connecting).with(given.clone());
        let connector = transport::connector_of(url, &options);
        let connector = connector.map_err(|source| ChannelError::Transport {
            url: url.address().to_string(),
            source,
        })?;
        Ok(Self::Session(connector))
    }
}

/// Every channel of a client with these settings: those of its URL, and of those of its builder what the URL does not name.
pub(crate) fn plan(
    url: &ServiceUrl,
    built: &[Channel],
    settings: &Settings,
    given: &GivenOptions,
) -> Result<Vec<ChannelPlan>, ChannelError> {
    let in_url = of_url(url)?;
    let is_named = disjoint(&in_url)?;
    disjoint(built)?;
    let mut channels = in_url;
    for channel in built {
        if channel.kinds.is_empty() {
            return Err(ChannelError::NoKinds {
                url: channel.url.clone(),
            });
        }
        let kinds = channel.kinds.without(is_named);
        if !kinds.is_empty() {
            channels.push(Channel {
                kinds,
                ..channel.clone()
            });
        }
    }
    let plan = |channel: &Channel| channel.plan(settings, given);
    channels.iter().map(plan).collect()
}

/// All kinds of these channels, none of which two have.
fn disjoint(channels: &[Channel]) -> Result<KindSet, ChannelError> {
    let mut all = KindSet::default();
    for channel in channels {
        if channel.kinds.contains(MsgKind::Command) {
            return Err(ChannelError::Command);
        }
        if let Some(kind) = channel.kinds.kinds().find(|kind| all.contains(*kind)) {
            return Err(repeated(kind));
        }
        all = all.and(channel.kinds);
    }
    Ok(all)
}

fn repeated(kind: MsgKind) -> ChannelError {
    ChannelError::RepeatedKind {
        kind: kind.name().to_ascii_lowercase(),
    }
}

/// The channels that a client's URL names.
fn of_url(url: &ServiceUrl) -> Result<Vec<Channel>, ChannelError> {
    let settings = url.settings().iter();
    let named = settings.filter(|(name, _)| name == CHANNEL_SETTING);
    named.map(|(_, value)| parse(value)).collect()
}

fn parse(value: &str) -> Result<Channel, ChannelError> {
    let malformed = || ChannelError::Malformed {
        value: value.to_owned(),
    };
    let (names, url) = value.split_once(':').ok_or_else(malformed)?;
    if names.is_empty() || url.starts_with("//") {
        // A URL without kinds.
        return Err(malformed());
    }
    let mut kinds = KindSet::default();
    for name in names.split(',') {
        let kind = MsgKind::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name));
        match kind {
            None => {
                return Err(ChannelError::UnknownKind {
                    kind: name.to_owned(),
                });
            }
            Some(MsgKind::Command) => return Err(ChannelError::Command),
            Some(kind) if kinds.contains(kind) => return Err(repeated(kind)),
            Some(kind) => kinds = kinds.with(kind),
        }
    }
    Ok(Channel::new(url).kinds(kinds.kinds()))
}

impl Channel {
    fn plan(&self, settings: &Settings, given: &GivenOptions) -> Result<ChannelPlan, ChannelError> {
        let invalid = |source| ChannelError::Url {
            url: self.url.clone(),
            source,
        };
        let url = ServiceUrl::parse(&self.url).map_err(invalid)?;
        url.check_direct().map_err(invalid)?;
        let options = url.transport_options(Side::Connecting);
        let own = options.names();
        let taken = match url.check_streams() {
            Ok(()) => &SETTINGS[..],
            Err(_) => &DATAGRAM_SETTINGS,
        };
        let mut settings = settings.clone();
        settings.codec = self.codec.unwrap_or(settings.codec);
        settings.compress = self.compression.unwrap_or(settings.compress);
        let place = || url.address().to_string();
        let wrong = |source| ChannelError::Value {
            url: place(),
            source,
        };
        let is_taken = |name: &str| {
            if taken.contains(&name) {
                return Ok(());
            }
            let known = taken.iter().chain(own);
            let known: Vec<String> = known.map(|known| format!("`{known}`")).collect();
            Err(ChannelError::Setting {
                url: place(),
                name: name.to_owned(),
                known: known.join(", "),
                is_clients: Settings::has(&["connection", "client"], name),
            })
        };
        if self.codec.is_some() {
            is_taken("codec")?;
        }
        if self.compression.is_some() {
            is_taken("compress")?;
        }
        for (name, value) in url.settings() {
            if own.contains(&name.as_str()) {
                continue;
            }
            is_taken(name)?;
            settings
                .apply(&["connection", "client"], name, value)
                .map_err(wrong)?;
        }
        settings.check().map_err(wrong)?;
        let transport = ChannelTransport::of(&url, given)?;
        Ok(ChannelPlan {
            kinds: self.kinds,
            url,
            settings,
            transport,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, Compression};

    fn planned(url: &str, built: &[Channel]) -> Result<Vec<ChannelPlan>, ChannelError> {
        let url = ServiceUrl::parse(url).unwrap();
        plan(&url, built, &Settings::default(), &GivenOptions::default())
    }

    fn shown(plans: &[ChannelPlan]) -> Vec<String> {
        let show = |plan: &ChannelPlan| format!("{} by {}", plan.kinds, plan.url.address());
        plans.iter().map(show).collect()
    }

    #[test]
    fn a_url_names_channels_with_settings_of_their_own() {
        let url = "mem://main?codec=protobuf&channel=metric,log:mem://lines?compress_threshold=2KiB%26ping_interval=2s\
                   &channel=STATE:mem://states";
        let plans = planned(url, &[]).unwrap();
        assert_eq!(
            shown(&plans),
            ["log,metric by mem://lines", "state by mem://states"]
        );
        assert_eq!(plans[0].settings.compress_threshold, 2048);
        assert_eq!(plans[0].settings.ping_interval.as_secs(), 2);
        assert_eq!(plans[1].settings.compress_threshold, 1024);
        // What is parsed is written, and parsed again to the same.
        let again = ServiceUrl::parse(url).unwrap().to_string();
        assert_eq!(shown(&planned(&again, &[]).unwrap()), shown(&plans));
    }

    #[test]
    fn a_builder_gives_channels_and_the_url_takes_kinds_over() {
        let lossy = Channel::new("mem://lines").kinds([MsgKind::Log, MsgKind::Metric]);
        let built = [
            lossy.compression(Compression::None).codec(Codec::Protobuf),
            Channel::new("mem://events").kinds([MsgKind::Event]),
        ];
        let plans = planned("mem://main?channel=log,event:mem://other", &built).unwrap();
        assert_eq!(
            shown(&plans),
            ["event,log by mem://other", "metric by mem://lines"]
        );
    }

    #[test]
    fn a_channel_is_as_the_client_unless_it_says_otherwise() {
        let settings = Settings {
            compress: Compression::Lz4,
            max_body: 4096,
            ..Settings::default()
        };
        let url = ServiceUrl::parse("mem://main?channel=log:mem://lines?compress=none").unwrap();
        let plans = plan(&url, &[], &settings, &GivenOptions::default()).unwrap();
        let settings = &plans[0].settings;
        assert_eq!(settings.compress, Compression::None);
        assert_eq!(settings.max_body, 4096);
    }

    #[test]
    fn errors_say_what_a_channel_takes() {
        let allowed =
            "expected one or more of `event`, `state`, `log` and `metric`, separated by commas";
        let takes = "expected one of `codec`, `compress`, `compress_threshold`, `outgoing_queue`, `ping_interval`, `insecure`";
        let form =
            "setting `channel`: expected kinds and a URL, such as `log,metric:quic://host:7400`";
        let cases = [
            ("log", format!("{form}, found `log`")),
            ("mem://lines", format!("{form}, found `mem://lines`")),
            (
                "logs:mem://lines",
                format!("setting `channel`: there is no kind `logs`: {allowed}"),
            ),
            (
                "log,:mem://lines",
                format!("setting `channel`: there is no kind ``: {allowed}"),
            ),
            (
                "log,command:mem://lines",
                format!("a channel takes no COMMAND: {allowed}"),
            ),
            (
                "log,log:mem://lines",
                "the kind `log` is given to a channel twice: it goes by one".to_owned(),
            ),
            (
                "log:mem://lines&channel=metric,log:mem://more",
                "the kind `log` is given to a channel twice: it goes by one".to_owned(),
            ),
            (
                "log:carrier://lines",
                "the channel to carrier://lines cannot be used".to_owned(),
            ),
            (
                "log:mem://lines/topic",
                "the channel to mem://lines/topic cannot be used".to_owned(),
            ),
            (
                "log:mem://lines?max_connections=1",
                format!("the channel to mem://lines takes no setting `max_connections`: {takes}"),
            ),
            (
                "log:mem://lines?max_calls=1",
                format!(
                    "the channel to mem://lines takes no setting `max_calls`: {takes} (it is set for the client and all \
                     of its channels, in the URL of the client)"
                ),
            ),
            (
                "log:mem://lines?codec=yaml",
                "the channel to mem://lines cannot be used".to_owned(),
            ),
        ];
        for (value, text) in cases {
            let error = planned(&format!("mem://main?channel={value}"), &[]).expect_err(value);
            assert_eq!(error.to_string(), text, "{value}");
        }
        let none = planned("mem://main", &[Channel::new("mem://lines")]).unwrap_err();
        assert_eq!(
            none.to_string(),
            format!("the channel to mem://lines is for no kind: {allowed}")
        );
        let command = Channel::new("mem://lines").kinds([MsgKind::Command]);
        assert_eq!(
            planned("mem://main", &[command]).unwrap_err(),
            ChannelError::Command
        );
    }
}
