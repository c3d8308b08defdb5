//! What is read, and what is said of what cannot be.

use std::{ffi::OsString, fs, time::Duration};

use super::*;

const EVERYTHING: &str = r##"
max_body = "1MiB"
admin = "127.0.0.1:9001"
session_expiry = "10min"
drain_timeout = "2s"
drain_spread = "1s"

[log]
format = "json"
level = "debug"

[limits]
connections = 20_000
outgoing_bytes = "1MiB"

[[listener]]
url = "tcp://0.0.0.0:9000?insecure=true"
principal = "plant"
mip_resume = false

[[listener]]
url = "unix:///run/msip.sock?mode=0660"

[keys]
file = "keys"

[[keys.certificate]]
uri = "spiffe://example.org/relay"
name = "relay"
roles = ["operator", "service"]

[[keys.unix_user]]
user = 1000
name = "ada"
roles = ["operator"]

[[keys.unix_user]]
group = 50

[keys.jwt]
audience = "plant"
roles_claim = "groups"

[[keys.jwt.issuer]]
name = "https://login.example.org"
jwks = "/etc/msip/jwks.json"

[roles.operator]
publish = ["plant/#"]
subscribe = { allow = ["plant/#", "alarm/+"], deny = ["plant/secret/#"] }

messages_per_second = 1000

[principals.plant]
roles = ["operator"]
serve = ["plant/+"]
bytes_per_second = "10MiB"
"##;

#[test]
fn everything_can_be_said_in_the_file() {
    let config = Config::from_toml(EVERYTHING).unwrap();
    insta::assert_debug_snapshot!(config);
}

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(Config::from_toml("").unwrap(), Config::default());
}

