//! Looking whether a configuration can be used, without using it.

use std::{
    io, process,
    sync::atomic::{AtomicU64, Ordering},
};

use msip_runtime::{BindError, transport::TransportSettingError, untyped::UntypedServer};

use super::{BrokerError, middleman_listeners::MiddleManListeners, reloader::with_causes};
use crate::{
    config::{Config, ConfigErrors},
    directory::Authentication,
};

pub(super) async fn check(config: &Config) -> Result<(), BrokerError> {
    config.check()?;
    Authentication::new(&config.keys)?;
    MiddleManListeners::open(config)?;
    #[cfg(not(feature = "admin"))]
    if config.admin.is_some() {
        let (what, feature) = ("admin", "admin");
        return Err(BrokerError::NotBuilt { what, feature });
    }
    check_listeners(config).await
}

/// What is wrong with a configuration, where it could not be listened at all of its URLs.
pub(super) async fn explain(config: &Config, error: BindError) -> BrokerError {
    if is_of_system(&error) {
        return error.into();
    }
    // It does not say at which of them.
    match check_listeners(config).await {
        Ok(()) => error.into(),
        Err(told) => told,
    }
}

/// Looks at each listener by itself, at an address that is free.
async fn check_listeners(config: &Config) -> Result<(), BrokerError> {
    for (index, listener) in config.listeners.iter().enumerate() {
        let Some(url) = elsewhere(&listener.url, next_number()) else {
            continue;
        };
        // Settings of the server are those of the first listener.
        let server = match index {
            0 => UntypedServer::builder(&url),
            _ => {
                let first = format!("mem://{}", name(next_number()));
                UntypedServer::builder(first).also(&url)
            }
        };
        // It reads the certificates and the settings, and is closed at once.
        match server.insecure(true).bind().await {
            Ok(_) => {}
            // Of the address that was asked for that says nothing.
            Err(error) if is_of_system(&error) => {}
            Err(BindError::TransportSetting(source)) if is_of_file(&source) => {
                let url = listener.url.clone();
                return Err(BrokerError::Listener { url, source });
            }
            Err(error) => {
                let text = with_causes(&error).replace(&url, &listener.url);
                return Err(ConfigErrors::of_listener(&listener.url, text).into());
            }
        }
    }
    Ok(())
}

/// Whether the system has refused an address, which may be free another time.
fn is_of_system(error: &BindError) -> bool {
    matches!(error, BindError::Io { source, .. } if source.kind() != io::ErrorKind::Unsupported)
}

/// Whether a file cannot be used that a setting names, which may be right another time.
fn is_of_file(error: &TransportSettingError) -> bool {
    ["cert", "key", "client_ca"].contains(&error.name) && !error.value.is_empty()
}

/// The same URL at an address that nobody else uses: a port of loopback that is free, or a name with this number.
fn elsewhere(url: &str, number: u64) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let settings = rest.find('?').map_or("", |at| &rest[at..]);
    Some(match scheme {
        "mem" => format!("mem://{}{settings}", name(number)),
        // Not where the environment says: the path of a socket has 107 bytes at most.
        scheme if scheme.rsplit('+').next() == Some("unix") => {
            format!("{scheme}:///tmp/{}{settings}", name(number))
        }
        _ => {
            let after = rest.find(['/', '?']).map_or("", |end| &rest[end..]);
            format!("{scheme}://127.0.0.1:0{after}")
        }
    })
}

/// The name of a listener that is only looked at.
fn name(number: u64) -> String {
    format!("msip-broker-check-{}-{number}", process::id())
}

/// Configurations may be looked at side by side.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::{elsewhere, name};

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
            (
                "unix:///run/msip.sock?mode=0660",
                Some("unix:///tmp/NAME?mode=0660"),
            ),
            ("mip+unix:///run/mip", Some("mip+unix:///tmp/NAME")),
            (
                "mem://plant?ping_interval=1s",
                Some("mem://NAME?ping_interval=1s"),
            ),
            ("plant", None),
        ];
        for (url, expected) in cases {
            let expected = expected.map(|url| url.replace("NAME", &name(7)));
            assert_eq!(elsewhere(url, 7), expected, "{url}");
        }
    }
}
