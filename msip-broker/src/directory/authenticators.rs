//! How peers say who they are.

#[cfg(feature = "jwt")]
use std::path::PathBuf;

use msip_runtime::{
    Authenticator, ConnectRequest, Identity, ServerBuilder, Status,
    auth::{ApiKeys, ApiKeysError, ClientCertificates},
};
use thiserror::Error;

use super::Directory;
use crate::config::{CertificateSubject, KeysConfig};

/// What peers show is known by this.
#[derive(Debug)]
pub(crate) struct Authentication {
    keys: Option<ApiKeys>,
    certificates: Option<ClientCertificates>,
    #[cfg(unix)]
    unix_users: Option<msip_runtime::auth::UnixUsers>,
    #[cfg(feature = "jwt")]
    jwt: Option<msip_runtime::auth::Jwt>,
}

/// Why it is not known how peers say who they are.
#[derive(Debug, Error)]
pub(crate) enum AuthenticationError {
    #[error("cannot use the file of keys")]
    Keys(#[from] ApiKeysError),
    #[cfg(feature = "jwt")]
    #[error("cannot use the keys of {issuer}, {}", path.display())]
    Jwt {
        issuer: String,
        path: PathBuf,
        source: msip_runtime::auth::JwtKeyError,
    },
    #[cfg_attr(
        all(unix, feature = "jwt"),
        expect(dead_code, reason = "everything is built in")
    )]
    #[error("{what} needs the feature `{feature}`, which this program was built without")]
    NotBuilt {
        what: &'static str,
        feature: &'static str,
    },
}

impl Authentication {
    /// Reads the files that a configuration names.
    pub(crate) fn new(config: &KeysConfig) -> Result<Self, AuthenticationError> {
        #[cfg(not(feature = "jwt"))]
        if config.jwt.is_some() {
            let (what, feature) = ("[keys.jwt]", "jwt");
            return Err(AuthenticationError::NotBuilt { what, feature });
        }
        #[cfg(not(unix))]
        if !config.unix_users.is_empty() {
            let (what, feature) = ("[[keys.unix_user]]", "unix");
            return Err(AuthenticationError::NotBuilt { what, feature });
        }
        Ok(Self {
            keys: config.file.as_ref().map(ApiKeys::from_file).transpose()?,
            certificates: certificates(config),
            #[cfg(unix)]
            unix_users: unix_users(config),
            #[cfg(feature = "jwt")]
            jwt: jwt(config)?,
        })
    }

    /// The file of keys, where there is one.
    pub(crate) fn keys(&self) -> Option<&ApiKeys> {
        self.keys.as_ref()
    }

    /// Has a server ask all of them.
    pub(crate) fn install<P>(
        self,
        directory: &Directory,
        mut server: ServerBuilder<P>,
    ) -> ServerBuilder<P> {
        #[cfg(unix)]
        if let Some(users) = self.unix_users {
            server = server.authenticate(users);
        }
        if let Some(certificates) = self.certificates {
            server = server.authenticate(certificates);
        }
        if let Some(keys) = self.keys {
            server = server.authenticate(keys);
        }
        #[cfg(feature = "jwt")]
        if let Some(jwt) = self.jwt {
            server = server.authenticate(jwt);
        }
        server.authenticate(Anonymous(directory.clone()))
    }
}

/// Whoever shows a certificate that is not listed may still have a key.
fn certificates(config: &KeysConfig) -> Option<ClientCertificates> {
    if config.certificates.is_empty() {
        return None;
    }
    let mut certificates = ClientCertificates::new().pass_unlisted();
    for rule in &config.certificates {
        let (name, roles) = (&*rule.name, &rule.roles);
        certificates = match &rule.subject {
            CertificateSubject::Dns(dns) => certificates.dns(dns, name, roles),
            CertificateSubject::Uri(uri) => certificates.uri(uri, name, roles),
            CertificateSubject::Email(email) => certificates.email(email, name, roles),
        };
    }
    Some(certificates)
}

/// The same of users that are not listed.
#[cfg(unix)]
fn unix_users(config: &KeysConfig) -> Option<msip_runtime::auth::UnixUsers> {
    use crate::config::UnixUserRule;

    if config.unix_users.is_empty() {
        return None;
    }
    let mut users = msip_runtime::auth::UnixUsers::new().pass_unlisted();
    for rule in &config.unix_users {
        users = match rule {
            UnixUserRule::User { id, name, roles } => users.user(*id, name, roles),
            UnixUserRule::Group { id, roles } => users.group(*id, roles),
        };
    }
    Some(users)
}

#[cfg(feature = "jwt")]
fn jwt(config: &KeysConfig) -> Result<Option<msip_runtime::auth::Jwt>, AuthenticationError> {
    use msip_runtime::auth::{Jwt, JwtKeys};

    let Some(config) = &config.jwt else {
        return Ok(None);
    };
    let mut jwt = Jwt::new(&config.audience);
    if let Some(claim) = &config.roles_claim {
        jwt = jwt.roles_claim(claim);
    }
    for issuer in &config.issuers {
        let keys = JwtKeys::from_jwks_file(&issuer.jwks);
        let keys = keys.map_err(|source| AuthenticationError::Jwt {
            issuer: issuer.issuer.clone(),
            path: issuer.jwks.clone(),
            source,
        })?;
        jwt = jwt.issuer(&issuer.issuer, keys);
    }
    Ok(Some(jwt))
}

/// The last of them: clients that send no credential.
struct Anonymous(Directory);

impl Authenticator for Anonymous {
    async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
        if !client.credential().is_empty() {
            return Ok(None);
        }
        Ok(self.0.anonymous(client.local_address()))
    }
}
