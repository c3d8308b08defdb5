//! The arguments.

use std::{path::PathBuf, time::Duration};

use clap::{
    Parser, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use msip_daemon::{Failure, LogFormat, LogLevel};
use msip_gateway::{
    Gateway, GatewayBuilder, GatewayLimits, Hosts, ProtocolModel,
    jesus::{JesusOptions, Methods},
    registry::Registry,
};

use super::wrong_schema;

const AFTER: &str = "\
Signals: SIGTERM and SIGINT end it once open requests have ended, a second one at once; SIGHUP reads certificates and the methods of \
jesus' clients again.

Exit codes: 0 it was told to stop; 1 something could not be done, such as listening at a port that is taken; 2 an argument, a \
variable or a schema is wrong.";

/// HTTP and JSON in front of an MSIP server or a broker: POST /v1/<package>/<request> makes a call.
#[derive(Debug, Parser)]
#[command(name = "msip-gateway", version, after_help = AFTER)]
pub(super) struct Arguments {
    /// Where to listen: http://HOST:PORT, https://HOST:PORT?cert=FILE&key=FILE, or unix:///PATH
    #[arg(
        long,
        value_name = "URL",
        env = "MSIP_GATEWAY_LISTEN",
        default_value = "http://127.0.0.1:8080"
    )]
    listen: String,

    /// The server, such as tcp://HOST:PORT, or a topic of a broker, tcp://HOST:PORT/TOPIC
    #[arg(long, value_name = "URL", env = "MSIP_GATEWAY_UPSTREAM")]
    upstream: String,

    /// A .proto file that declares a protocol, or a descriptor set (.bin, .pb, .binpb); several times for several
    #[arg(
        long,
        value_name = "FILE",
        env = "MSIP_GATEWAY_SCHEMA",
        value_delimiter = ',',
        required_unless_present = "registry"
    )]
    schema: Vec<PathBuf>,

    /// A folder in which files and imports are looked for; without any, the folders of the files
    #[arg(
        long,
        value_name = "FOLDER",
        env = "MSIP_GATEWAY_INCLUDE",
        value_delimiter = ','
    )]
    include: Vec<PathBuf>,

    /// A folder of descriptor sets, which is read again where it has changed
    #[arg(long, value_name = "FOLDER", env = "MSIP_GATEWAY_REGISTRY")]
    registry: Option<PathBuf>,

    /// Serves clients of jesus too
    #[arg(long, value_enum, env = "MSIP_GATEWAY_JESUS")]
    jesus: Option<Audience>,

    /// The methods of jesus' clients: its methods.json
    #[arg(
        long,
        value_name = "FILE",
        env = "MSIP_GATEWAY_JESUS_METHODS",
        requires = "jesus"
    )]
    jesus_methods: Option<PathBuf>,

    /// Data of jesus' clients is checked as it is: "5" does not become 5
    #[arg(long, env = "MSIP_GATEWAY_JESUS_STRICT", requires = "jesus")]
    jesus_strict: bool,

    /// Does not say what it offers: no OpenAPI document, no schemas, no page
    #[arg(long, env = "MSIP_GATEWAY_UNDESCRIBED")]
    undescribed: bool,

    /// A name under which it is called, such as api.example.org, or * for any; IP addresses and localhost always are
    #[arg(
        long,
        value_name = "NAME",
        env = "MSIP_GATEWAY_HOST",
        value_delimiter = ','
    )]
    host: Vec<String>,

    /// An origin whose pages may call it, such as https://app.example.org, or * for any
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "MSIP_GATEWAY_CORS",
        value_delimiter = ','
    )]
    cors: Vec<String>,

    /// The largest body of a request, in bytes
    #[arg(long, value_name = "BYTES", env = "MSIP_GATEWAY_MAX_BODY")]
    max_body: Option<usize>,

    /// How many connections are served at once
    #[arg(long, value_name = "COUNT", env = "MSIP_GATEWAY_MAX_CONNECTIONS")]
    max_connections: Option<usize>,

    /// How many requests are answered at once, without streams
    #[arg(long, value_name = "COUNT", env = "MSIP_GATEWAY_MAX_REQUESTS")]
    max_requests: Option<usize>,

    /// How many streams are open at once
    #[arg(long, value_name = "COUNT", env = "MSIP_GATEWAY_MAX_STREAMS")]
    max_streams: Option<usize>,

    /// How long open requests may take to end when it is told to stop, in seconds
    #[arg(long, value_name = "SECONDS", env = "MSIP_GATEWAY_DRAIN_TIMEOUT")]
    drain_timeout: Option<u64>,

    /// From which level on it logs, to standard error
    #[arg(
        long,
        value_parser = named(LogLevel::names(), LogLevel::from_name),
        env = "MSIP_GATEWAY_LOG",
        default_value = "info"
    )]
    pub(super) log: LogLevel,

    /// How it logs
    #[arg(
        long,
        value_parser = named(LogFormat::names(), LogFormat::from_name),
        env = "MSIP_GATEWAY_LOG_FORMAT",
        default_value = "text"
    )]
    pub(super) log_format: LogFormat,

    /// Looks whether the configuration is right, with the files that it names, and ends
    #[arg(long)]
    pub(super) check_config: bool,
}

