//! Values as people write them: sizes, times, addresses of listeners.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{AdminConfig, ListenerConfig, LogConfig, LogFormat, LogLevel, MiddleManConfig};

const KIB: u64 = 1024;

/// Why a value cannot be used: what was expected in its place.
pub(super) type Expected = String;

/// A size, such as `4096` or `4MiB`, in bytes.
pub(super) fn size(text: &str, range: RangeInclusive<u64>) -> Result<u64, Expected> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("" | "B") => Some(1),
        Some("KiB") => Some(KIB),
        Some("MiB") => Some(KIB * KIB),
        Some("GiB") => Some(KIB * KIB * KIB),
        _ => None,
    };
    let bytes = digits.trim_end().parse::<u64>().ok();
    let bytes = bytes.and_then(|number| number.checked_mul(unit?));
    bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| {
        let (least, most) = (written_size(*range.start()), written_size(*range.end()));
        format!("a size from {least} to {most}, such as 65536 or 4MiB")
    })
}

/// A size in the largest unit that has no fraction.
fn written_size(bytes: u64) -> String {
    let units = [(KIB * KIB * KIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB")];
    let unit = units
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match unit {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// A time, such as `250ms`, `10s`, `5min` or `1h`.
pub(super) fn time(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, Expected> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: Option<u64> = match text.get(digits.len()..) {
        Some("ms") => Some(1),
        Some("s") => Some(1000),
        Some("min") => Some(60_000),
        Some("h") => Some(3_600_000),
        _ => None,
    };
    let time = digits.parse::<u64>().ok();
    let time = time
        .and_then(|number| number.checked_mul(unit?))
        .map(Duration::from_millis);
    time.filter(|time| range.contains(time)).ok_or_else(|| {
        let (least, most) = (written_time(*range.start()), written_time(*range.end()));
        format!("a time from {least} to {most}, such as 250ms, 10s or 5min")
    })
}

/// A time in the largest unit that has no fraction.
fn written_time(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [(3_600_000, "h"), (60_000, "min"), (1000, "s")];
    let unit = units
        .iter()
        .find(|(unit, _)| millis.is_multiple_of(*unit) && (millis > 0 || *unit == 1000));
    match unit {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

/// A number.
pub(super) fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, Expected> {
    let number = text.replace('_', "").parse().ok();
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
}

/// The address of the admin listener.
pub(super) fn admin(text: &str) -> Result<AdminConfig, Expected> {
    let (address, insecure) = match text.strip_suffix("?insecure=true") {
        Some(address) => (address, true),
        None => (text, false),
    };
    let expected = "an IP address and a port, such as 127.0.0.1:9001 or 0.0.0.0:9001?insecure=true";
    let address = address.parse().map_err(|_| expected.to_owned())?;
    Ok(AdminConfig { address, insecure })
}

/// `text`, `json`, a level, or one of each with a comma between.
pub(super) fn log(text: &str) -> Result<LogConfig, Expected> {
    let mut log = LogConfig::default();
    let (mut has_format, mut has_level) = (false, false);
    for word in text.split(',').map(str::trim) {
        match (LogFormat::from_name(word), LogLevel::from_name(word)) {
            (Some(format), _) if !has_format => (log.format, has_format) = (format, true),
            (_, Some(level)) if !has_level => (log.level, has_level) = (level, true),
            _ => {
                let levels = LogLevel::names().join(", ");
                return Err(format!(
                    "`text` or `json`, a level ({levels}), or both, such as json,debug"
                ));
            }
        }
    }
    Ok(log)
}

/// A path, which is of the file's folder where it is relative.
pub(super) fn path(text: &str, folder: &Path) -> Result<PathBuf, Expected> {
    if text.is_empty() {
        return Err("a path".to_owned());
    }
    Ok(folder.join(text))
}

/// A URL to listen at, with the settings of a listener of this broker: `principal`, `mip_resume` and `insecure`, and those for clients
/// of MiddleMan.
pub(super) fn listener(text: &str) -> Result<ListenerConfig, Expected> {
    let expected = "a URL such as tcp://127.0.0.1:9000";
    if !text.contains("://") {
        return Err(expected.to_owned());
    }
    let mut listener = ListenerConfig::default();
    let (place, query) = text.split_once('?').unwrap_or((text, ""));
    place.clone_into(&mut listener.url);
    let is_middleman = listener.is_middleman();
    let mut rest = Vec::new();
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let flag = || match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{expected}, and in it {name}=true or {name}=false")),
        };
        match name {
            "insecure" => listener.insecure = flag()?,
            "mip_resume" => listener.mip_resume = Some(flag()?),
            "principal" if is_name(value) => listener.principal = Some(value.to_owned()),
            "principal" => {
                return Err(format!(
                    "{expected}, and in it principal=NAME, where NAME is {NAME}"
                ));
            }
            _ if is_middleman && middleman(&mut listener.middleman, name, value)? => {}
            _ => rest.push(setting),
        }
    }
    if !rest.is_empty() {
        listener.url = format!("{place}?{}", rest.join("&"));
    }
    Ok(listener)
}

/// Sets a setting for clients of MiddleMan; `false` where it is none.
fn middleman(config: &mut MiddleManConfig, name: &str, value: &str) -> Result<bool, Expected> {
    if !MiddleManConfig::NAMES.contains(&name) {
        return Ok(false);
    }
    if value.is_empty() {
        return Err(format!("a value for {name}"));
    }
    match name {
        "trusted_key" => config.trusted_key = Some(value.into()),
        "public_key" => config.public_key = Some(value.into()),
        "origin" => config.origins = value.split(',').map(str::to_owned).collect(),
        _ if !is_name(value) => return Err(format!("{name}=NAME, where NAME is {NAME}")),
        "trusted" => config.trusted = Some(value.to_owned()),
        _ => config.public = Some(value.to_owned()),
    }
    Ok(true)
}

/// What a name of a role or a principal may be.
pub(super) const NAME: &str = "1 to 255 bytes without spaces, control characters, `,` and `#`";

/// Whether a role or a principal may have this name: as in the file of keys.
pub(super) fn is_name(text: &str) -> bool {
    let is_allowed =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, ',' | '#' | '"' | '\\');
    (1..=255).contains(&text.len()) && text.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_in_their_units() {
        let all = 0..=u64::MAX;
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64KiB", 65536),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(size(text, all.clone()), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "4MB",
            "-1",
            "4 MiB!",
            "MiB",
            "99999999999999999999",
            "20000000000GiB",
        ] {
            assert!(size(text, all.clone()).is_err(), "{text}");
        }
        let all = Duration::ZERO..=Duration::MAX;
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                time(text, all.clone()),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["", "10", "s", "-1s", "1d", "9999999999999999999h"] {
            assert!(time(text, all.clone()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_is_told_in_units() {
        let told = size("1", KIB..=1024 * KIB * KIB).unwrap_err();
        assert_eq!(told, "a size from 1KiB to 1GiB, such as 65536 or 4MiB");
        assert_eq!(written_size(1025), "1025");
    }

    #[test]
    fn the_settings_of_a_listener_are_taken_out_of_its_url() {
        let read =
            listener("tls://0.0.0.0:9000?cert=a.pem&principal=plant&key=a.key&mip_resume=true");
        let read = read.unwrap();
        assert_eq!(read.url, "tls://0.0.0.0:9000?cert=a.pem&key=a.key");
        assert_eq!(read.principal.as_deref(), Some("plant"));
        assert_eq!((read.mip_resume, read.insecure), (Some(true), false));
        let read = listener("tcp://0.0.0.0:9000?insecure=true").unwrap();
        assert_eq!((&*read.url, read.insecure), ("tcp://0.0.0.0:9000", true));
        let read = listener(
            "mm+tls://0.0.0.0:8765?cert=a.pem&trusted_key=xyzzy&origin=https://a,https://b&public=web",
        );
        let read = read.unwrap();
        assert_eq!(read.url, "mm+tls://0.0.0.0:8765?cert=a.pem");
        let MiddleManConfig {
            trusted_key,
            public_key,
            trusted,
            public,
            origins,
        } = read.middleman;
        assert_eq!((trusted_key, public_key), (Some("xyzzy".into()), None));
        assert_eq!((trusted, public.as_deref()), (None, Some("web")));
        assert_eq!(origins, ["https://a", "https://b"]);
        // Elsewhere they are the transport's.
        let read = listener("wss://0.0.0.0:1?origin=https://a").unwrap();
        assert_eq!(read.url, "wss://0.0.0.0:1?origin=https://a");
        for text in [
            "127.0.0.1:9000",
            "mm://a:1?public=",
            "tcp://a:1?insecure=yes",
            "tcp://a:1?principal=",
        ] {
            assert!(listener(text).is_err(), "{text}");
        }
    }
}
