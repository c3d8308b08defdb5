//! Answers that are one message.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use super::compress::gzip;

/// A response of JSON; `asked` are the headers of the request.
pub(super) fn json_response(asked: &HeaderMap, mut headers: HeaderMap, json: Vec<u8>) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, content_type);
    let body = gzip(asked, json, &mut headers);
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = headers;
    response
}
