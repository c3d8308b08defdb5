//! Where the document is.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;

use super::document;
use crate::{ProtocolModel, api::GatewayShared};

/// The document, and the fingerprints of the schemas that it is of.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<(Vec<u64>, Bytes)>>);

impl Written {
    /// The document of these protocols, which is written again where they have changed.
    fn of(&self, models: &[ProtocolModel]) -> Bytes {
        let schemas: Vec<_> = models.iter().map(ProtocolModel::schema).collect();
        let fingerprints: Vec<u64> = schemas.iter().map(|schema| schema.fingerprint()).collect();
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.1.is_empty() || written.0 != fingerprints {
            *written = (fingerprints, Bytes::from(document(&schemas).to_string()));
        }
        written.1.clone()
    }
}

/// `/openapi.json`.
pub(crate) fn routes() -> Router<Arc<GatewayShared>> {
    let written = Written::default();
    let answer =
        async move |State(shared): State<Arc<GatewayShared>>| respond(written.of(&shared.models()));
    Router::new().route("/openapi.json", get(answer))
}

fn respond(json: Bytes) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, json).into_response()
}
