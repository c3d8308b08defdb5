//! A configured server listens: its URLs are read and checked, and then bound.

use std::sync::Arc;

use super::{
    super::{
        BindError,
        acceptor::{IncomingConnections, OtherListeners},
        authenticate::Authenticators,
        handoff::Handoffs,
        protocols::ProtocolTable,
    },
    ServerBuilder,
};
use crate::{
    dialect::{DialectProtocol, ServerDialect},
    middleware::Stacks,
    settings::Settings,
    transport::{
        self, GivenOptions, Listener, ServiceUrl, TransportOptions, TransportSettingError,
    },
};
use msip_session::wire::Side;

/// What a builder has once it listens, whatever the protocol.
pub(in crate::server) struct Bound {
    pub(in crate::server) incoming: IncomingConnections,
    pub(in crate::server) settings: Settings,
    pub(in crate::server) authenticators: Authenticators,
    pub(in crate::server) stacks: Stacks,
    pub(in crate::server) name: String,
    pub(in crate::server) others: ProtocolTable,
    pub(in crate::server) handoffs: Handoffs,
}

impl<P> ServerBuilder<P> {
    /// Reads the URL, checks the settings, and listens. `own` is the protocol of the builder, where it has a schema.
    pub(in crate::server) async fn listen(
        self,
        own: Option<DialectProtocol>,
    ) -> Result<Bound, BindError> {
        crate::instruments::describe();
        let Self {
            url,
            mut settings,
            authenticators,
            stacks,
            name,
            others,
            handoffs,
            listener,
            also,
            given,
            ..
        } = self;
        let url = match listener {
            Some(_) => ServiceUrl::parse_any(&url)?,
            None => ServiceUrl::parse(&url)?,
        };
        let options = url.transport_options(Side::Accepting).with(given.clone());
        settings.apply_url(&["connection", "server"], &url, &options)?;
        settings.finish()?;
        url.check_direct()?;
        if listener.is_none() {
            url.check_streams()?;
        }
        let address = url.only_address()?;
        // All URLs are checked before one of them is listened at.
        let also: Result<Vec<_>, _> = also.iter().map(|url| parse_also(url, &given)).collect();
        let also = also?;
        let is_confidential = match &listener {
            Some(listener) => listener.is_confidential(),
            None => transport::is_confidential(address),
        };
        let mut listened_at = vec![(&url, is_confidential)];
        for (url, options) in &also {
            let is_confidential = transport::is_confidential(url.address());
            listened_at.push((url, is_confidential || is_insecure(options)?));
        }
        for (url, is_confidential) in listened_at {
            if !settings.insecure && !is_confidential {
                let url = url.to_string();
                return Err(BindError::Insecure { url });
            }
        }
        let mut table = ProtocolTable::default();
        for make in others {
            table.push(make(&stacks));
        }
        let protocols: Vec<_> = own.into_iter().chain(table.for_dialects()).collect();
        let authenticates = !authenticators.is_empty();
        let dialect_of = |url: &ServiceUrl, options: &TransportOptions| {
            let dialect = ServerDialect::of(url, options, &settings, &protocols, authenticates);
            let dialect = dialect.map_err(|error| BindError::of_dialect(url, error, &protocols))?;
            Ok::<_, BindError>(dialect.map(Arc::new))
        };
        let dialect = dialect_of(&url, &options)?;
        let also_spoken: Result<Vec<_>, _> = also
            .iter()
            .map(|(url, options)| dialect_of(url, options))
            .collect();
        let also_spoken = also_spoken?;
        let first = match listener {
            Some(listener) => Listener::own(listener, address.clone().into()),
            None => listen_at(&url, &options).await?,
        };
        let mut other_listeners = OtherListeners::default();
        for ((url, options), dialect) in also.iter().zip(also_spoken) {
            let local_url = if url.check_streams().is_ok() {
                let listener = listen_at(url, options).await?;
                let local_url = listener.local_url().clone();
                other_listeners.streams.push((listener, dialect));
                local_url
            } else {
                let bound = other_listeners.udp.listen_at(url.address()).await;
                let bound = bound.map_err(|error| BindError::of_listen(url, error.into()));
                bound?.into()
            };
            other_listeners.urls.push(local_url);
        }
        Ok(Bound {
            incoming: IncomingConnections::new(
                (first, dialect),
                other_listeners,
                settings.insecure,
            ),
            settings,
            authenticators,
            stacks,
            name,
            others: table,
            handoffs,
        })
    }
}

async fn listen_at(url: &ServiceUrl, options: &TransportOptions) -> Result<Listener, BindError> {
    let bound = Listener::bind_with(url.address(), options).await;
    bound.map_err(|error| BindError::of_listen(url, error))
}

/// Whether an address need not be confidential, though others have to be: `insecure` is a setting of datagrams over UDP.
fn is_insecure(options: &TransportOptions) -> Result<bool, TransportSettingError> {
    match options.get("insecure") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            let why = "it is `true` or `false`";
            Err(TransportSettingError::new("insecure", other, why))
        }
    }
}

/// Reads the URL of [`ServerBuilder::also`], which has settings of its transport only.
fn parse_also(
    url: &str,
    given: &GivenOptions,
) -> Result<(ServiceUrl, TransportOptions), BindError> {
    let url = ServiceUrl::parse(url)?;
    url.check_direct()?;
    url.only_address()?;
    let options = url.transport_options(Side::Accepting).with(given.clone());
    let names = options.names();
    let of_server = url.settings().iter();
    let mut of_server = of_server.filter(|(name, _)| !names.contains(&name.as_str()));
    if let Some((name, _)) = of_server.next() {
        // One that nobody knows is told as everywhere.
        Settings::default().apply_url(&["connection", "server"], &url, &options)?;
        return Err(BindError::ServerSetting {
            name: name.clone(),
            url: url.to_string(),
        });
    }
    Ok((url, options))
}
