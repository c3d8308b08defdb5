//! The texts of errors: each leaves its cause to `source()`, and `Debug` tells all of it.

use std::{error::Error, io, sync::Arc, time::Duration};

use msip_runtime::{
    BindError, BodyError, CallError, ConnectError, DisconnectReason, MetadataError, SendError,
    SettingError, Status, VariantLabel, prost,
    testing::PairError,
    transport::UrlError,
    wire::{CreditError, DecodeError, Header, HelloError, PayloadError, TopicError, WelcomeError},
};

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

fn undecodable() -> prost::DecodeError {
    <() as prost::Message>::decode(&b"\xff"[..]).expect_err("no message")
}

fn body_errors() -> Vec<BodyError> {
    let reason = || "invalid varint".to_owned();
    let variant = VariantLabel::from(3);
    vec![
        BodyError::UnknownVariant { variant: 3 },
        BodyError::MemberMissing { variant },
        BodyError::Malformed {
            variant,
            reason: reason(),
        },
        BodyError::TooDeep { variant, max: 100 },
        BodyError::TooLarge { variant, max: 100 },
        BodyError::Compressed {
            variant,
            reason: reason(),
        },
        BodyError::Unwritable {
            variant,
            reason: reason(),
        },
    ]
}

fn metadata_errors() -> Vec<MetadataError> {
    let name = || "a b".to_owned();
    vec![
        MetadataError::EmptyName,
        MetadataError::Name {
            name: name(),
            found: ' ',
        },
        MetadataError::Control {
            field: name(),
            found: '\n',
            at: 1,
        },
        MetadataError::Traceparent { value: name() },
        MetadataError::TooLarge { len: 2, max: 1 },
    ]
}

fn send_errors() -> Vec<SendError> {
    let mut errors = vec![
        SendError::Full,
        SendError::Disconnected,
        SendError::Closed,
        SendError::TooLarge { len: 2, max: 1 },
        SendError::Dropped,
        SendError::Refused(status()),
        SendError::NoTime {
            timeout: Duration::ZERO,
        },
    ];
    errors.extend(body_errors().into_iter().map(SendError::Unwritable));
    errors.extend(metadata_errors().into_iter().map(SendError::Metadata));
    errors
}

fn call_errors() -> Vec<CallError> {
    let mut errors = vec![
        CallError::Status(status()),
        CallError::DeadlineExceeded {
            timeout: Duration::from_secs(1),
        },
        CallError::NotReceived,
        CallError::ConnectionLost,
        CallError::UnexpectedAnswer { found: "echo_rsp" },
    ];
    errors.extend(body_errors().into_iter().map(CallError::Answer));
    errors.extend(send_errors().into_iter().map(CallError::NotSent));
    let boxed: Vec<SendError> = errors
        .iter()
        .map(|error| SendError::NotAcknowledged(Box::new(error.clone())))
        .collect();
    errors.extend(boxed.into_iter().map(CallError::NotSent));
    errors
}

fn url_error() -> UrlError {
    UrlError::NoScheme { url: "chat".into() }
}

fn setting_error() -> SettingError {
    SettingError::Malformed {
        name: "max_body",
        value: "much".into(),
        form: "a size",
    }
}

fn connect_errors() -> Vec<ConnectError> {
    let url = || "tcp://127.0.0.1:7400".to_owned();
    let mut errors = vec![
        ConnectError::Url(url_error()),
        ConnectError::Setting(setting_error()),
        ConnectError::Transport {
            url: url(),
            source: Arc::new(broken()),
        },
        ConnectError::TimedOut {
            url: url(),
            timeout: Duration::from_secs(1),
        },
        ConnectError::Refused {
            url: url(),
            status: status(),
        },
        ConnectError::MipPeer { url: url() },
        ConnectError::Protocol {
            url: url(),
            rule: "no magic".to_owned(),
        },
        ConnectError::Closed,
    ];
    errors.push(ConnectError::NoAddress {
        failures: errors.clone(),
    });
    errors
}

fn bind_errors() -> Vec<BindError> {
    let url = || "tcp://127.0.0.1:7400".to_owned();
    vec![
        BindError::Url(url_error()),
        BindError::Setting(setting_error()),
        BindError::Insecure { url: url() },
        BindError::Io {
            url: url(),
            source: broken(),
        },
    ]
}

#[test]
fn an_error_leaves_its_cause_to_source_and_debug_tells_both() {
    for error in send_errors() {
        check_returned(&error);
    }
    for error in call_errors() {
        check_returned(&error);
    }
    for error in connect_errors() {
        check_returned(&PairError::Connect(error.clone()));
        check_returned(&error);
    }
    for error in bind_errors() {
        check_returned(&error);
    }
    for error in bind_errors() {
        check_returned(&PairError::Bind(error));
    }
    check_returned(&PairError::Line(broken()));
    let silence = Duration::from_secs(20);
    for reason in [
        DisconnectReason::ClosedByPeer(status()),
        DisconnectReason::ClosedByUs,
        DisconnectReason::KeepaliveTimeout { silence },
        DisconnectReason::Protocol {
            rule: "a second HELLO".to_owned(),
        },
        DisconnectReason::ProtocolReportedByPeer(status()),
        DisconnectReason::TooLarge { len: 2, max: 1 },
        DisconnectReason::WriteStalled { stalled: silence },
        DisconnectReason::TakenOver,
        DisconnectReason::Eof,
        DisconnectReason::Transport(Arc::new(broken())),
    ] {
        check_returned(&reason);
    }
    check(&status());
}

#[test]
fn errors_of_the_wire_leave_their_causes_to_source() {
    let topic = || TopicError::NotUtf8;
    let errors: Vec<Box<dyn Error>> = vec![
        Box::new(topic()),
        Box::new(PayloadError::Topic(topic())),
        Box::new(PayloadError::MetadataBeyondPayload),
        Box::new(PayloadError::MetadataTooLong { len: 2, max: 1 }),
        Box::new(PayloadError::BodyTooLarge { len: 2, max: 1 }),
        Box::new(HelloError::Undecodable(undecodable())),
        Box::new(WelcomeError::Undecodable(undecodable())),
        Box::new(CreditError::WrongLength(3)),
        Box::new(DecodeError::Header(
            Header::parse(&[0; 24]).expect_err("no magic"),
        )),
    ];
    for error in errors {
        check(&*error);
    }
}

/// What a program sees that returns one of these from `main`.
#[test]
fn debug_is_for_people() {
    let refused = ConnectError::Transport {
        url: "tcp://127.0.0.1:7400".to_owned(),
        source: Arc::new(broken()),
    };
    assert_eq!(
        format!("{refused:?}"),
        "cannot reach tcp://127.0.0.1:7400: nobody listens"
    );
    assert_eq!(
        format!("{:?}", CallError::NotSent(SendError::Disconnected)),
        "not connected"
    );
    let insecure = BindError::Insecure {
        url: "tcp://0.0.0.0:7400".to_owned(),
    };
    assert!(
        format!("{insecure:?}").contains("listen at 127.0.0.1, or set `insecure`"),
        "{insecure:?}"
    );
    let unreadable = CallError::Answer(BodyError::UnknownVariant { variant: 3 });
    assert_eq!(
        Status::from(unreadable).to_string(),
        "INTERNAL: cannot decode the response: unknown variant 3"
    );
}
