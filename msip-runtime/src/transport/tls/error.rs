//! What goes wrong between a client and a server that are to speak TLS.

use std::{io, time::Duration};

use thiserror::Error;
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError,
    pki_types::{ServerName, UnixTime},
};

use super::provider::VERSION_NAMES;
use msip_session::wire::MAGIC;

/// Why a client has no TLS connection, and what to do.
///
/// `Debug` is its text, as it is what Rust prints where `main` returns an error.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The server speaks MSIP, and no TLS.
    #[error(
        "the server speaks MSIP without TLS: have it listen at tls://, or connect to tcp:// where the network between is trusted"
    )]
    Plaintext,
    /// The server speaks something else than TLS.
    #[error("the server does not speak TLS")]
    NotTls,
    /// The server left in the handshake.
    #[error("the server closed the connection in the TLS handshake: it may not speak TLS")]
    Closed,
    /// The server's certificate is out of date.
    #[error("the server's certificate expired {} ago: renew it (or this machine's clock is wrong)", rounded(*.ago))]
    Expired {
        /// For how long it has been.
        ago: Duration,
    },
    /// The server's certificate is not valid yet.
    #[error("the server's certificate is valid only in {}: this machine's clock is wrong, or the certificate was made on one whose was", rounded(*.ahead))]
    NotYetValid {
        /// In what time it is.
        ahead: Duration,
    },
    /// The server's certificate is another host's.
    #[error("the server's certificate is not for {expected:?}, but for {}: connect by such a name, or set `server_name`", listed(.presented))]
    WrongName {
        /// The name that was connected to, or `server_name`.
        expected: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// Nobody who is trusted has issued the server's certificate, or it has issued itself.
    #[error(
        "the server's certificate was issued by nobody who is trusted here: set `ca` to the certificate of who has issued it (of a self-signed one, to itself)"
    )]
    UnknownIssuer,
    /// Something else is wrong with the server's certificate.
    #[error("the server's certificate is not valid: {0}")]
    InvalidCertificate(String),
    /// The server requires a certificate of the client, who has shown none.
    #[error("the server requires a client certificate: set `cert` and `key`")]
    ClientCertificateRequired,
    /// The server does not accept the client's certificate.
    #[error("the server refused the client certificate: {0}")]
    ClientCertificateRefused(String),
    /// The two have no version of TLS in common.
    #[error("the server speaks no version of TLS that this client does ({VERSION_NAMES})")]
    NoCommonVersion,
    /// The server speaks TLS, and not MSIP over it.
    #[error("the server speaks TLS, and not this protocol over it (ALPN)")]
    OtherProtocol,
    /// Something else is wrong.
    #[error("{0}")]
    Other(String),
}

/// The length of the beginning of what a peer sends that [`super::stream::FirstBytes`] keeps.
pub(super) const FIRST_LEN: usize = MAGIC.len();

/// Whether a peer that sends these first bytes speaks TLS, as far as they say: the types of its records are 20 to 24.
fn is_tls(first: &[u8]) -> bool {
    first.first().is_none_or(|first| (20..=24).contains(first))
}

/// A client's error: that of a peer which cannot be spoken to over TLS, whose first bytes these are. Other errors stay
/// what they are, and so does the end of input after the handshake.
pub(super) fn of_client(error: io::Error, first: &[u8], is_handshaking: bool) -> io::Error {
    let Some(tls) = cause(&error) else {
        let is_closed = is_handshaking
            && matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
            );
        return if is_closed {
            io::Error::new(error.kind(), TlsError::Closed)
        } else {
            error
        };
    };
    let told = if first == MAGIC {
        TlsError::Plaintext
    } else if !is_tls(first) {
        TlsError::NotTls
    } else {
        TlsError::from(tls)
    };
    io::Error::new(error.kind(), told)
}

/// A server's error, in words for its log.
pub(super) fn of_server(error: io::Error, first: &[u8]) -> io::Error {
    let kind = error.kind();
    let text = match cause(&error) {
        Some(_) if first == MAGIC => {
            "the client speaks MSIP without TLS: it has to use tls://".to_owned()
        }
        Some(_) if !is_tls(first) => "the client does not speak TLS".to_owned(),
        Some(tls) => in_words_of_server(tls),
        None if kind == io::ErrorKind::UnexpectedEof => {
            "the client left in the TLS handshake".to_owned()
        }
        None => return error,
    };
    io::Error::new(kind, text)
}

fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn in_words_of_server(error: &rustls::Error) -> String {
    use rustls::Error;
    match error {
        Error::NoCertificatesPresented => {
            "the client has shown no certificate, and `client_auth` requires one".to_owned()
        }
        Error::InvalidCertificate(error) => {
            format!(
                "the client's certificate is not valid: {}",
                of_certificate(error)
            )
        }
        Error::PeerIncompatible(
            // Versions before 1.2 have no such extension.
            rustls::PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | rustls::PeerIncompatible::Tls12NotOffered
            | rustls::PeerIncompatible::Tls12NotOfferedOrEnabled
            | rustls::PeerIncompatible::SupportedVersionsExtensionRequired
            | rustls::PeerIncompatible::Tls13RequiredForQuic,
        ) => {
            format!("the client speaks no version of TLS that this server does ({VERSION_NAMES})")
        }
        Error::NoApplicationProtocol => {
            "the client speaks TLS, and not this protocol over it (ALPN)".to_owned()
        }
        Error::AlertReceived(alert) => match refused_certificate(*alert) {
            Some(why) => format!("the client refused this server's certificate: {why}"),
            None => format!("the client ended the TLS handshake: {alert:?}"),
        },
        error => format!("the TLS handshake failed: {error}"),
    }
}

impl From<&rustls::Error> for TlsError {
    fn from(error: &rustls::Error) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(error) => Self::from(error),
            Error::PeerIncompatible(
                rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13
                | rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::NoCommonVersion,
            Error::NoApplicationProtocol
            | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::OtherProtocol,
            Error::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::ClientCertificateRequired
            }
            Error::AlertReceived(alert) => match refused_certificate(*alert) {
                Some(why) => Self::ClientCertificateRefused(why.to_owned()),
                None => Self::Other(format!("the server ended the TLS connection: {alert:?}")),
            },
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<&CertificateError> for TlsError {
    fn from(error: &CertificateError) -> Self {
        let since = |from: &UnixTime, to: &UnixTime| {
            Duration::from_secs(to.as_secs().saturating_sub(from.as_secs()))
        };
        match error {
            CertificateError::ExpiredContext { time, not_after } => Self::Expired {
                ago: since(not_after, time),
            },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetValid {
                ahead: since(time, not_before),
            },
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => Self::WrongName {
                expected: name(expected),
                presented: presented.iter().map(|name| bare(name).to_owned()).collect(),
            },
            // A bad signature is that of an authority which has the name of a trusted one, and another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            error => Self::InvalidCertificate(of_certificate(error)),
        }
    }
}

/// What is wrong with a certificate, for either end.
fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { .. } | CertificateError::Expired => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYetContext { .. } | CertificateError::NotValidYet => {
            "it is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => "nobody who is trusted here has issued it".to_owned(),
        CertificateError::Revoked => "it was revoked".to_owned(),
        CertificateError::BadSignature => "its signature is wrong".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it was not issued for this purpose".to_owned()
        }
        CertificateError::Other(error) if is_authority(error) => {
            "it is that of an authority, which no server or client can use".to_owned()
        }
        error => error.to_string(),
    }
}

/// webpki's `CaUsedAsEndEntity`, of which rustls has no variant of its own.
fn is_authority(error: &rustls::OtherError) -> bool {
    error.0.to_string() == "CaUsedAsEndEntity"
}

/// What an alert says against the certificate of whom it is sent to.
fn refused_certificate(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::BadCertificate => "it is not valid",
        AlertDescription::UnsupportedCertificate => "it is of a kind that is not supported",
        AlertDescription::CertificateRevoked => "it was revoked",
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::CertificateUnknown => "it cannot be verified",
        AlertDescription::UnknownCA => "who has issued it is not trusted there",
        AlertDescription::AccessDenied => "access denied",
        _ => return None,
    })
}

fn name(name: &ServerName<'_>) -> String {
    name.to_str().into_owned()
}

/// `DnsName("chat.example")` without what is around it.
fn bare(presented: &str) -> &str {
    let inner = presented
        .split_once('(')
        .map_or(presented, |(_, rest)| rest);
    inner.trim_end_matches(')').trim_matches('"')
}

fn listed(names: &[String]) -> String {
    /// As many as an error shows.
    const MOST: usize = 5;
    if names.is_empty() {
        return "no name at all".to_owned();
    }
    let mut text = names
        .iter()
        .take(MOST)
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}

/// A time in its largest unit.
fn rounded(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}