/// What is said of a file.
fn told(text: &str) -> String {
    match Config::from_toml(text) {
        Ok(config) => panic!("{text}: {config:?}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn errors_say_where_what_and_what_is_allowed() {
    let long = format!("admin = \"{}\"", "a".repeat(300));
    let files = [
        ("no TOML", "max_body = \nadmin = 1"),
        ("a bracket that is missing", "[limits"),
        ("a key twice", "max_body = 1024\nmax_body = 2048"),
        ("a misspelt key", "\n\nmax_boddy = 1"),
        ("a key that resembles none", "colour = 'red'"),
        ("a misspelt key of a table", "[limits]\noutgoing_byts = 1"),
        (
            "a misspelt key of a listener",
            "[[listener]]\nurl = 'tcp://127.0.0.1:9000'\npricipal = 'plant'",
        ),
        (
            "a listener without a URL",
            "[[listener]]\nprincipal = 'plant'",
        ),
        ("no URL", "[[listener]]\nurl = '127.0.0.1:9000'"),
        (
            "one table of listeners",
            "[listener]\nurl = 'tcp://127.0.0.1:9000'",
        ),
        ("a size out of range", "max_body = 10"),
        ("a size in other units", "max_body = '4MB'"),
        ("a size that is a fraction", "max_body = 4.5"),
        ("a time without a unit", "session_expiry = 300"),
        ("a number below zero", "[limits]\nconnections = -1"),
        (
            "a flag",
            "[[listener]]\nurl = 'tcp://127.0.0.1:1'\ninsecure = 'yes'",
        ),
        ("no address", "admin = 'localhost'"),
        ("a long value", &long),
        ("a value with a line break", "admin = \"a\\nb\\u001b[31m\""),
        ("a level", "[log]\nlevel = 'verbose'"),
        ("a filter", "[roles.a]\npublish = ['a/#', 'a/#/b', 'a+']"),
        ("filters that are no list", "[roles.a]\npublish = 'a/#'"),
        ("a right", "[roles.a]\nsubscribes = ['a/#']"),
        (
            "a right in a table",
            "[roles.a]\npublish = { allows = ['a/#'] }",
        ),
        (
            "a role that is not there",
            "[roles.operator]\n[principals.ada]\nroles = ['operater']",
        ),
        ("a name with a space", "[roles.'a b']\n"),
        (
            "a certificate with two names",
            "[[keys.certificate]]\ndns = 'a'\nuri = 'b'\nname = 'c'",
        ),
        (
            "a user and a group",
            "[[keys.unix_user]]\nuser = 1\ngroup = 2\nname = 'a'",
        ),
        (
            "a group with a name",
            "[[keys.unix_user]]\ngroup = 2\nname = 'a'",
        ),
        (
            "an issuer without keys",
            "[keys.jwt]\n[[keys.jwt.issuer]]\nname = 'a'",
        ),
        (
            "several at once",
            "admin = 1\nmax_boddy = 1\n[limits]\nconnections = 0",
        ),
    ];
    let all = files.map(|(what, text)| format!("-- {what}\n{}\n", told(text)));
    insta::assert_snapshot!(all.concat());
}

#[test]
fn no_text_makes_it_panic() {
    for end in 0..EVERYTHING.len() {
        let _ = Config::from_toml(&EVERYTHING[..end]);
        let replaced = format!("{}\u{e9}{}", &EVERYTHING[..end], &EVERYTHING[end + 1..]);
        let _ = Config::from_toml(&replaced);
    }
}

fn variables(all: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    all.iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn setting(name: &str) -> &'static Setting {
    OPTIONS.iter().find(|setting| setting.name == name).unwrap()
}

#[test]
fn arguments_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.toml");
    fs::write(
        &file,
        "max_body = 1024\nadmin = '127.0.0.1:1'\n[keys]\nfile = 'keys'\n[log]\nformat = 'json'",
    )
    .unwrap();
    let mut said = Overrides::default();
    said.argument(setting("max-body"), ["3KiB".to_owned()]);
    said.environment(variables(&[
        ("MSIP_BROKER_CONFIG", file.to_str().unwrap()),
        ("MSIP_BROKER_MAX_BODY", "2KiB"),
        ("MSIP_BROKER_ADMIN", "127.0.0.1:2"),
        (
            "MSIP_BROKER_LISTEN",
            "tcp://127.0.0.1:1 tcp://127.0.0.1:2\n",
        ),
        ("MSIP_BROKER_LOG", ""),
        ("MSIP_BROKER_SERVICE_HOST", "10.0.0.1"),
        ("MSIP_BROKER_PORT_9000_TCP", "tcp://10.0.0.1:9000"),
        ("PATH", "/bin"),
    ]))
    .unwrap();
    let config = said.load().unwrap();
    assert_eq!(config.max_body, 3 * 1024);
    assert_eq!(config.admin.unwrap().address.port(), 2);
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.session_expiry, Duration::from_secs(300));
    // Relative paths are of the file's folder.
    assert_eq!(config.keys.file, Some(folder.path().join("keys")));
}

#[test]
fn errors_name_the_argument_or_the_variable() {
    let mut all = String::new();
    let mut tell = |errors: ConfigErrors| all += &format!("{errors}\n");
    let mut said = Overrides::default();
    said.argument(
        setting("listen"),
        ["9000".to_owned(), "tcp://a:1?insecure=1".to_owned()],
    );
    said.argument(setting("log"), ["loud".to_owned()]);
    said.environment(variables(&[
        ("MSIP_BROKER_MAX_BODY", "4MB"),
        ("MSIP_BROKER_ADMIN", "9001"),
    ]))
    .unwrap();
    tell(said.load().unwrap_err());
    let mut said = Overrides::default();
    let unknown = variables(&[("MSIP_BROKER_LISTN", "x"), ("MSIP_BROKER_KEYS", "y")]);
    tell(said.environment(unknown).unwrap_err());
    let mut said = Overrides::default();
    said.argument(setting("config"), ["/nowhere/broker.toml".to_owned()]);
    tell(said.load().unwrap_err());
    insta::assert_snapshot!(all);
}

