//! What a transport is told besides an address.

use thiserror::Error;

/// What a transport is told besides an address: the settings of its own in a URL, and what a builder was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct TransportOptions {
    /// The names of the settings that the transport takes.
    names: &'static [&'static str],
    settings: Vec<(String, String)>,
}

impl TransportOptions {
    /// Takes the settings with these names, which are the transport's; the others are those of the client or server.
    pub(super) fn of(settings: &[(String, String)], names: &'static [&'static str]) -> Self {
        let is_own = |(name, _): &&(String, String)| names.contains(&name.as_str());
        Self {
            names,
            settings: settings.iter().filter(is_own).cloned().collect(),
        }
    }

    /// The value of this setting in the URL.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let setting = self.settings.iter().find(|(own, _)| own == name);
        setting.map(|(_, value)| value.as_str())
    }

    /// The names of the settings that the transport takes.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        self.names
    }
}

/// A setting of a transport that cannot be used: a file that is not there, a text of another form.
///
/// `Debug` is its text, as it is what Rust prints where `main` returns an error.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("setting `{name}`: `{value}` cannot be used: {why}")]
#[non_exhaustive]
pub struct TransportSettingError {
    /// The name of the setting.
    pub name: &'static str,
    /// Its value, such as the path of a file.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

impl TransportSettingError {
    pub(crate) fn new(
        name: &'static str,
        value: impl Into<String>,
        why: impl std::fmt::Display,
    ) -> Self {
        Self {
            name,
            value: value.into(),
            why: why.to_string(),
        }
    }
}

impl From<TransportSettingError> for std::io::Error {
    fn from(error: TransportSettingError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_settings_of_the_transport_and_no_others() {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let all = [setting("ca", "ca.pem"), setting("max_body", "1MiB")];
        let options = TransportOptions::of(&all, &["ca", "cert"]);
        assert_eq!(options.get("ca"), Some("ca.pem"));
        assert_eq!(options.get("cert"), None);
        assert_eq!(options.get("max_body"), None);
        let error = TransportSettingError::new("ca", "ca.pem", "it holds no certificate");
        assert_eq!(
            error.to_string(),
            "setting `ca`: `ca.pem` cannot be used: it holds no certificate"
        );
    }
}
