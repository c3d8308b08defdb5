//! Which hosts and origins are let through: a page of any site can have a browser send requests.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use msip_runtime::Code;

use super::{GatewayShared, RemoteAddress, Transport};
use crate::GatewayError;

/// How long a browser may remember that an origin is allowed, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST");

/// What pages of allowed origins may send besides headers of the application.
const ALLOWED_HEADERS: &str = "authorization, content-type, grpc-timeout, last-event-id, traceparent, tracestate, \
                               x-correlation-id";

/// Under which names the gateway is called, and pages of which origins may call it.
///
/// An IP address and `localhost` are always names of it: a site cannot make a browser send them for its own name (DNS rebinding).
/// At a Unix socket, to which no browser connects, any name will do, or none.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
}

impl Hosts {
    /// Adds a name under which the gateway is called, such as `api.example.org`, or `*` for any.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.insert(name.to_ascii_lowercase());
        self
    }

    /// Adds an origin whose pages may call the gateway, such as `https://app.example.org`, or `*` for any.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        let origin = origin.trim_end_matches('/').to_ascii_lowercase();
        self.origins.insert(origin);
        self
    }

    /// The host that a request names; nothing where it names none at a Unix socket.
    pub(super) fn check_host<'a>(&self, request: &'a Request) -> Result<&'a str, GatewayError> {
        let from = request.extensions().get::<RemoteAddress>();
        if from.is_some_and(|from| from.transport == Transport::UnixSocket) {
            let host = request.headers().get(header::HOST);
            return Ok(host.and_then(|host| host.to_str().ok()).unwrap_or_default());
        }
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let named = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().ok(),
            _ => None,
        };
        let authority = named.and_then(|host| Some((host, host.parse::<Authority>().ok()?)));
        let Some((host, authority)) = authority.filter(|(host, _)| !host.contains('@')) else {
            let text = "the header Host has to name one host";
            return Err(GatewayError::new(Code::InvalidArgument, text));
        };
        // Some clients send the whole URL in the request line; it means the same host then.
        if let Some(other) = request.uri().authority()
            && other.as_str() != host
        {
            let text = "the header Host and the URL name different hosts";
            return Err(GatewayError::new(Code::InvalidArgument, text));
        }
        let name = authority.host().to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let is_known = name == "localhost"
            || bare.parse::<IpAddr>().is_ok()
            || self.hosts.contains(&name)
            || self.hosts.contains("*");
        if !is_known {
            let text = "this host is not served here: allow it by --host";
            return Err(GatewayError::new(Code::PermissionDenied, text)
                .with_status(StatusCode::MISDIRECTED_REQUEST));
        }
        Ok(host)
    }

    /// The origin of the page that sends a request; `None` where it is no page of another site.
    pub(super) fn check_origin(
        &self,
        headers: &HeaderMap,
        host: &str,
    ) -> Result<Option<HeaderValue>, GatewayError> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(None);
        };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let is_own = text.split_once("://").is_some_and(|(scheme, rest)| {
            matches!(scheme, "http" | "https")
                && !rest.is_empty()
                && rest.eq_ignore_ascii_case(host)
        });
        if origins.next().is_none() {
            if is_own {
                return Ok(None);
            }
            if self.origins.contains(&text) || self.origins.contains("*") {
                return Ok(Some(origin.clone()));
            }
        }
        let text = "pages of this origin may not call the gateway: allow it by --cors";
        Err(GatewayError::new(Code::PermissionDenied, text))
    }
}

