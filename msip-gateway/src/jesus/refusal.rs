//! Why a request has no data.

use axum::{http::StatusCode, response::Response};

use super::{answer::Failure, fields::FieldsError};

/// Why there is no data: a status, and what is wrong.
#[derive(Debug)]
pub(super) struct Refusal(StatusCode, String);

impl Refusal {
    pub(super) fn new(status: StatusCode, what: String) -> Self {
        Self(status, what)
    }

    pub(super) fn into_response(self, method: &str) -> Response {
        Failure::new(Some(method).filter(|method| !method.is_empty()), self.1).into_response(self.0)
    }

    pub(super) fn bad(what: impl ToString) -> Self {
        Self(StatusCode::BAD_REQUEST, what.to_string())
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {limit} bytes"),
        )
    }

    pub(super) fn slow() -> Self {
        Self(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time".to_owned(),
        )
    }

    pub(super) fn file(what: String) -> Self {
        Self(StatusCode::UNSUPPORTED_MEDIA_TYPE, what)
    }
}

impl From<FieldsError> for Refusal {
    fn from(error: FieldsError) -> Self {
        Self::bad(error)
    }
}
