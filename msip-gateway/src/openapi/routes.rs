//! Where the document is.

use axum::{
    Router,
    http::{HeaderValue, header},
    routing::get,
};
use bytes::Bytes;

use super::document;
use crate::ProtocolModel;

/// `/openapi.json`, made once.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(models: &[ProtocolModel]) -> Router<S> {
    let schemas: Vec<_> = models.iter().map(ProtocolModel::schema).collect();
    let json = Bytes::from(document(&schemas).to_string());
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Router::new().route("/openapi.json", get(async move || (headers, json)))
}
