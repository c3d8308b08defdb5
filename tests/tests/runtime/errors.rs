//! The texts of errors, as programs see them.

use std::{io, sync::Arc};

use msip_runtime::{BindError, BodyError, CallError, ConnectError, SendError, Status};

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens")
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