/// Lets a request through that may come, and answers what browsers ask before they send one.
pub(super) async fn guard(
    State(shared): State<Arc<GatewayShared>>,
    request: Request,
    next: Next,
) -> Response {
    let checked = shared.hosts.check_host(&request);
    let checked = checked.and_then(|host| shared.hosts.check_origin(request.headers(), host));
    let mut response = match checked {
        Err(error) => error.into_response(),
        Ok(origin) => {
            let is_preflight = request.method() == Method::OPTIONS
                && request
                    .headers()
                    .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
            let mut response = match (&origin, is_preflight) {
                (Some(_), true) => preflight(request.headers()),
                _ => next.run(request).await,
            };
            if let Some(origin) = origin {
                allow(origin, response.headers_mut());
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The answer to a browser that asks whether a page may send a request.
fn preflight(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    *response.body_mut() = Body::empty();
    let asked = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let asked = asked.iter().filter_map(|value| value.to_str().ok());
    let own = asked
        .flat_map(|names| names.split(','))
        .map(str::trim)
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        .filter(|name| name.as_str().starts_with("msip-"))
        .take(64);
    let allowed = own.fold(ALLOWED_HEADERS.to_owned(), |mut allowed, name| {
        allowed.push_str(", ");
        allowed.push_str(name.as_str());
        allowed
    });
    let headers = response.headers_mut();
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// Lets a page of this origin read the response.
fn allow(origin: HeaderValue, headers: &mut HeaderMap) {
    let own = headers.keys().map(HeaderName::as_str);
    let own = own.filter(|name| name.starts_with("msip-") || *name == "retry-after");
    let exposed = own.collect::<Vec<_>>().join(", ");
    if let Ok(exposed) = HeaderValue::from_str(&exposed)
        && !exposed.is_empty()
    {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(all: &[(HeaderName, &str)]) -> Request {
        let request = all
            .iter()
            .fold(Request::builder(), |request, (name, value)| {
                request.header(name, *value)
            });
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn only_names_of_the_gateway_are_hosts() {
        let hosts = Hosts::default().host("API.example.org");
        for (host, status) in [
            ("127.0.0.1:8080", 200),
            ("[::1]:8080", 200),
            ("localhost", 200),
            ("LOCALHOST:1", 200),
            ("api.example.org:443", 200),
            ("10.1.2.3", 200),
            ("rebound.example.org", 421),
            ("127.0.0.1.example.org", 421),
            ("localhost.example.org:8080", 421),
            ("xapi.example.org", 421),
            ("127.0.0.1@example.org", 400),
            ("", 400),
            ("[::1", 400),
        ] {
            let request = request(&[(header::HOST, host)]);
            let checked = hosts.check_host(&request);
            assert_eq!(
                checked.map_or_else(|error| error.status().as_u16(), |_| 200),
                status,
                "{host}"
            );
        }
        assert!(hosts.check_host(&request(&[])).is_err(), "none");
        let two = request(&[(header::HOST, "localhost"), (header::HOST, "localhost")]);
        assert!(hosts.check_host(&two).is_err(), "two");
        let any = request(&[(header::HOST, "rebound.example.org")]);
        assert!(Hosts::default().host("*").check_host(&any).is_ok());
    }

    #[test]
    fn only_pages_of_the_gateway_and_of_the_list_may_send() {
        let hosts = Hosts::default().origin("https://app.example.org/");
        let host = "localhost:8080";
        for (origin, allowed) in [
            ("http://localhost:8080", Some(false)),
            ("https://localhost:8080", Some(false)),
            ("https://app.example.org", Some(true)),
            ("http://app.example.org", None),
            ("https://app.example.org.evil.example", None),
            ("http://localhost:8081", None),
            ("file://localhost:8080", None),
            ("null", None),
            ("", None),
        ] {
            let request = request(&[(header::ORIGIN, origin)]);
            let checked = hosts.check_origin(request.headers(), host);
            assert_eq!(
                checked.ok().map(|origin| origin.is_some()),
                allowed,
                "{origin}"
            );
        }
        let own = (header::ORIGIN, "http://localhost:8080");
        let two = request(&[own.clone(), own]);
        assert!(hosts.check_origin(two.headers(), host).is_err());
        let none = request(&[]);
        assert!(matches!(hosts.check_origin(none.headers(), host), Ok(None)));
    }
}
