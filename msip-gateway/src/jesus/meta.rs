//! The meta of a message: what headers with `app-meta-` say, and what a handler is told of it.

use axum::http::{HeaderMap, HeaderName};

/// What is in the name of a header of meta, anywhere.
const MARK: &str = "app-meta-";

/// How many are passed on, and how long a value may be: of more, and of longer ones, nothing is.
const MAX_COUNT: usize = 32;
const MAX_LEN: usize = 1024;

/// What stands for what the caller did not say.
const UNKNOWN: &str = "UNKNOW";

/// The meta of one message, in jesus' own names.
#[derive(Debug, Default)]
pub(super) struct Meta {
    entries: Vec<(String, String)>,
}

impl Meta {
    /// That of these headers.
    pub(super) fn of_headers(headers: &HeaderMap) -> Self {
        let pairs = headers.iter().filter_map(|(name, value)| {
            let (_, key) = HeaderName::as_str(name).split_once(MARK)?;
            Some((key, value.to_str().ok()?))
        });
        Self::of(pairs)
    }

    /// That of these pairs, of which each name counts once.
    pub(super) fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut meta = Self::default();
        for (name, value) in pairs {
            let fits = !name.is_empty()
                && name.len() <= 64
                && value.len() <= MAX_LEN
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
                && !value.chars().any(char::is_control);
            if fits && meta.get(name).is_none() && meta.entries.len() < MAX_COUNT {
                meta.entries.push((name.to_owned(), value.to_owned()));
            }
        }
        meta
    }

    /// The value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.entries.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    /// The correlation id, where the caller has named one.
    pub(super) fn correlation_id(&self) -> Option<&str> {
        self.get("corrid").filter(|id| !id.is_empty())
    }

    /// The headers that carry it, which a handler reads with `metadata().header("app-meta-to")`.
    ///
    /// `userid` and `from` are what the caller says of itself, so they go by `app-meta-claimed-userid` and
    /// `app-meta-claimed-from`: who the caller is, the handler is told by the identity that its server has authenticated.
    pub(super) fn headers(
        &self,
        channel: &str,
        is_stream: bool,
        now_ms: u128,
    ) -> Vec<(String, String)> {
        let claimed = |name: &str| self.get(name).unwrap_or(UNKNOWN).to_owned();
        let own = [
            ("claimed-userid", claimed("userid")),
            ("claimed-from", claimed("from")),
            // When the caller has sent it, by its clock.
            ("reqintime", claimed("timestamp")),
            ("timestamp", now_ms.to_string()),
            ("reqtype", "out".to_owned()),
            ("channel", channel.to_owned()),
            ("stream", is_stream.to_string()),
        ];
        let taken = ["corrid", "userid", "from"];
        let others = self.entries.iter().filter(|(name, _)| {
            !taken.contains(&name.as_str()) && !own.iter().any(|(own, _)| own == name)
        });
        let others = others.map(|(name, value)| (name.as_str(), value.clone()));
        let all = others.chain(own.iter().map(|(name, value)| (*name, value.clone())));
        all.map(|(name, value)| (format!("{MARK}{name}"), value))
            .collect()
    }
}
