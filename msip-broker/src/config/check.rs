//! What a configuration says as a whole: parts that do not fit each other.

use msip_runtime::transport::{ServiceUrl, is_confidential};
use msip_schema::closest_name;

use super::{
    AdminConfig, Config, ListenerConfig, MiddleManConfig,
    error::{ConfigError, ConfigErrors, Kind, Place, shown},
    sections::{DAY, HOUR},
    value,
};
use crate::topic::TopicFilter;

/// Settings of a server that concern more than the server in a broker, and what the file calls each.
const OF_BROKER: [(&str, &str); 7] = [
    ("max_body", "`max_body`"),
    ("session_expiry", "`session_expiry`"),
    ("drain_timeout", "`drain_timeout`"),
    ("drain_spread", "`drain_spread`"),
    ("max_connections", "`connections` in [limits]"),
    ("max_detached_sessions", "`detached_sessions` in [limits]"),
    ("max_memory", "`memory` in [limits]"),
];

/// Dialects of which only a server with a protocol has clients.
const OF_SERVERS: [&str; 2] = ["messi", "flyrpc"];

impl Config {
    /// Looks whether all that is said fits together. It opens no file, and listens nowhere.
    ///
    /// # Errors
    ///
    /// Everything that does not.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let mut errors: Vec<ConfigError> = Vec::new();
        for listener in &self.listeners {
            if let Err(message) = self.check_listener(listener) {
                let place = Place::Named(format!("listener {}", shown(&listener.url)));
                errors.push(Kind::Other { place, message }.into());
            }
        }
        if let Some(admin) = self.admin {
            for message in self.check_admin(admin) {
                let place = Place::Named(format!("admin {}", admin.address));
                errors.push(Kind::Other { place, message }.into());
            }
        }
        self.check_ranges(&mut errors);
        self.check_rights(&mut errors);
        if self.listeners.is_empty() {
            let place = Place::Named("listeners".to_owned());
            let message = "there has to be one at least".to_owned();
            errors.push(Kind::Other { place, message }.into());
        }
        ConfigErrors::or(errors, ())
    }

    /// The file's values were looked at when it was read, and those that a program has set were not.
    fn check_ranges(&self, errors: &mut Vec<ConfigError>) {
        let found = self.max_body.to_string();
        let read = value::size(&found, super::MAX_BODY);
        errors.extend(ConfigError::of_value("config", "max_body", found, read));
        for (name, time, range) in [
            ("session_expiry", self.session_expiry, DAY),
            ("drain_timeout", self.drain_timeout, HOUR),
            ("drain_spread", self.drain_spread, HOUR),
        ] {
            let found = format!("{}ms", time.as_millis());
            let read = value::time(&found, range);
            errors.extend(ConfigError::of_value("config", name, found, read));
        }
        self.limits.check(errors);
    }

    /// Every filter is one, and every role that is given to a principal is there: what is denied by mistake alone would be allowed.
    fn check_rights(&self, errors: &mut Vec<ConfigError>) {
        let mut tell = |place: &str, message| {
            let place = Place::Named(place.to_owned());
            errors.push(Kind::Other { place, message }.into());
        };
        let roles = self.roles.iter();
        let roles = roles.map(|(name, access)| (format!("[roles.{}]", shown(name)), access));
        let principals = self.principals.iter();
        let principals = principals
            .map(|(name, principal)| (format!("[principals.{}]", shown(name)), &principal.access));
        for (place, access) in roles.chain(principals) {
            let rights = [
                &access.publish,
                &access.subscribe,
                &access.serve,
                &access.request,
            ];
            let filters = rights
                .into_iter()
                .flat_map(|right| right.allow.iter().chain(&right.deny));
            for filter in filters {
                if let Err(error) = TopicFilter::new(filter) {
                    let message = format!("`{}` is no filter: {error}", shown(filter));
                    tell(&place, message);
                }
            }
        }
        for (name, principal) in &self.principals {
            for role in &principal.roles {
                if !self.roles.contains_key(role) && !super::ROLES.contains(&&**role) {
                    let place = format!("[principals.{}]", shown(name));
                    tell(&place, format!("unknown role `{}`", shown(role)));
                }
            }
        }
    }

    fn check_listener(&self, listener: &ListenerConfig) -> Result<(), String> {
        let url = ServiceUrl::parse(&listener.url).map_err(|error| error.to_string())?;
        let address = url.only_address().map_err(|error| error.to_string())?;
        let scheme = listener.url.split(['+', ':']).next().unwrap_or_default();
        if OF_SERVERS.contains(&scheme) {
            return Err(format!(
                "clients of {scheme}:// do not say which protocol they speak, and a broker has none of its own: a server of that \
                 protocol listens there"
            ));
        }
        let ours = OF_BROKER
            .iter()
            .find(|(name, _)| url.settings().iter().any(|(said, _)| said == name));
        if let Some((name, of_file)) = ours {
            return Err(format!(
                "`{name}` is a setting of the whole broker, which is not in a URL: the file has it as {of_file}"
            ));
        }
        if !listener.insecure && !is_confidential(address) {
            return Err(
                "others could read what is sent: listen at 127.0.0.1, by tls:// or wss://, or say insecure=true where \
                 the network between is trusted"
                    .to_owned(),
            );
        }
        self.check_middleman(listener)?;
        let MiddleManConfig {
            trusted, public, ..
        } = &listener.middleman;
        let names = [&listener.principal, trusted, public];
        let Some(name) = names
            .into_iter()
            .flatten()
            .find(|name| !self.principals.contains_key(*name))
        else {
            return Ok(());
        };
        let known = self.principals.keys().map(String::as_str);
        let meant = closest_name(name, known).map(|close| format!(": did you mean `{close}`?"));
        Err(format!(
            "its principal `{}` is none of [principals]{}",
            shown(name),
            meant.unwrap_or_default()
        ))
    }

    /// What is said of clients of MiddleMan.
    fn check_middleman(&self, listener: &ListenerConfig) -> Result<(), String> {
        let middleman = &listener.middleman;
        if !listener.is_middleman() {
            return match *middleman == MiddleManConfig::default() {
                true => Ok(()),
                false => Err(format!(
                    "{} are of listeners at mm:// and mm+tls://",
                    MiddleManConfig::NAMES.join(", ")
                )),
            };
        }
        if listener.principal.is_some() || listener.mip_resume.is_some() {
            return Err(
                "principal and mip_resume are for MIP peers, which do not connect here: say trusted=NAME and public=NAME"
                    .to_owned(),
            );
        }
        let has_key = middleman.trusted_key.is_some() || middleman.public_key.is_some();
        if !has_key && self.keys.file.is_none() {
            return Err(
                "its clients need keys: name the files trusted_key and public_key, or the file of API keys in [keys]"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Everything that is wrong with the admin listener.
    fn check_admin(&self, admin: AdminConfig) -> Vec<String> {
        let AdminConfig { address, insecure } = admin;
        let mut wrong = Vec::new();
        if address.ip().to_canonical().is_loopback() {
            return wrong;
        }
        if !insecure {
            wrong.push(format!(
                "others could read what is sent, keys included: listen at 127.0.0.1, or say {address}?insecure=true \
                 where the network between is trusted"
            ));
        }
        if self.keys.file.is_none() {
            wrong.push(
                "beyond loopback it needs API keys, since who asks has to have the role `admin`: name their file in \
                 [keys]"
                    .to_owned(),
            );
        }
        wrong
    }
}
