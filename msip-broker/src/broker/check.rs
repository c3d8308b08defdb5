//! Looking whether a configuration can be used, without using it.

use msip_runtime::untyped::UntypedServer;

use super::{BrokerError, doors::Doors};
use crate::{config::Config, directory::Authentication};

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
        drop(server.insecure(true).bind().await?);
    }
    Ok(())
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