/// For whom a gateway with the interface of jesus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Audience {
    /// All methods
    Private,
    /// Methods that are public
    Public,
    /// All methods, and in the envelope of jesus' channel `socket` too
    Socket,
}

/// One of these names.
fn named<T: Clone + Send + Sync + 'static>(
    names: &'static [&'static str],
    from_name: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names)
        .try_map(move |name| from_name(&name).ok_or("it is none of them"))
}

impl Arguments {
    /// The gateway that they describe, and its interface for clients of jesus.
    pub(super) fn gateway(&self) -> Result<(GatewayBuilder, Option<JesusOptions>), Failure> {
        let protocols = match self.schema.is_empty() {
            true => Vec::new(),
            false => {
                ProtocolModel::from_files(&self.schema, &self.include).map_err(wrong_schema)?
            }
        };
        let hosts = self
            .host
            .iter()
            .fold(Hosts::default(), |hosts, name| hosts.host(name));
        let hosts = self
            .cors
            .iter()
            .fold(hosts, |hosts, origin| hosts.origin(origin));
        let mut all = protocols.clone();
        let mut builder = Gateway::builder(&self.listen)
            .upstream(&self.upstream, protocols)
            .described(!self.undescribed)
            .hosts(hosts)
            .limits(self.limits());
        if let Some(folder) = &self.registry {
            let registry = Registry::open(folder).map_err(|error| Failure::wrong(&error))?;
            all.extend_from_slice(registry.current().models());
            builder = builder.registry(&self.upstream, registry);
        }
        let Some(audience) = self.jesus else {
            return Ok((builder, None));
        };
        let methods = self.methods(&all)?;
        let jesus = match audience {
            Audience::Private => JesusOptions::private(methods),
            Audience::Public => JesusOptions::public(methods),
            Audience::Socket => JesusOptions::private(methods).envelope(),
        };
        Ok((builder.jesus(jesus.clone()), Some(jesus)))
    }

    /// The methods of clients of jesus, which are of these protocols.
    pub(super) fn methods(&self, models: &[ProtocolModel]) -> Result<Methods, Failure> {
        let methods = match &self.jesus_methods {
            Some(file) => Methods::read(models, file, !self.jesus_strict),
            None => Methods::new(models, None, !self.jesus_strict),
        };
        methods.map_err(|error| Failure::wrong(&error))
    }

    fn limits(&self) -> GatewayLimits {
        let mut limits = GatewayLimits::default();
        for (said, limit) in [
            (self.max_body, &mut limits.max_body),
            (self.max_connections, &mut limits.max_connections),
            (self.max_requests, &mut limits.max_requests),
            (self.max_streams, &mut limits.max_streams),
        ] {
            *limit = said.unwrap_or(*limit);
        }
        if let Some(seconds) = self.drain_timeout {
            limits.drain_timeout = Duration::from_secs(seconds);
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_has_every_option() {
        let mut command = Arguments::command();
        command.clone().debug_assert();
        let help = command.render_long_help();
        insta::assert_snapshot!(help);
    }

    #[test]
    fn wrong_arguments_are_told() {
        let told = |arguments: &[&str]| {
            let all = std::iter::once(&"msip-gateway").chain(arguments);
            Arguments::try_parse_from(all).unwrap_err().to_string()
        };
        let all = [
            told(&[]),
            told(&[
                "--upstream",
                "tcp://127.0.0.1:1",
                "--schema",
                "x",
                "--max-body",
                "much",
            ]),
            told(&["--upsteam", "x"]),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }
}