#[test]
fn what_does_not_fit_together_is_told() {
    let files = [
        ("a network", "[[listener]]\nurl = 'tcp://0.0.0.0:9000'"),
        ("no port", "[[listener]]\nurl = 'tcp://127.0.0.1'"),
        (
            "several addresses",
            "[[listener]]\nurl = 'tcp://127.0.0.1:1,127.0.0.1:2'",
        ),
        (
            "a setting of the broker",
            "[[listener]]
url = 'tcp://127.0.0.1:1?session_expiry=1s'",
        ),
        (
            "one that the file calls otherwise",
            "[[listener]]\nurl = 'tcp://127.0.0.1:1?max_connections=5'",
        ),
        (
            "a principal",
            "[[listener]]\nurl = 'tcp://127.0.0.1:1?principal=plnt'\n[principals.plant]",
        ),
        (
            "a principal that resembles none",
            "[[listener]]\nurl = 'tcp://127.0.0.1:1?principal=x'",
        ),
        ("admin beyond loopback", "admin = '0.0.0.0:9001'"),
        (
            "the same without keys",
            "admin = '0.0.0.0:9001?insecure=true'",
        ),
        (
            "a dialect of servers",
            "[[listener]]\nurl = 'messi+tls://127.0.0.1:1?protocol=chat'",
        ),
    ];
    let all = files.map(|(what, text)| {
        let config = Config::from_toml(text).unwrap();
        format!("-- {what}\n{}\n", config.check().unwrap_err())
    });
    insta::assert_snapshot!(all.concat());
    let fits = "admin = '[::1]:9001'\n[[listener]]\nurl = 'tcp://0.0.0.0:1?insecure=true&principal=a'\n[principals.a]";
    Config::from_toml(fits).unwrap().check().unwrap();
    Config::default().check().unwrap();
}

/// What is denied by a filter that is none would be allowed.
#[test]
fn filters_and_roles_of_a_program_are_looked_at() {
    let mut config = Config::default();
    let mut role = AccessConfig::default();
    role.subscribe.allow.push("plant/#".to_owned());
    role.subscribe.deny.push("plant/#/secret".to_owned());
    config.roles.insert("reader".to_owned(), role);
    let mut ada = PrincipalConfig::default();
    ada.access.serve.deny.push("a+".to_owned());
    ada.roles = ["reader", "service", "raeder"].map(str::to_owned).into();
    config.principals.insert("ada".to_owned(), ada);
    let told = config.check().unwrap_err().to_string();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "[roles.reader]: `plant/#/secret` is no filter: `#` is not the last level of the topic",
            "[principals.ada]: `a+` is no filter: `a+` is not a level of a topic: `+` and `#` stand for whole levels",
            "[principals.ada]: unknown role `raeder`",
        ]
    );
}

/// A program that embeds a broker has set them.
#[test]
fn values_of_a_program_have_the_ranges_of_the_file() {
    let mut config = Config {
        max_body: 10,
        session_expiry: Duration::from_secs(100_000),
        ..Config::default()
    };
    config.limits.connections = 0;
    config.limits.outgoing_bytes = 1;
    config.limits.kept_values = 0;
    let told = config.check().unwrap_err().to_string();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "config: `max_body`: expected a size from 1KiB to 1GiB, such as 65536 or 4MiB, found 10",
            "config: `session_expiry`: expected a time from 0s to 24h, such as 250ms, 10s or 5min, found 100000000ms",
            "limits: `connections`: expected a number from 1 to 10000000, found 0",
            "limits: `outgoing_bytes`: expected a size from 64KiB to 16GiB, such as 65536 or 4MiB, found 1",
        ]
    );
}

#[test]
fn the_page_has_every_name_of_the_file_and_of_the_command_line() {
    const PAGE: &str = include_str!("../../../docs/broker.md");
    let rows: Vec<_> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .collect();
    let has = |name: &str| {
        rows.iter()
            .any(|row| row.starts_with(&format!("{name}` | ")))
    };
    for name in LimitsConfig::NAMES {
        assert!(has(name), "{name}");
    }
    for setting in &OPTIONS {
        assert!(has(&format!("--{}", setting.name)), "{}", setting.name);
        assert!(
            PAGE.contains(&format!("| `{}` |", setting.variable())),
            "{}",
            setting.name
        );
    }
    let (_, file) = PAGE.split_once("```toml\n").unwrap();
    let (file, _) = file.split_once("```").unwrap();
    let config = Config::from_toml(file).unwrap_or_else(|errors| panic!("{errors}"));
    config.check().unwrap_or_else(|errors| panic!("{errors}"));
}
