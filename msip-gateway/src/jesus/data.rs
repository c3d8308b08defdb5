//! The data of a request: its query, its path, and its body as JSON, as a form or in parts.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest as _, Multipart, Request, multipart::MultipartError},
    http::{HeaderMap, Method as Verb, StatusCode, header},
};
use serde_json::{Map, Value};

use super::{
    fields::{self, Fields},
    refusal::Refusal,
    upload::{File, Uploads},
};

/// How long a body without files may be, as in body-parser.
pub(super) const MAX_BODY: usize = 100 * 1024;

/// What a request has brought.
#[derive(Debug)]
pub(super) struct Data {
    /// Its fields, or whatever else its body is.
    pub(super) value: Value,
    /// Its files, by the names of their fields.
    pub(super) files: Vec<(String, File)>,
}

/// Reads the data of a request. Of what follows the method in the path, `room/12` is the field `room` with the value `12`.
pub(super) async fn read(request: Request, path: &str, uploads: &Uploads) -> Result<Data, Refusal> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let by_query = matches!(*request.method(), Verb::GET | Verb::HEAD);
    let mut data = if by_query {
        Data {
            value: Value::Object(fields::parse(&query)?),
            files: Vec::new(),
        }
    } else {
        body(request, uploads).await?
    };
    if let Value::Object(map) = &mut data.value {
        add_path(map, path);
    }
    Ok(data)
}

fn add_path(data: &mut Map<String, Value>, path: &str) {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        // A plus sign stands for itself in a path.
        let decode = |part: &str| fields::decode(&part.replace('+', "%2B"));
        data.insert(decode(name), Value::String(decode(value)));
    }
}

async fn body(request: Request, uploads: &Uploads) -> Result<Data, Refusal> {
    let content_type = media_type(request.headers());
    let value = match content_type.as_str() {
        "multipart/form-data" => return multipart(request, uploads).await,
        "application/json" => {
            let body = whole(request.into_body()).await?;
            if body.is_empty() {
                Value::Object(Map::new())
            } else {
                serde_json::from_slice(&body)
                    .map_err(|error| Refusal::bad(format!("the body is not JSON: {error}")))?
            }
        }
        "application/x-www-form-urlencoded" => {
            let body = whole(request.into_body()).await?;
            let text =
                std::str::from_utf8(&body).map_err(|_| Refusal::bad("the form is not UTF-8"))?;
            Value::Object(fields::parse(text)?)
        }
        other => {
            let query = request.uri().query().unwrap_or_default().to_owned();
            if !whole(request.into_body()).await?.is_empty() {
                let shown: String = other.chars().take(64).collect();
                return Err(Refusal::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    format!(
                        "the content type is JSON, a form or multipart/form-data, and not `{shown}`"
                    ),
                ));
            }
            Value::Object(fields::parse(&query)?)
        }
    };
    Ok(Data {
        value,
        files: Vec::new(),
    })
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    media.trim().to_ascii_lowercase()
}

async fn whole(body: Body) -> Result<Bytes, Refusal> {
    to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Refusal::too_large(MAX_BODY))
}

/// Fields and files, each within its limits. What was read of files is dropped with the data, wherever reading ends.
async fn multipart(request: Request, uploads: &Uploads) -> Result<Data, Refusal> {
    let wrong = |error: MultipartError| Refusal::new(error.status(), error.body_text());
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let (mut fields, mut files) = (Fields::default(), Vec::new());
    let mut left = uploads.max_total;
    while let Some(mut part) = parts.next_field().await.map_err(wrong)? {
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = part.file_name().map(str::to_owned);
        let limit = if file_name.is_some() {
            uploads.max_file.min(left)
        } else {
            MAX_BODY.min(left)
        };
        let mut content = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(wrong)? {
            if chunk.len() > limit - content.len() {
                return Err(Refusal::too_large(limit));
            }
            content.extend_from_slice(&chunk);
        }
        left -= content.len();
        match file_name {
            Some(file_name) => {
                if files.len() >= uploads.max_files {
                    return Err(Refusal::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        format!("more than {} files", uploads.max_files),
                    ));
                }
                files.push((name, uploads.file(file_name, content)?));
            }
            None => {
                let text = String::from_utf8(content)
                    .map_err(|_| Refusal::bad(format!("the field `{name}` is not UTF-8")))?;
                fields.add(&name, Value::String(text))?;
            }
        }
    }
    Ok(Data {
        value: Value::Object(fields.into_data()),
        files,
    })
}
