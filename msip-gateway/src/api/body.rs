//! The body of a request: read within limits of size, memory and time.

use std::{io::Read as _, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use flate2::bufread::GzDecoder;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use msip_runtime::Code;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{GatewayLimits, caller::only};
use crate::GatewayError;

/// The memory that bodies of all requests may have together.
#[derive(Debug)]
pub(crate) struct BodyBudget(Arc<Semaphore>);

/// A share of it.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: Arc<Semaphore>,
    permits: Option<OwnedSemaphorePermit>,
}

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(bytes)))
    }

    pub(crate) fn reserve(&self) -> Reserved {
        Reserved {
            budget: Arc::clone(&self.0),
            permits: None,
        }
    }
}

impl Reserved {
    /// Takes so many bytes more, or refuses.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), GatewayError> {
        let busy = || {
            let text = "the bodies of all requests have too much memory together";
            GatewayError::new(Code::ResourceExhausted, text)
                .with_status(StatusCode::SERVICE_UNAVAILABLE)
        };
        let count = u32::try_from(bytes).map_err(|_| busy())?;
        let more = Arc::clone(&self.budget)
            .try_acquire_many_owned(count)
            .map_err(|_| busy())?;
        match &mut self.permits {
            Some(permits) => permits.merge(more),
            None => self.permits = Some(more),
        }
        Ok(())
    }
}

/// The body of a request, and its share of the memory.
pub(crate) struct RequestBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) reserved: Reserved,
}

/// Reads JSON.
pub(super) async fn read_json_body(
    headers: &HeaderMap,
    body: Body,
    budget: &BodyBudget,
    limits: &GatewayLimits,
) -> Result<RequestBody, GatewayError> {
    expect_content_type(headers, "application/json")?;
    read_body(headers, body, budget, limits).await
}

/// Reads a body of any content type.
pub(super) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    budget: &BodyBudget,
    limits: &GatewayLimits,
) -> Result<RequestBody, GatewayError> {
    let is_compressed = is_gzip(headers)?;
    let mut reserved = budget.reserve();
    let reading = collect(body, limits.max_body, &mut reserved);
    let bytes = match timeout(limits.body_timeout, reading).await {
        Ok(read) => read?,
        Err(_) => return Err(too_slow(limits.body_timeout)),
    };
    let bytes = match is_compressed {
        true => inflate(&bytes, limits.max_body, &mut reserved)?,
        false => bytes,
    };
    Ok(RequestBody { bytes, reserved })
}

async fn collect(
    mut body: Body,
    max: usize,
    reserved: &mut Reserved,
) -> Result<Vec<u8>, GatewayError> {
    // Announced, so that nobody has to send it in vain; a body may be shorter than what it says, and never longer.
    if body.size_hint().lower() > max as u64 {
        return Err(too_large(max));
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > max - bytes.len() {
            return Err(too_large(max));
        }
        reserved.add(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Inflates a body, no further than the limit. All input has to be consumed.
fn inflate(bytes: &[u8], max: usize, reserved: &mut Reserved) -> Result<Vec<u8>, GatewayError> {
    const STEP: usize = 64 * 1024;
    let wrong = |text: &str| GatewayError::new(Code::InvalidArgument, format!("gzip: {text}"));
    let mut decoder = GzDecoder::new(bytes);
    let mut inflated = Vec::new();
    loop {
        let step = STEP.min(max + 1 - inflated.len());
        let before = inflated.len();
        let read = decoder
            .by_ref()
            .take(step as u64)
            .read_to_end(&mut inflated);
        read.map_err(|error| wrong(&error.to_string()))?;
        let len = inflated.len() - before;
        if inflated.len() > max {
            return Err(too_large(max));
        }
        reserved.add(len)?;
        if len < step {
            break;
        }
    }
    match decoder.into_inner().is_empty() {
        true => Ok(inflated),
        false => Err(wrong("something follows its end")),
    }
}

/// Whether the body is compressed.
pub(super) fn is_gzip(headers: &HeaderMap) -> Result<bool, GatewayError> {
    match only(headers, &header::CONTENT_ENCODING)? {
        None => Ok(false),
        Some(name) if name.eq_ignore_ascii_case("identity") => Ok(false),
        Some(name) if name.eq_ignore_ascii_case("gzip") => Ok(true),
        Some(_) => {
            let text = "the body is compressed in a way that is not understood: send gzip";
            Err(unsupported(text)
                .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip")))
        }
    }
}

/// Refuses another content type. It is also what keeps forms of other sites out, whose requests no browser asks about before.
pub(super) fn expect_content_type(
    headers: &HeaderMap,
    expected: &'static str,
) -> Result<(), GatewayError> {
    let found = only(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
    let (essence, parameters) = found.split_once(';').unwrap_or((found, ""));
    let is_utf8 = parameters.split(';').all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if essence.trim().eq_ignore_ascii_case(expected) && is_utf8 {
        return Ok(());
    }
    Err(unsupported(&format!(
        "the body has to be of the content type {expected}, in UTF-8"
    )))
}

fn unsupported(text: &str) -> GatewayError {
    GatewayError::new(Code::InvalidArgument, text.to_owned())
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

pub(super) fn too_large(max: usize) -> GatewayError {
    let text = format!("the body has more than {max} bytes (max_body)");
    GatewayError::new(Code::ResourceExhausted, text).with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

pub(super) fn too_slow(limit: Duration) -> GatewayError {
    let text = format!("the body did not come within {limit:?} (body_timeout)");
    GatewayError::new(Code::DeadlineExceeded, text)
        .with_status(StatusCode::REQUEST_TIMEOUT)
        // What follows in the connection would be the rest of this body.
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

pub(super) fn broken(error: &axum::Error) -> GatewayError {
    let text = format!("the body is malformed: {error}");
    GatewayError::new(Code::InvalidArgument, text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(bytes: &[u8], max: usize) -> Result<Vec<u8>, (u16, String)> {
        let budget = BodyBudget::new(1 << 20);
        inflate(bytes, max, &mut budget.reserve())
            .map_err(|error| (error.status().as_u16(), error.to_string()))
    }

    #[test]
    fn a_body_is_inflated_to_the_limit_and_no_further() {
        let text = b"{\"text\":\"hello\"}".repeat(10_000);
        assert_eq!(inflated(&gzip(&text), text.len()), Ok(text.clone()));
        assert_eq!(inflated(&gzip(b""), 0), Ok(Vec::new()));
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 60_000, "{}", bomb.len());
        assert_eq!(inflated(&bomb, 100_000).unwrap_err().0, 413);
        assert_eq!(inflated(&gzip(&text), text.len() - 1).unwrap_err().0, 413);
        assert_eq!(
            inflated(&bomb, 10 << 20).unwrap_err().0,
            503,
            "the memory of all"
        );
    }

    #[test]
    fn what_is_no_gzip_is_told() {
        let whole = gzip(b"{}");
        let trailing = [&whole[..], b"x"].concat();
        for (bytes, told) in [
            (&whole[..whole.len() - 1], "gzip: "),
            (b"{}", "gzip: "),
            (b"", "gzip: "),
            (&trailing, "gzip: something follows its end"),
        ] {
            let (status, text) = inflated(bytes, 1000).unwrap_err();
            assert_eq!(status, 400);
            assert!(text.starts_with(told), "{text}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        for (value, is_taken) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json;charset=\"UTF-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=x", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            let checked = expect_content_type(&headers, "application/json");
            assert_eq!(checked.is_ok(), is_taken, "{value}");
        }
        assert!(expect_content_type(&HeaderMap::new(), "application/json").is_err());
    }
}
