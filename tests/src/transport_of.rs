//! How the tests of a binary travel.

/// What the URL of a server begins with that is attached to a broker, which listens at the rest of it.
pub const THROUGH_A_BROKER: &str = "broker+";

/// The URL at which the tests of a binary talk; see [`at!`](crate::at).
#[must_use]
pub fn transport_of(binary: &str, url: impl AsRef<str>) -> String {
    let url = url.as_ref();
    match (binary, url.strip_prefix("tcp://")) {
        ("over_broker", _) => format!("{THROUGH_A_BROKER}{url}"),
        ("over_rough", _) => format!("rough+{url}"),
        ("over_websocket", Some(place)) => format!("ws://{place}"),
        _ => url.to_owned(),
    }
}
