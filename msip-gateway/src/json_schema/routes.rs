//! Where the schemas of messages are.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use msip_runtime::Code;
use msip_schema::TypeName;

use super::message_schema;
use crate::{GatewayError, ProtocolModel, api::GatewayShared};

/// `/schemas/<message>`, by its full name.
pub(crate) fn routes() -> Router<Arc<GatewayShared>> {
    let answer = async |State(shared): State<Arc<GatewayShared>>, Path(name): Path<String>| {
        schema(&shared.models(), &name)
    };
    Router::new().route("/schemas/{message}", get(answer))
}

fn schema(models: &[ProtocolModel], name: &str) -> Result<Response, GatewayError> {
    let name = TypeName::new(name);
    let found = models
        .iter()
        .find_map(|model| message_schema(model.schema(), &name));
    let schema = found
        .ok_or_else(|| GatewayError::new(Code::NotFound, "there is no message of this name"))?;
    let json = HeaderValue::from_static("application/schema+json");
    Ok(([(header::CONTENT_TYPE, json)], schema.to_string()).into_response())
}
