//! What a transport is told besides an address.

#[cfg(feature = "tls")]
use super::{
    TransportSettingError,
    tls::{ClientTls, ServerTls},
};

/// What a transport is told besides an address: the settings of its own in a URL, and what a builder was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct TransportOptions {
    /// The names of the settings that the transport takes.
    names: Vec<&'static str>,
    settings: Vec<(String, String)>,
    given: GivenOptions,
}

/// What a builder was given for transports. The transport of the URL takes its own, and no other.
#[derive(Debug, Clone, Default)]
pub(crate) struct GivenOptions {
    #[cfg(feature = "tls")]
    pub(crate) client_tls: Option<ClientTls>,
    #[cfg(feature = "tls")]
    pub(crate) server_tls: Option<ServerTls>,
}

impl TransportOptions {
    /// Takes the settings with these names, which are the transport's; the others are those of the client or server.
    pub(super) fn of(settings: &[(String, String)], names: Vec<&'static str>) -> Self {
        let is_own = |(name, _): &&(String, String)| names.contains(&name.as_str());
        Self {
            settings: settings.iter().filter(is_own).cloned().collect(),
            names,
            given: GivenOptions::default(),
        }
    }

    /// The same, with what a builder was given.
    pub(crate) fn with(mut self, given: GivenOptions) -> Self {
        self.given = given;
        self
    }

    /// The TLS of a client: what its builder was given, and the settings of the URL over it.
    #[cfg(feature = "tls")]
    pub(super) fn client_tls(&self) -> ClientTls {
        let given = self.given.client_tls.clone().unwrap_or_default();
        given.with_settings(|name| self.get(name))
    }

    /// The same of a server.
    #[cfg(feature = "tls")]
    pub(super) fn server_tls(&self) -> Result<ServerTls, TransportSettingError> {
        let given = self.given.server_tls.clone().unwrap_or_default();
        given.with_settings(|name| self.get(name))
    }

    /// The value of this setting in the URL.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let setting = self.settings.iter().find(|(own, _)| own == name);
        setting.map(|(_, value)| value.as_str())
    }

    /// The names of the settings that the transport takes.
    pub(crate) fn names(&self) -> &[&'static str] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_settings_of_the_transport_and_no_others() {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let all = [setting("ca", "ca.pem"), setting("max_body", "1MiB")];
        let options = TransportOptions::of(&all, vec!["ca", "cert"]);
        assert_eq!(options.get("ca"), Some("ca.pem"));
        assert_eq!(options.get("cert"), None);
        assert_eq!(options.get("max_body"), None);
    }
}
