//! The error of a transport's setting.

use thiserror::Error;

/// A setting of a transport that cannot be used: a file that is not there, a text of another form.
///
/// `Debug` is its text, as it is what Rust prints where `main` returns an error.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("setting `{name}`{}: {why}", unusable(.value))]
#[non_exhaustive]
pub struct TransportSettingError {
    /// The name of the setting.
    pub name: &'static str,
    /// Its value, such as the path of a file; empty where it is missing.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

fn unusable(value: &str) -> String {
    if value.is_empty() {
        " is missing".to_owned()
    } else {
        format!(": `{value}` cannot be used")
    }
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
    fn it_says_whether_the_setting_is_wrong_or_missing() {
        let error = TransportSettingError::new("ca", "ca.pem", "it holds no certificate");
        assert_eq!(
            error.to_string(),
            "setting `ca`: `ca.pem` cannot be used: it holds no certificate"
        );
        let error = TransportSettingError::new("cert", "", "a server over TLS needs one");
        assert_eq!(
            error.to_string(),
            "setting `cert` is missing: a server over TLS needs one"
        );
    }
}
