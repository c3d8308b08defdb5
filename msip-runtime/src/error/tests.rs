//! The texts of errors: each leaves its cause to `source()`, and `Debug` of what `main` may return tells all of it.

use std::{error::Error, io, sync::Arc, time::Duration};

use super::*;
#[cfg(feature = "tls")]
use crate::transport::TlsError;
use crate::{AcceptError, BindError, RoomError, SettingError, Status, VariantLabel};

/// One value of each variant of an error. A variant without one does not compile.
macro_rules! each {
    ($($(#[$attribute:meta])* $pattern:pat => $value:expr,)+) => {{
        let _all_are_here = |error: &_| match error {
            $($(#[$attribute])* $pattern => {})+
        };
        let errors = Vec::from([$($(#[$attribute])* $value),+]);
        let mut at = errors.iter();
        $($(#[$attribute])* assert!(matches!(at.next(), Some($pattern)), "{}", stringify!($pattern));)+
        errors
    }};
}

/// An error and its causes, each with its text.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts
}

fn check(error: &dyn Error) {
    let texts = chain(error);
    for (index, text) in texts.iter().enumerate() {
        assert!(!text.is_empty(), "{texts:?}");
        assert!(!text.ends_with('.'), "a final period: {text}");
        for cause in texts.iter().skip(index + 1) {
            assert!(
                !text.contains(cause.as_str()),
                "{text:?} repeats its cause {cause:?}"
            );
        }
    }
}

/// The same for an error that `main` may return: `Debug` is the text with all causes.
fn check_returned(error: &dyn Error) {
    check(error);
    assert_eq!(format!("{error:?}"), chain(error).join(": "));
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens")
}

fn status() -> Status {
    Status::not_found("no such room")
}

fn unsupported() -> Unsupported {
    Unsupported {
        dialect: "MIP",
        what: "calls",
    }
}

fn text() -> String {
    "a b".to_owned()
}

fn url() -> String {
    "tcp://127.0.0.1:7400".to_owned()
}

const SECOND: Duration = Duration::from_secs(1);

fn body_errors() -> Vec<BodyError> {
    let reason = || "invalid varint".to_owned();
    let variant = VariantLabel::from(3);
    each! {
        BodyError::UnknownVariant { .. } => BodyError::UnknownVariant { variant: 3 },
        BodyError::MemberMissing { .. } => BodyError::MemberMissing { variant },
        BodyError::Malformed { .. } => BodyError::Malformed { variant, reason: reason() },
        BodyError::TooDeep { .. } => BodyError::TooDeep { variant, max: 100 },
        BodyError::TooLarge { .. } => BodyError::TooLarge { variant, max: 100 },
        BodyError::DecodedTooLarge { .. } => BodyError::DecodedTooLarge { variant, len: 50, max: 100 },
        BodyError::OutOfMemory { .. } => BodyError::OutOfMemory { variant, reason: reason() },
        BodyError::Compressed { .. } => BodyError::Compressed { variant, reason: reason() },
        BodyError::OtherVariant { .. } => BodyError::OtherVariant { found: "echo_req" },
        BodyError::Unwritable { .. } => BodyError::Unwritable { variant, reason: reason() },
    }
}

fn metadata_errors() -> Vec<MetadataError> {
    each! {
        MetadataError::EmptyName => MetadataError::EmptyName,
        MetadataError::Name { .. } => MetadataError::Name { name: text(), found: ' ' },
        MetadataError::Control { .. } => MetadataError::Control { field: text(), found: '\n', at: 1 },
        MetadataError::Traceparent { .. } => MetadataError::Traceparent { value: text() },
        MetadataError::TooLarge { .. } => MetadataError::TooLarge { len: 2, max: 1 },
    }
}

fn setting_errors() -> Vec<SettingError> {
    let name = "max_body";
    each! {
        SettingError::Unknown { .. } => SettingError::Unknown { name: text(), known: text() },
        SettingError::Secret { .. } => SettingError::Secret { name: text() },
        SettingError::Conflict { .. } => SettingError::Conflict { name, other: name },
        SettingError::Malformed { .. } => SettingError::Malformed { name, value: text(), form: "a size" },
        SettingError::NotBuilt { .. } => SettingError::NotBuilt { name, value: "zstd", built: text() },
        SettingError::OutOfRange { .. } => SettingError::OutOfRange {
            name,
            value: text(),
            min: text(),
            max: text(),
        },
    }
}

fn transport_setting() -> TransportSettingError {
    TransportSettingError::new("ca", "ca.pem", broken())
}

fn url_errors() -> Vec<UrlError> {
    each! {
        UrlError::NoScheme { .. } => UrlError::NoScheme { url: text() },
        UrlError::UnknownScheme { .. } => UrlError::UnknownScheme { scheme: text(), known: text() },
        UrlError::SchemeNotBuilt { .. } => UrlError::SchemeNotBuilt { scheme: text(), needs: "the feature `tls`" },
        UrlError::SeveralAddresses { .. } => UrlError::SeveralAddresses { count: 2 },
        UrlError::NoHost { .. } => UrlError::NoHost { address: text() },
        UrlError::BadHost { .. } => UrlError::BadHost { host: text() },
        UrlError::BareIpv6 { .. } => UrlError::BareIpv6 { host: text() },
        UrlError::NoPort { .. } => UrlError::NoPort { address: text() },
        UrlError::BadPort { .. } => UrlError::BadPort { port: text() },
        UrlError::BadName { .. } => UrlError::BadName { name: text() },
        UrlError::RelativePath { .. } => UrlError::RelativePath { path: text() },
        UrlError::BadSocketPath { .. } => UrlError::BadSocketPath { path: text() },
        UrlError::PathTooLong { .. } => UrlError::PathTooLong { path: text(), len: 108, max: 107 },
        UrlError::Credentials => UrlError::Credentials,
        UrlError::BadTopic { .. } => UrlError::BadTopic { topic: text() },
        UrlError::Topic { .. } => UrlError::Topic { topic: text() },
        UrlError::NoTopic => UrlError::NoTopic,
        UrlError::NotSpokenAt { .. } => UrlError::NotSpokenAt { topic: text(), reason: text() },
        UrlError::DatagramsOnly => UrlError::DatagramsOnly,
        UrlError::Fragment => UrlError::Fragment,
        UrlError::BadEscape { .. } => UrlError::BadEscape { text: text() },
        UrlError::BadSetting { .. } => UrlError::BadSetting { text: text() },
        UrlError::BadPath { .. } => UrlError::BadPath { path: text() },
        UrlError::RepeatedSetting { .. } => UrlError::RepeatedSetting { name: text() },
    }
}

/// With one error of each type that is inside of another.
fn send_errors() -> Vec<SendError> {
    let body = BodyError::UnknownVariant { variant: 3 };
    let acknowledgment = CallError::Answer(body.clone());
    each! {
        SendError::Full => SendError::Full,
        SendError::LoginPending => SendError::LoginPending,
        SendError::Disconnected => SendError::Disconnected,
        SendError::Closed => SendError::Closed,
        SendError::ClosedByPeer(_) => SendError::ClosedByPeer(status()),
        SendError::RuntimeGone => SendError::RuntimeGone,
        SendError::TooLarge { .. } => SendError::TooLarge { len: 2, max: 1 },
        SendError::Unwritable(_) => SendError::Unwritable(body),
        SendError::Dropped => SendError::Dropped,
        SendError::NotAcknowledged(_) => SendError::NotAcknowledged(Box::new(acknowledgment)),
        SendError::Refused(_) => SendError::Refused(status()),
        SendError::Metadata(_) => SendError::Metadata(MetadataError::EmptyName),
        SendError::Unsupported(_) => SendError::Unsupported(unsupported()),
        SendError::NoTime { .. } => SendError::NoTime { timeout: Duration::ZERO },
    }
}

fn call_errors() -> Vec<CallError> {
    each! {
        CallError::Status(_) => CallError::Status(status()),
        CallError::DeadlineExceeded { .. } => CallError::DeadlineExceeded { timeout: SECOND },
        CallError::NotSent(_) => CallError::NotSent(SendError::Full),
        CallError::Unsupported(_) => CallError::Unsupported(unsupported()),
        CallError::NotReceived => CallError::NotReceived,
        CallError::NotAccepted => CallError::NotAccepted,
        CallError::ConnectionLost => CallError::ConnectionLost,
        CallError::RuntimeGone => CallError::RuntimeGone,
        CallError::Answer(_) => CallError::Answer(BodyError::UnknownVariant { variant: 3 }),
        CallError::Item { .. } => CallError::Item { item: 2, is_request: true, source: BodyError::UnknownVariant { variant: 3 } },
        CallError::UnexpectedAnswer { .. } => CallError::UnexpectedAnswer { found: "echo_rsp" },
    }
}

fn disconnect_reasons() -> Vec<DisconnectReason> {
    let rule = || "a second HELLO".to_owned();
    each! {
        DisconnectReason::ClosedByPeer(_) => DisconnectReason::ClosedByPeer(status()),
        DisconnectReason::ClosedByUs => DisconnectReason::ClosedByUs,
        DisconnectReason::KeepaliveTimeout { .. } => DisconnectReason::KeepaliveTimeout { silence: SECOND },
        DisconnectReason::Protocol { .. } => DisconnectReason::Protocol { rule: rule() },
        DisconnectReason::ProtocolReportedByPeer(_) => DisconnectReason::ProtocolReportedByPeer(status()),
        DisconnectReason::TooLarge { .. } => DisconnectReason::TooLarge { len: 2, max: 1 },
        DisconnectReason::WriteStalled { .. } => DisconnectReason::WriteStalled { stalled: SECOND },
        DisconnectReason::TakenOver => DisconnectReason::TakenOver,
        DisconnectReason::Eof => DisconnectReason::Eof,
        DisconnectReason::Transport(_) => DisconnectReason::Transport(Arc::new(broken())),
    }
}

#[cfg(feature = "tls")]
fn tls_errors() -> Vec<TlsError> {
    let names = vec!["a.example".to_owned(), "b.example".to_owned()];
    each! {
        TlsError::Plaintext => TlsError::Plaintext,
        TlsError::NotTls => TlsError::NotTls,
        TlsError::Closed => TlsError::Closed,
        TlsError::Expired { .. } => TlsError::Expired { ago: SECOND },
        TlsError::NotYetValid { .. } => TlsError::NotYetValid { ahead: SECOND },
        TlsError::WrongName { .. } => TlsError::WrongName { expected: text(), presented: names },
        TlsError::UnknownIssuer => TlsError::UnknownIssuer,
        TlsError::InvalidCertificate(_) => TlsError::InvalidCertificate("it was revoked".to_owned()),
        TlsError::ClientCertificateRequired => TlsError::ClientCertificateRequired,
        TlsError::ClientCertificateRefused(_) => TlsError::ClientCertificateRefused("it has expired".to_owned()),
        TlsError::NoCommonVersion => TlsError::NoCommonVersion,
        TlsError::OtherProtocol => TlsError::OtherProtocol,
        TlsError::Other(_) => TlsError::Other("no random numbers".to_owned()),
    }
}

fn connect_errors() -> Vec<ConnectError> {
    let source = || Arc::new(broken());
    let setting = SettingError::Unknown {
        name: text(),
        known: text(),
    };
    let reason = DisconnectReason::Transport(source());
    let failures = vec![
        ConnectError::Closed,
        ConnectError::Transport {
            url: url(),
            source: source(),
        },
    ];
    each! {
        ConnectError::Url(_) => ConnectError::Url(UrlError::Fragment),
        ConnectError::Setting(_) => ConnectError::Setting(setting),
        ConnectError::TransportSetting(_) => ConnectError::TransportSetting(transport_setting()),
        ConnectError::Channel(_) => ConnectError::Channel(crate::ChannelError::Command),
        ConnectError::Transport { .. } => ConnectError::Transport { url: url(), source: source() },
        #[cfg(feature = "tls")]
        ConnectError::Tls { .. } => ConnectError::Tls { url: url(), source: TlsError::Plaintext },
        ConnectError::TlsPeer { .. } => ConnectError::TlsPeer { url: url() },
        ConnectError::TimedOut { .. } => ConnectError::TimedOut { url: url(), timeout: SECOND },
        ConnectError::Refused { .. } => ConnectError::Refused { url: url(), status: status() },
        ConnectError::TopicRefused { .. } => ConnectError::TopicRefused { url: url(), topic: text(), status: status() },
        ConnectError::TopicInUse { .. } => ConnectError::TopicInUse { topic: text() },
        ConnectError::NoBroker { .. } => ConnectError::NoBroker { url: url(), topic: text() },
        ConnectError::NoTopic { .. } => ConnectError::NoTopic { url: url(), protocol: text() },
        ConnectError::MipPeer { .. } => ConnectError::MipPeer { url: url() },
        ConnectError::Protocol { .. } => ConnectError::Protocol { url: url(), rule: "no magic".to_owned() },
        ConnectError::Login { .. } => ConnectError::Login { status: status() },
        ConnectError::LoginTimedOut { .. } => ConnectError::LoginTimedOut { timeout: SECOND },
        ConnectError::LostInLogin { .. } => ConnectError::LostInLogin { reason },
        ConnectError::NotConfidential { .. } => ConnectError::NotConfidential { url: url() },
        ConnectError::Credential { .. } => ConnectError::Credential { source: source() },
        ConnectError::CredentialTooLarge { .. } => ConnectError::CredentialTooLarge { len: 2, max: 1 },
        ConnectError::NoAddress { .. } => ConnectError::NoAddress { failures },
        ConnectError::Unsupported(_) => ConnectError::Unsupported(unsupported()),
        ConnectError::Dialect { .. } => ConnectError::Dialect { url: "mip://127.0.0.1:9000".into(), dialect: "MIP", rule: "what came is no frame".into() },
        ConnectError::Closed => ConnectError::Closed,
    }
}

fn bind_errors() -> Vec<BindError> {
    let setting = SettingError::Unknown {
        name: text(),
        known: text(),
    };
    each! {
        BindError::Url(_) => BindError::Url(UrlError::Fragment),
        BindError::Setting(_) => BindError::Setting(setting),
        BindError::TransportSetting(_) => BindError::TransportSetting(transport_setting()),
        BindError::ServerSetting { .. } => BindError::ServerSetting { url: url(), name: text() },
        BindError::Insecure { .. } => BindError::Insecure { url: url() },
        BindError::NoPrincipal { .. } => BindError::NoPrincipal { url: url(), dialect: "Messi" },
        BindError::DialectProtocol { .. } => BindError::DialectProtocol {
            url: url(),
            dialect: "Messi",
            named: None,
            offered: "`chat`, `admin`".into(),
        },
        BindError::Io { .. } => BindError::Io { url: url(), source: broken() },
    }
}

fn close_reasons() -> Vec<CloseReason> {
    let failure = ConnectError::Transport {
        url: url(),
        source: Arc::new(broken()),
    };
    each! {
        CloseReason::ClosedByUs => CloseReason::ClosedByUs,
        CloseReason::ClosedByPeer(_) => CloseReason::ClosedByPeer(status()),
        CloseReason::GaveUp(_) => CloseReason::GaveUp(Arc::new(failure)),
        CloseReason::RuntimeGone => CloseReason::RuntimeGone,
    }
}

fn room_errors() -> Vec<RoomError> {
    each! {
        RoomError::Gone => RoomError::Gone,
        RoomError::OtherServer => RoomError::OtherServer,
        RoomError::NameTooLong { .. } => RoomError::NameTooLong { len: 2, max: 1 },
        RoomError::TooMany { .. } => RoomError::TooMany { name: text(), max: 1 },
    }
}

fn accept_errors() -> Vec<AcceptError> {
    each! {
        AcceptError::NotConfidential => AcceptError::NotConfidential,
        AcceptError::Stopped => AcceptError::Stopped,
    }
}

#[test]
fn an_error_that_main_may_return_tells_its_causes_once_and_debug_tells_them_all() {
    for error in call_errors() {
        check_returned(&error);
        check_returned(&SendError::NotAcknowledged(Box::new(error)));
    }
    for error in send_errors() {
        check_returned(&error);
        check_returned(&CallError::NotSent(error));
    }
    for error in body_errors() {
        check_returned(&SendError::Unwritable(error.clone()));
        check_returned(&CallError::Answer(error));
    }
    for error in metadata_errors() {
        check_returned(&SendError::Metadata(error));
    }
    for error in connect_errors() {
        check_returned(&CloseReason::GaveUp(Arc::new(error.clone())));
        check_returned(&error);
    }
    for reason in disconnect_reasons() {
        check_returned(&ConnectError::LostInLogin {
            reason: reason.clone(),
        });
        check_returned(&reason);
    }
    for error in bind_errors() {
        check_returned(&error);
    }
}

#[cfg(feature = "testing")]
#[test]
fn the_error_of_a_pair_is_for_people_too() {
    use crate::testing::PairError;

    let errors = each! {
        PairError::Bind(_) => PairError::Bind(BindError::Url(UrlError::Fragment)),
        PairError::Connect(_) => PairError::Connect(ConnectError::Closed),
        PairError::Line(_) => PairError::Line(broken()),
    };
    for error in errors {
        check_returned(&error);
    }
    for error in bind_errors() {
        check_returned(&PairError::Bind(error));
    }
    for error in connect_errors() {
        check_returned(&PairError::Connect(error));
    }
}

#[test]
fn the_errors_inside_of_others_are_for_people_too() {
    fn check_all<E: Error>(errors: Vec<E>) {
        for error in errors {
            check_returned(&error);
        }
    }
    check_all(body_errors());
    check_all(metadata_errors());
    check_all(setting_errors());
    check_all(url_errors());
    #[cfg(feature = "tls")]
    check_all(tls_errors());
    check_all(close_reasons());
    check_all(room_errors());
    check_all(accept_errors());
    check(&status());
}
