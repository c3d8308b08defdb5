//! The page that lists the methods and lets a person try one: one document, without anything from elsewhere.

mod routes;

use sha2::{Digest as _, Sha256};

pub(crate) use routes::routes;

use crate::base64::encode;

const HTML: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// The page, and the header that allows it what it needs and nothing else. Made once.
#[derive(Debug)]
pub(crate) struct Page {
    /// The document.
    pub(crate) html: String,
    /// The value of `content-security-policy`: this script and this style alone, which may speak to this gateway alone.
    pub(crate) policy: String,
}

impl Page {
    /// The page of the methods in the OpenAPI document at this path, relative to where the page is.
    pub(crate) fn new(openapi: &str) -> Self {
        let html = HTML
            .replace("{openapi}", &attribute(openapi))
            .replace("{style}", STYLE)
            .replace("{script}", SCRIPT);
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; form-action \
             'none'; frame-ancestors 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        Self { html, policy }
    }
}

/// A text in double quotes.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;")
}

/// A source as a content security policy names it.
fn hash(source: &str) -> String {
    format!("sha256-{}", encode(&Sha256::digest(source.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_everything_inside_and_nothing_from_elsewhere() {
        let page = Page::new("openapi.json");
        assert!(page.html.contains("data-openapi=\"openapi.json\""));
        for outside in [
            "src=", "http://", "https://", "@import", "url(", "{style}", "{script}",
        ] {
            assert!(!page.html.contains(outside), "{outside}");
        }
        // What comes from a server is text.
        for unsafe_way in ["innerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.contains(unsafe_way), "{unsafe_way}");
        }
        assert!(!SCRIPT.contains("</script"));
        assert!(!page.policy.contains("unsafe"));
    }

    #[test]
    fn a_path_cannot_leave_its_attribute() {
        let page = Page::new("x\" onload=\"alert(1)");
        assert!(
            page.html
                .contains("data-openapi=\"x&quot; onload=&quot;alert(1)\"")
        );
    }
}
