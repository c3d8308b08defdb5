//! The tables of the file.

use std::{ops::RangeInclusive, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    AccessConfig, CertificateRule, CertificateSubject, Config, FilterConfig, JwtConfig, JwtIssuer,
    LimitsConfig, ListenerConfig, LogFormat, LogLevel, MiddleManConfig, PrincipalConfig,
    UnixUserRule,
    error::{Kind, shown},
    reader::{Reader, Section},
    value,
};
use crate::topic::TopicFilter;

pub(super) const DAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(86_400);
pub(super) const HOUR: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

/// What a role or a principal may have.
const ACCESS: [&str; 6] = [
    "publish",
    "subscribe",
    "serve",
    "request",
    "messages_per_second",
    "bytes_per_second",
];

/// Sets what a document says.
pub(super) fn read(reader: &mut Reader<'_>, document: &DeTable<'_>, config: &mut Config) {
    let known = [
        "max_body",
        "admin",
        "log",
        "session_expiry",
        "drain_timeout",
        "drain_spread",
        "listener",
        "limits",
        "keys",
        "roles",
        "principals",
    ];
    let mut all = Section::new(reader, document, 0, "", &known);
    if let Some(max) = all.size("max_body", super::MAX_BODY) {
        config.max_body = max;
    }
    if let Some(admin) = all.read("admin", value::admin) {
        config.admin = Some(admin);
    }
    if let Some(expiry) = all.time("session_expiry", DAY) {
        config.session_expiry = expiry;
    }
    if let Some(timeout) = all.time("drain_timeout", HOUR) {
        config.drain_timeout = timeout;
    }
    if let Some(spread) = all.time("drain_spread", HOUR) {
        config.drain_spread = spread;
    }
    if let Some((table, at)) = all.table("log") {
        let mut log = Section::new(all.reader, table, at, "[log]", &["format", "level"]);
        let names = |names: &[&str]| format!("one of {}", names.join(", "));
        let format = log.read("format", |text| {
            LogFormat::from_name(text).ok_or_else(|| names(LogFormat::names()))
        });
        let level = log.read("level", |text| {
            LogLevel::from_name(text).ok_or_else(|| names(LogLevel::names()))
        });
        config.log.format = format.unwrap_or(config.log.format);
        config.log.level = level.unwrap_or(config.log.level);
    }
    if let Some((table, at)) = all.table("limits") {
        let mut limits = Section::new(all.reader, table, at, "[limits]", LimitsConfig::NAMES);
        config.limits.read(&mut limits);
    }
    let listeners = all.tables("listener");
    if !listeners.is_empty() {
        config.listeners.clear();
    }
    for (table, at) in listeners {
        config.listeners.extend(listener(all.reader, table, at));
    }
    if let Some((table, at)) = all.table("keys") {
        keys(all.reader, table, at, config);
    }
    if let Some((table, _)) = all.table("roles") {
        for (name, value) in table {
            let Some((table, at)) = named(all.reader, "roles", name, value) else {
                continue;
            };
            let within = format!("[roles.{}]", name.get_ref());
            let mut role = Section::new(all.reader, table, at, &within, &ACCESS);
            let access = access(&mut role);
            config.roles.insert(name.get_ref().to_string(), access);
        }
    }
    if let Some((table, _)) = all.table("principals") {
        for (name, value) in table {
            let Some((table, at)) = named(all.reader, "principals", name, value) else {
                continue;
            };
            let within = format!("[principals.{}]", name.get_ref());
            let known: Vec<_> = ["roles"].into_iter().chain(ACCESS).collect();
            let mut section = Section::new(all.reader, table, at, &within, &known);
            let principal = PrincipalConfig {
                roles: section.roles("roles"),
                access: access(&mut section),
            };
            config
                .principals
                .insert(name.get_ref().to_string(), principal);
        }
    }
    check_roles(reader, config);
}

/// Every role that is given to somebody has to be one: a misspelt name would give nothing.
fn check_roles(reader: &mut Reader<'_>, config: &Config) {
    for (role, at) in std::mem::take(&mut reader.roles) {
        if config.roles.contains_key(&role) || super::ROLES.contains(&&*role) {
            continue;
        }
        let known = config.roles.keys().cloned();
        let known = super::ROLES
            .iter()
            .map(|role| (*role).to_owned())
            .chain(known);
        let unknown = Kind::Unknown {
            place: reader.place(at),
            what: "role".to_owned(),
            name: shown(&role),
            known: known.collect(),
        };
        reader.push(unknown);
    }
}

