//! A test of the texts of errors: each leaves its cause to `source()`.

use std::error::Error;

use crate::{
    Blocked, Busy, Fault,
    wire::{
        CreditError, DecodeError, FrameTooLong, FrameType, HeaderError, HelloError, MsgId,
        PayloadError, TopicError, UnknownKind, WelcomeError,
    },
};

/// Checks one value of each variant of an error. A variant without one does not compile.
macro_rules! check_each {
    ($($pattern:pat => $value:expr,)+) => {{
        let _all_are_here = |error: &_| match error {
            $($pattern => {})+
        };
        let errors = [$($value),+];
        let mut at = errors.iter();
        $(assert!(matches!(at.next(), Some($pattern)), "{}", stringify!($pattern));)+
        for error in errors {
            check(&error);
        }
    }};
}

fn check(error: &dyn Error) {
    let text = error.to_string();
    assert!(!text.is_empty(), "{error:?}");
    assert!(!text.ends_with('.'), "a final period: {text}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let source = error.to_string();
        assert!(
            !text.contains(&source),
            "{text:?} repeats its cause {source:?}"
        );
        cause = error.source();
    }
}

fn undecodable() -> prost::DecodeError {
    <() as prost::Message>::decode(&b"\xff"[..]).expect_err("no message")
}

#[test]
fn errors_of_the_wire_leave_their_causes_to_source() {
    check_each! {
        TopicError::TooLong { .. } => TopicError::TooLong { len: 2, max: 1 },
        TopicError::NotUtf8 => TopicError::NotUtf8,
        TopicError::ControlCharacter(_) => TopicError::ControlCharacter('\n'),
    }
    check_each! {
        PayloadError::MetadataBeyondPayload => PayloadError::MetadataBeyondPayload,
        PayloadError::MetadataTooLong { .. } => PayloadError::MetadataTooLong { len: 2, max: 1 },
        PayloadError::TopicBeyondPayload => PayloadError::TopicBeyondPayload,
        PayloadError::Topic(_) => PayloadError::Topic(TopicError::NotUtf8),
        PayloadError::BodyTooLarge { .. } => PayloadError::BodyTooLarge { len: 2, max: 1 },
    }
    check_each! {
        HelloError::MipDialect => HelloError::MipDialect,
        HelloError::ZeroSessionId => HelloError::ZeroSessionId,
        HelloError::Undecodable(_) => HelloError::Undecodable(undecodable()),
        HelloError::NoProtocol => HelloError::NoProtocol,
        HelloError::ProtocolTooLong(_) => HelloError::ProtocolTooLong(256),
        HelloError::SecretLen(_) => HelloError::SecretLen(3),
    }
    check_each! {
        WelcomeError::MipPeer => WelcomeError::MipPeer,
        WelcomeError::TooShort(_) => WelcomeError::TooShort(3),
        WelcomeError::ZeroSessionId => WelcomeError::ZeroSessionId,
        WelcomeError::Undecodable(_) => WelcomeError::Undecodable(undecodable()),
    }
    check_each! {
        CreditError::WrongLength(_) => CreditError::WrongLength(3),
        CreditError::Nothing => CreditError::Nothing,
    }
    check_each! {
        HeaderError::BadMagic { .. } => HeaderError::BadMagic { found: vec![1, 2, 3, 4] },
        HeaderError::UnsupportedVersion(_) => HeaderError::UnsupportedVersion(2),
        HeaderError::UnknownFlags(_) => HeaderError::UnknownFlags(0x80),
        HeaderError::UnknownFrameType(_) => HeaderError::UnknownFrameType(13),
    }
    check_each! {
        DecodeError::Header(_) => DecodeError::Header(HeaderError::UnknownFrameType(13)),
        DecodeError::PayloadTooLarge { .. } => DecodeError::PayloadTooLarge {
            len: 2,
            max: 1,
            frame_type: FrameType::Publish,
            msg_id: MsgId::CONNECTION,
        },
    }
    check(&UnknownKind(6));
    check(&FrameTooLong { len: 5 });
}

#[test]
fn errors_of_a_session_leave_their_causes_to_source() {
    check_each! {
        Blocked::NoCapacity => Blocked::NoCapacity,
        Blocked::Closing => Blocked::Closing,
        Blocked::Disconnected => Blocked::Disconnected,
        Blocked::Full => Blocked::Full,
    }
    check_each! {
        Busy::Calls { .. } => Busy::Calls { max: 1 },
        Busy::Memory { .. } => Busy::Memory { max: 1 },
        Busy::Bytes { .. } => Busy::Bytes { max: 1 },
    }
    check(&Fault::new(MsgId::CONNECTION, "a second HELLO"));
}
