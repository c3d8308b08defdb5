//! Who asks, until when it waits, and what it says besides the message: the headers of a request.

use std::{fmt, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use msip_runtime::{CallOptions, Code, Metadata, ResponseMetadata};

use crate::{GatewayError, upstream::MAX_SESSION_NAME, upstream::Principal};

/// A header of the application is this and its name.
const METADATA: &str = "msip-";
/// By which a client asks for a session of its own.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("msip-session");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Who asks, until when it waits, and what it says besides the message: what the headers of a request say.
pub struct Caller {
    principal: Principal,
    options: CallOptions,
    answer: ResponseMetadata,
}

impl Caller {
    /// What the headers say.
    ///
    /// # Errors
    ///
    /// One is malformed.
    pub fn of(headers: &HeaderMap) -> Result<Self, GatewayError> {
        Self::in_session(headers, None)
    }

    /// The same, in the session of this name where the headers name none: a browser's `EventSource` sends no headers.
    pub(crate) fn in_session(
        headers: &HeaderMap,
        session: Option<&str>,
    ) -> Result<Self, GatewayError> {
        let session = match only(headers, &SESSION)? {
            Some(session) => session,
            None => session.unwrap_or_default(),
        };
        if session.len() > MAX_SESSION_NAME || !session.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(wrong(&SESSION, "at most 128 visible ASCII characters"));
        }
        let answer = ResponseMetadata::new();
        let mut options = CallOptions::new().response_metadata(&answer);
        if let Some(timeout) = only(headers, &TIMEOUT)? {
            let timeout = parse_timeout(timeout)
                .ok_or_else(|| wrong(&TIMEOUT, "a number and a unit, such as 500m or 5S"))?;
            options = options.timeout(timeout);
        }
        if let Some(id) = only(headers, &CORRELATION_ID)? {
            options = options.correlation_id(id);
        }
        if let Some(parent) = only(headers, &TRACEPARENT)? {
            // Whoever gets a malformed one begins a trace of its own.
            if is_traceparent(parent) {
                options = options.traceparent(parent);
                if let Some(state) = only(headers, &TRACESTATE)? {
                    options = options.tracestate(state);
                }
            }
        }
        for name in headers.keys() {
            let Some(own) = name.as_str().strip_prefix(METADATA) else {
                continue;
            };
            if *name != SESSION && !own.is_empty() {
                options = options.header(own, only(headers, name)?.unwrap_or_default());
            }
        }
        Ok(Self {
            principal: Principal::new(bearer(headers)?, session),
            options,
            answer,
        })
    }

    /// For whom it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The deadline and the metadata of what is sent.
    #[must_use]
    pub fn options(&self) -> &CallOptions {
        &self.options
    }

    /// What came with the answer, as headers.
    pub(crate) fn answer_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(metadata) = self.answer.get() {
            add_metadata(&metadata, &mut headers);
        }
        headers
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

fn add_metadata(metadata: &Metadata, headers: &mut HeaderMap) {
    for (name, value) in metadata.headers() {
        // What HTTP cannot carry is left out: names are letters, digits and `-_./`.
        let name = HeaderName::from_bytes(format!("{METADATA}{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

/// The key or token of a request.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, GatewayError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = "Authorization has to be `Bearer` and a key or a token";
    let refused = || GatewayError::new(Code::Unauthenticated, text);
    if values.next().is_some() {
        return Err(refused());
    }
    let (scheme, token) = value
        .as_bytes()
        .split_at_checked("Bearer ".len())
        .ok_or_else(refused)?;
    let token = token.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"Bearer ") || token.is_empty() {
        return Err(refused());
    }
    Ok(Some(token))
}

/// The value of a header that may come once.
pub(crate) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, GatewayError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(wrong(name, "one value"));
    }
    let text = str::from_utf8(value.as_bytes()).map_err(|_| wrong(name, "UTF-8"))?;
    Ok(Some(text))
}

fn wrong(name: &HeaderName, expected: &str) -> GatewayError {
    let text = format!("the header {name}: expected {expected}");
    GatewayError::new(Code::InvalidArgument, text)
}

/// A time limit as gRPC writes it: at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(count * 3600),
        'M' => Duration::from_secs(count * 60),
        'S' => Duration::from_secs(count),
        'm' => Duration::from_millis(count),
        'u' => Duration::from_micros(count),
        'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Whether it has the form of W3C's trace context.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, len| {
        part.len() == len
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    matches!(*parts, [version, trace, parent, flags]
        if hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            })
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    }

    #[test]
    fn time_limits_are_grpcs() {
        for (text, expected) in [
            ("5S", Some(Duration::from_secs(5))),
            ("500m", Some(Duration::from_millis(500))),
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("7u", Some(Duration::from_micros(7))),
            ("0m", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("123456789S", None),
            ("5Sé", None),
        ] {
            assert_eq!(parse_timeout(text), expected, "{text}");
        }
    }

    #[test]
    fn a_credential_is_what_follows_bearer() {
        let of = |values: &[&str]| {
            let values: Vec<_> = values
                .iter()
                .map(|value| ("authorization", *value))
                .collect();
            bearer(&headers(&values))
                .map(|token| token.map(<[u8]>::to_vec))
                .map_err(|error| error.status().as_u16())
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["Bearer msip_1"]), Ok(Some(b"msip_1".to_vec())));
        assert_eq!(of(&["bearer  t "]), Ok(Some(b"t".to_vec())));
        for wrong in [
            &["Basic YTpi"][..],
            &["Bearer "],
            &["Bearer"],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(of(wrong), Err(401), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_malformed_is_told() {
        let status = |all: &[(&'static str, &str)]| {
            Caller::of(&headers(all)).map_or_else(|error| error.status().as_u16(), |_| 200)
        };
        assert_eq!(status(&[("msip-tenant", "a"), ("grpc-timeout", "1S")]), 200);
        assert_eq!(status(&[("traceparent", "nonsense")]), 200);
        let long = "x".repeat(MAX_SESSION_NAME + 1);
        for wrong in [
            &[("grpc-timeout", "soon")][..],
            &[("msip-session", "a b")],
            &[("msip-session", &long)],
            &[("msip-tenant", "a"), ("msip-tenant", "b")],
        ] {
            assert_eq!(status(wrong), 400, "{wrong:?}");
        }
    }
}
