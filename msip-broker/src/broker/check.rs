//! Looking whether a configuration can be used, without using it.

use std::io;

use msip_runtime::{BindError, untyped::UntypedServer};

use super::{BrokerError, doors::Doors, reloader::with_causes};
use crate::{
    config::{Config, ConfigErrors},
    directory::Authentication,
};

/// Transports of which the address can be another one.
const WITH_PORTS: [&str; 7] = ["tcp", "tls", "ws", "wss", "quic", "mm", "mm+tls"];

pub(super) async fn check(config: &Config) -> Result<(), BrokerError> {
    config.check()?;
    Authentication::new(&config.keys)?;
    Doors::open(config)?;
    #[cfg(not(feature = "admin"))]
    if config.admin.is_some() {
        let (what, feature) = ("admin", "admin");
        return Err(BrokerError::NotBuilt { what, feature });
    }
    check_listeners(config).await
}

/// What is wrong with a configuration, where it could not be listened at all of its URLs.
pub(super) async fn explain(config: &Config, error: BindError) -> BrokerError {
    if !is_mistake(&error) {
        return error.into();
    }
    // It does not say at which of them.
    if let Err(told) = check_listeners(config).await {
        return told;
    }
    let mut listeners = config.listeners.iter();
    match listeners.find(|listener| elsewhere(&listener.url).is_none()) {
        Some(listener) => told(&listener.url, error),
        None => error.into(),
    }
}

/// Looks at each listener by itself, at a port that is free.
async fn check_listeners(config: &Config) -> Result<(), BrokerError> {
    for (index, listener) in config.listeners.iter().enumerate() {
        let Some(url) = elsewhere(&listener.url) else {
            continue;
        };
        // Settings of the server are those of the first listener.
        let server = match index {
            0 => UntypedServer::builder(&url),
            _ => UntypedServer::builder("mem://msip-broker-check").also(&url),
        };
        // It reads the certificates and the settings, and is closed at once.
        let bound = server.insecure(true).bind().await;
        drop(bound.map_err(|error| told(&listener.url, error))?);
    }
    Ok(())
}

fn told(url: &str, error: BindError) -> BrokerError {
    match is_mistake(&error) {
        true => ConfigErrors::of_listener(url, with_causes(&error)).into(),
        false => error.into(),
    }
}

/// Whether what was said of a listener is wrong, and not something that could not be done.
fn is_mistake(error: &BindError) -> bool {
    match error {
        BindError::Io { source, .. } => source.kind() == io::ErrorKind::Unsupported,
        // One that is missing; a file that cannot be used may be there another time.
        BindError::TransportSetting(setting) => setting.value.is_empty(),
        _ => true,
    }
}

/// The same URL at a port of loopback that is free.
fn elsewhere(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !WITH_PORTS.contains(&scheme) {
        return None;
    }
    let after = rest.find(['/', '?']).map_or("", |end| &rest[end..]);
    Some(format!("{scheme}://127.0.0.1:0{after}"))
}

#[cfg(test)]
mod tests {
    use super::elsewhere;

    #[test]
    fn the_settings_of_a_listener_are_kept() {
        let cases = [
            ("tcp://0.0.0.0:9000", Some("tcp://127.0.0.1:0")),
            (
                "tls://[::]:9000?cert=a&key=b",
                Some("tls://127.0.0.1:0?cert=a&key=b"),
            ),
            (
                "wss://a:1/chat?cert=a",
                Some("wss://127.0.0.1:0/chat?cert=a"),
            ),
            ("unix:///run/msip.sock", None),
            ("mem://plant", None),
        ];
        for (url, expected) in cases {
            assert_eq!(elsewhere(url).as_deref(), expected, "{url}");
        }
    }
}
