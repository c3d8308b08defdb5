//! Errors, as HTTP clients see them.

use std::borrow::Cow;

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use msip_runtime::{CallError, Code, SendError, Status};
use serde::Serialize;

/// An error as an HTTP client sees it: a status, and a body `{"code": "NOT_FOUND", "message": "no room 7"}`.
///
/// ```
/// use msip_gateway::GatewayError;
/// use msip_runtime::Status;
///
/// let error = GatewayError::from(Status::not_found("no room 7"));
/// assert_eq!(error.status().as_u16(), 404);
/// assert_eq!(error.to_json(), r#"{"code":"NOT_FOUND","message":"no room 7"}"#);
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct GatewayError {
    status: StatusCode,
    code: Code,
    message: Cow<'static, str>,
    /// Boxed, so that results are small.
    headers: Option<Box<HeaderMap>>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
}

impl GatewayError {
    /// An error with this code, and the status that stands for it.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: status_of(code),
            code,
            message: message.into(),
            headers: None,
        }
    }

    /// The same with another status, where HTTP has one that says more.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header in its response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Its body.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Two strings cannot fail to be written.
        serde_json::to_string(&self.body()).unwrap_or_default()
    }

    fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            code: self.code.name(),
            message: &self.message,
        }
    }
}

impl From<Status> for GatewayError {
    fn from(status: Status) -> Self {
        Self::new(status.code(), status.message().to_owned())
    }
}

impl From<CallError> for GatewayError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Status(status) => status.into(),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}

impl From<SendError> for GatewayError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused(status) | SendError::ClosedByPeer(status) => status.into(),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}

impl IntoResponse for GatewayError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Bearer");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        headers.extend(self.headers.map(|own| *own).unwrap_or_default());
        response
    }
}

/// The status that stands for a code (docs/http.md, "Errors").
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // nginx's, as all mappings of these codes have it: the client has gone, and nobody reads it.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}