/// The table of a role or a principal.
fn named<'d>(
    reader: &mut Reader<'_>,
    within: &str,
    name: &Spanned<std::borrow::Cow<'_, str>>,
    value: &'d Spanned<DeValue<'d>>,
) -> Option<(&'d DeTable<'d>, usize)> {
    let text = name.get_ref();
    if !value::is_name(text) {
        let message = format!("`{}` is no name: it is {}", shown(text), value::NAME);
        reader.other(name.span().start, message);
        return None;
    }
    let Some(table) = value.get_ref().as_table() else {
        let message = format!("`{text}` has to be a table, [{within}.{text}]");
        reader.other(name.span().start, message);
        return None;
    };
    Some((table, value.span().start))
}

fn listener(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<ListenerConfig> {
    const WITHIN: &str = "[[listener]]";
    let known = ["url", "principal", "mip_resume", "insecure"];
    let known: Vec<_> = known.into_iter().chain(MiddleManConfig::NAMES).collect();
    let mut section = Section::new(reader, table, at, WITHIN, &known);
    let url = section.read("url", value::listener);
    let principal = section.name("principal");
    let mip_resume = section.flag("mip_resume");
    let insecure = section.flag("insecure");
    let (trusted_key, public_key) = (section.path("trusted_key"), section.path("public_key"));
    let (trusted, public) = (section.name("trusted"), section.name("public"));
    let origins = section.string("origin");
    let mut listener = section.needed(WITHIN, "url", url)?;
    listener.principal = principal.or(listener.principal);
    listener.mip_resume = mip_resume.or(listener.mip_resume);
    listener.insecure = insecure.unwrap_or(listener.insecure);
    let middleman = &mut listener.middleman;
    middleman.trusted_key = trusted_key.or(middleman.trusted_key.take());
    middleman.public_key = public_key.or(middleman.public_key.take());
    middleman.trusted = trusted.or(middleman.trusted.take());
    middleman.public = public.or(middleman.public.take());
    if let Some(origins) = origins {
        middleman.origins = origins
            .split(',')
            .map(|one| one.trim().to_owned())
            .collect();
    }
    Some(listener)
}

fn keys(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize, config: &mut Config) {
    let known = ["file", "certificate", "unix_user", "jwt"];
    let mut section = Section::new(reader, table, at, "[keys]", &known);
    let keys = &mut config.keys;
    keys.file = section.path("file").or(keys.file.take());
    for (table, at) in section.tables("certificate") {
        keys.certificates
            .extend(certificate(section.reader, table, at));
    }
    for (table, at) in section.tables("unix_user") {
        keys.unix_users.extend(unix_user(section.reader, table, at));
    }
    if let Some((table, at)) = section.table("jwt") {
        keys.jwt = jwt(section.reader, table, at);
    }
}

fn jwt(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<JwtConfig> {
    const WITHIN: &str = "[keys.jwt]";
    let known = ["audience", "roles_claim", "issuer"];
    let mut section = Section::new(reader, table, at, WITHIN, &known);
    let audience = section.string("audience");
    let audience = section.needed(WITHIN, "audience", audience);
    let roles_claim = section.string("roles_claim");
    let mut issuers = Vec::new();
    for (table, at) in section.tables("issuer") {
        const WITHIN: &str = "[[keys.jwt.issuer]]";
        let mut section = Section::new(section.reader, table, at, WITHIN, &["name", "jwks"]);
        let (issuer, jwks) = (section.string("name"), section.path("jwks"));
        let issuer = section.needed(WITHIN, "name", issuer);
        let jwks = section.needed(WITHIN, "jwks", jwks);
        if let (Some(issuer), Some(jwks)) = (issuer, jwks) {
            issuers.push(JwtIssuer { issuer, jwks });
        }
    }
    if section.value("issuer").is_none() {
        let message = format!("{WITHIN} needs [[keys.jwt.issuer]]");
        section.reader.other(at, message);
    }
    Some(JwtConfig {
        audience: audience?,
        roles_claim,
        issuers,
    })
}

fn certificate(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<CertificateRule> {
    const WITHIN: &str = "[[keys.certificate]]";
    let known = ["dns", "uri", "email", "name", "roles"];
    let mut section = Section::new(reader, table, at, WITHIN, &known);
    let subjects = [
        section.string("dns").map(CertificateSubject::Dns),
        section.string("uri").map(CertificateSubject::Uri),
        section.string("email").map(CertificateSubject::Email),
    ];
    let (name, roles) = (section.name("name"), section.roles("roles"));
    let name = section.needed(WITHIN, "name", name);
    let mut subjects = subjects.into_iter().flatten();
    let (Some(subject), None) = (subjects.next(), subjects.next()) else {
        let message = format!("{WITHIN} needs one of `dns`, `uri` and `email`");
        section.reader.other(at, message);
        return None;
    };
    let name = name?;
    Some(CertificateRule {
        subject,
        name,
        roles,
    })
}

fn unix_user(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize) -> Option<UnixUserRule> {
    const WITHIN: &str = "[[keys.unix_user]]";
    let known = ["user", "group", "name", "roles"];
    let mut section = Section::new(reader, table, at, WITHIN, &known);
    let id = |section: &mut Section<'_, '_, '_>, name| {
        let id = section.number(name, 0..=u64::from(u32::MAX));
        id.and_then(|id| u32::try_from(id).ok())
    };
    let (user, group) = (id(&mut section, "user"), id(&mut section, "group"));
    let (name, roles) = (section.name("name"), section.roles("roles"));
    match (user, group) {
        (Some(id), None) => {
            let name = section.needed(WITHIN, "name", name)?;
            Some(UnixUserRule::User { id, name, roles })
        }
        (None, Some(id)) if name.is_none() => Some(UnixUserRule::Group { id, roles }),
        (None, Some(_)) => {
            let message = format!("{WITHIN} of a `group` has no `name`: each member has its own");
            section.reader.other(at, message);
            None
        }
        _ => {
            let message = format!("{WITHIN} needs either `user` or `group`");
            section.reader.other(at, message);
            None
        }
    }
}

fn access(section: &mut Section<'_, '_, '_>) -> AccessConfig {
    AccessConfig {
        publish: filters(section, "publish"),
        subscribe: filters(section, "subscribe"),
        serve: filters(section, "serve"),
        request: filters(section, "request"),
        messages_per_second: section.number("messages_per_second", 1..=u64::MAX),
        bytes_per_second: section.size("bytes_per_second", super::KIB..=u64::MAX),
    }
}

/// The filters of a right: a list of those that are allowed, or a table with `allow` and `deny`.
fn filters(section: &mut Section<'_, '_, '_>, right: &str) -> FilterConfig {
    const EXPECTED: &str =
        "a list of filters, such as [\"fleet/#\"], or a table { allow = […], deny = […] }";
    let Some(value) = section.value(right) else {
        return FilterConfig::default();
    };
    if let Some(table) = value.get_ref().as_table() {
        let at = value.span().start;
        let within = format!("`{right}`");
        let known = ["allow", "deny"];
        let mut section = Section::new(section.reader, table, at, &within, &known);
        let allow = section.texts("allow", EXPECTED);
        let deny = section.texts("deny", EXPECTED);
        return FilterConfig {
            allow: checked(section.reader, allow),
            deny: checked(section.reader, deny),
        };
    }
    let allow = section.texts_of(right, value, EXPECTED);
    FilterConfig {
        allow: checked(section.reader, allow),
        deny: Vec::new(),
    }
}

/// Those that are filters.
fn checked(reader: &mut Reader<'_>, filters: Vec<(String, usize)>) -> Vec<String> {
    let mut valid = Vec::new();
    for (filter, at) in filters {
        match TopicFilter::new(&filter) {
            Ok(_) => valid.push(filter),
            Err(error) => {
                let place = reader.place(at);
                let message = format!("`{}` is no filter: {error}", shown(&filter));
                reader.push(Kind::Other { place, message });
            }
        }
    }
    valid
}
