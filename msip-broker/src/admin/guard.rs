//! Who may ask.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::time::sleep;

use super::Admin;

/// Who has this role may ask.
const ROLE: &str = "admin";

/// How long a wrong key is answered later.
const REFUSAL: Duration = Duration::from_millis(50);

/// Lets a request through that may ask.
///
/// On loopback a page of any site could have a browser ask, under a name that it has resolved to 127.0.0.1: such a request says
/// that name in its `Host`. Beyond loopback whoever asks shows an API key of somebody with the role `admin`, except for the two
/// paths that tell nothing but that the broker is there.
pub(super) async fn guard(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let tells_nothing = matches!(request.uri().path(), "/healthz" | "/readyz");
    let refused = match &admin.keys {
        None => check_host(request.headers()),
        Some(_) if tells_nothing => Ok(()),
        Some(keys) => match bearer(request.headers()) {
            Some(key) => match keys.identify(key).await {
                Ok(Some(identity)) if identity.has_role(ROLE) => Ok(()),
                Ok(Some(_)) => Err((StatusCode::FORBIDDEN, "this key has not the role `admin`\n")),
                Ok(None) | Err(_) => {
                    sleep(REFUSAL).await;
                    Err((StatusCode::UNAUTHORIZED, "not authenticated\n"))
                }
            },
            None => Err((
                StatusCode::UNAUTHORIZED,
                "an API key is needed: Authorization: Bearer msip_…\n",
            )),
        },
    };
    let mut response = match refused {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The key of a request.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
}

/// Whether a request names this machine by a number, or as `localhost`.
fn check_host(headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    const WRONG: &str = "the header Host has to be an IP address or localhost\n";
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err((StatusCode::BAD_REQUEST, WRONG));
    };
    let host = host.to_str().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_here = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    match is_here {
        true => Ok(()),
        false => Err((StatusCode::FORBIDDEN, WRONG)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_and_localhost_are_hosts() {
        let cases = [
            ("127.0.0.1:9001", true),
            ("127.0.0.1", true),
            ("[::1]:9001", true),
            ("localhost:9001", true),
            ("LOCALHOST", true),
            ("rebound.example.org:9001", false),
            ("127.0.0.1.example.org", false),
            ("localhost.example.org", false),
            ("", false),
            ("[::1", false),
            ("[rebound]", false),
            ("127.0.0.1@example.org", false),
        ];
        for (host, is_taken) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(check_host(&headers).is_ok(), is_taken, "{host}");
        }
        assert!(check_host(&HeaderMap::new()).is_err(), "none");
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        headers.append(header::HOST, HeaderValue::from_static("example.org"));
        assert!(check_host(&headers).is_err(), "two");
    }

    #[test]
    fn a_key_is_what_follows_bearer() {
        let key = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(key("Bearer msip_1"), Some(b"msip_1".to_vec()));
        assert_eq!(key("bearer msip_1"), Some(b"msip_1".to_vec()));
        assert_eq!(key("Basic YTpi"), None);
        assert_eq!(key("Bear"), None);
    }
}
