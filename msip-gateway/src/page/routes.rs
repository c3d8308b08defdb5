//! Where the page is.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;

use super::Page;

/// `/`, made once.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let Page { html, policy } = Page::new("openapi.json");
    let html = Bytes::from(html);
    Router::new().route("/", get(async move || respond(html, &policy)))
}

fn respond(html: Bytes, policy: &str) -> Response {
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        fixed(header::CACHE_CONTROL, "no-cache"),
        fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        fixed(header::REFERRER_POLICY, "no-referrer"),
        fixed(
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    let mut response = (headers, Html(html)).into_response();
    // Letters, digits and punctuation of ASCII.
    if let Ok(policy) = HeaderValue::from_str(policy) {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
