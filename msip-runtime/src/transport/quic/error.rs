//! What goes wrong in a handshake, as the errors of TLS say it.

use std::io;

use quinn::{
    ConnectionError, Side, TransportErrorCode,
    rustls::{AlertDescription, Error},
};

use super::super::tls::{TlsError, of_server};

/// How quinn begins what rustls says of a certificate.
const INVALID_CERTIFICATE: &str = "invalid peer certificate: ";

/// Why a client has no connection.
pub(super) fn of_client(error: ConnectionError) -> io::Error {
    let told = match &error {
        ConnectionError::ConnectionClosed(close) => {
            alert(close.error_code).map(|alert| TlsError::from(&Error::AlertReceived(alert)))
        }
        ConnectionError::TransportError(error) => {
            alert(error.code).map(|alert| own_error(alert, &error.reason))
        }
        _ => None,
    };
    match told {
        Some(told) => io::Error::new(io::ErrorKind::InvalidData, told),
        None => error.into(),
    }
}

/// Why a server has none, in words for its log.
pub(super) fn of_server_side(error: ConnectionError) -> io::Error {
    match &error {
        ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
            Some(alert) => {
                let alert = Error::AlertReceived(alert);
                of_server(io::Error::new(io::ErrorKind::InvalidData, alert), &[])
            }
            None => error.into(),
        },
        _ => error.into(),
    }
}

/// Why a connection is lost. A client hears only after its handshake that it was refused.
pub(super) fn of(side: Side, error: ConnectionError) -> io::Error {
    match side {
        Side::Client => of_client(error),
        Side::Server => of_server_side(error),
    }
}

/// What this end has found wrong. Only the alert and a text are left of the error of rustls.
fn own_error(alert: AlertDescription, reason: &str) -> TlsError {
    match (alert, reason.strip_prefix(INVALID_CERTIFICATE)) {
        (AlertDescription::UnknownCA, _) => TlsError::UnknownIssuer,
        (AlertDescription::NoApplicationProtocol, _) => TlsError::OtherProtocol,
        (_, Some(invalid)) => TlsError::InvalidCertificate(invalid.to_owned()),
        (_, None) => TlsError::Other(reason.to_owned()),
    }
}

/// The alert in an error code of QUIC (RFC 9001, section 4.8).
fn alert(code: TransportErrorCode) -> Option<AlertDescription> {
    let alert = u64::from(code).checked_sub(0x100)?;
    u8::try_from(alert).ok().map(AlertDescription::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_told_apart_from_other_errors() {
        let expired = TransportErrorCode::crypto(45);
        assert_eq!(alert(expired), Some(AlertDescription::CertificateExpired));
        assert_eq!(alert(TransportErrorCode::FLOW_CONTROL_ERROR), None);
        let error = of_client(ConnectionError::TimedOut);
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
