//! Clients with certificates, by the names in them.

use crate::{
    Authenticator, ConnectRequest, Identity, Status,
    transport::{CertificateName, PeerCredential},
};

/// Says who a client is by the names of the certificate with which it has connected, where the transport has checked that the
/// certificate is its own and was issued by someone whom the server trusts (`client_ca` and `client_auth` of docs/transports.md).
///
/// A rule is one exact name: a DNS name, a URI such as a SPIFFE id, or a mail address, and nothing else of the certificate. There
/// are no patterns, and a wildcard in a certificate stands for nothing but itself. Upper and lower case are the same in DNS names
/// only. Of several rules that fit, the one that was given first holds.
///
/// A client with a certificate of which no rule fits is refused, also where another authenticator follows, unless
/// [`pass_unlisted`](Self::pass_unlisted) leaves it to that one. Clients without a certificate are left to the next one in any
/// case.
///
/// The identity's method is `certificate`, and its subject the name by which the rule fits, such as
/// `uri:spiffe://example.org/relay`. DNS names and URIs are services, mail addresses users.
///
/// # Examples
///
/// ```
/// use msip_runtime::auth::ClientCertificates;
///
/// let certificates = ClientCertificates::new()
///     .uri("spiffe://example.org/relay", "relay", ["relay"])
///     .dns("billing.internal", "billing", ["reader"])
///     .email("ada@example.org", "ada", ["operator", "reader"]);
/// // Server::<Chat>::builder("tls://0.0.0.0:7400?…&client_ca=ca.pem&client_auth=require").authenticate(certificates)
/// # let _ = certificates;
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClientCertificates {
    rules: Vec<(CertificateName, Identity)>,
    passes_unlisted: bool,
}

impl ClientCertificates {
    /// Knows nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a certificate in that was issued for this DNS name, as the service `name` with these roles.
    #[must_use]
    pub fn dns<R: Into<String>>(
        self,
        dns: impl Into<String>,
        name: impl Into<String>,
        roles: impl IntoIterator<Item = R>,
    ) -> Self {
        let identity = Identity::new("certificate").with_service(name);
        self.rule(CertificateName::Dns(dns.into()), identity.with_roles(roles))
    }

    /// Lets a certificate in that was issued for this URI, as the service `name` with these roles.
    #[must_use]
    pub fn uri<R: Into<String>>(
        self,
        uri: impl Into<String>,
        name: impl Into<String>,
        roles: impl IntoIterator<Item = R>,
    ) -> Self {
        let identity = Identity::new("certificate").with_service(name);
        self.rule(CertificateName::Uri(uri.into()), identity.with_roles(roles))
    }

    /// Lets a certificate in that was issued for this mail address, as the user `name` with these roles.
    #[must_use]
    pub fn email<R: Into<String>>(
        self,
        address: impl Into<String>,
        name: impl Into<String>,
        roles: impl IntoIterator<Item = R>,
    ) -> Self {
        let identity = Identity::new("certificate").with_user(name);
        self.rule(
            CertificateName::Email(address.into()),
            identity.with_roles(roles),
        )
    }

    /// Leaves certificates of which no rule fits to the next authenticator, which may know the client by an API key.
    #[must_use]
    pub fn pass_unlisted(mut self) -> Self {
        self.passes_unlisted = true;
        self
    }

    fn rule(mut self, name: CertificateName, identity: Identity) -> Self {
        let identity = identity.with_subject(name.to_string());
        self.rules.push((name, identity));
        self
    }

    fn find(&self, names: &[CertificateName]) -> Option<Identity> {
        let fits = |rule: &CertificateName| names.iter().any(|name| is_same(rule, name));
        let (_, identity) = self.rules.iter().find(|(rule, _)| fits(rule))?;
        Some(identity.clone())
    }
}

fn is_same(rule: &CertificateName, name: &CertificateName) -> bool {
    match (rule, name) {
        (CertificateName::Dns(rule), CertificateName::Dns(name)) => rule.eq_ignore_ascii_case(name),
        _ => rule == name,
    }
}

impl Authenticator for ClientCertificates {
    async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
        let PeerCredential::CertificateNames(names) = client.transport_credential() else {
            return Ok(None);
        };
        match self.find(names) {
            None if !self.passes_unlisted => {
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                let text = format!("no rule fits the certificate of {}", names.join(", "));
                Err(Status::unauthenticated(text))
            }
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(name: &str) -> CertificateName {
        CertificateName::Dns(name.to_owned())
    }

    fn uri(uri: &str) -> CertificateName {
        CertificateName::Uri(uri.to_owned())
    }

    fn email(address: &str) -> CertificateName {
        CertificateName::Email(address.to_owned())
    }

    #[test]
    fn a_name_is_known_exactly_and_by_its_kind() {
        let rules = ClientCertificates::new()
            .uri("spiffe://a/relay", "relay", ["relay"])
            .dns("billing.internal", "billing", ["reader"])
            .email("ada@a", "ada", ["operator"]);
        let found = |names: &[CertificateName]| {
            let identity = rules.find(names)?;
            Some(format!(
                "{}{} as {}",
                identity.user,
                identity.service,
                identity.subject()
            ))
        };
        let relay = Some("relay as uri:spiffe://a/relay".to_owned());
        assert_eq!(found(&[uri("spiffe://a/relay")]), relay);
        assert_eq!(
            found(&[dns("x"), email("ada@a"), uri("spiffe://a/relay")]),
            relay
        );
        assert_eq!(
            found(&[dns("BILLING.internal")]).as_deref(),
            Some("billing as dns:billing.internal")
        );
        assert_eq!(
            found(&[email("ada@a")]).as_deref(),
            Some("ada as email:ada@a")
        );
        for wrong in [
            uri("spiffe://a/relay/"),
            uri("spiffe://A/relay"),
            uri("spiffe://a/relay2"),
            uri("billing.internal"),
            dns("spiffe://a/relay"),
            dns("ada@a"),
            dns("x.billing.internal"),
            dns("billing.internal."),
            dns("*.internal"),
            dns("*"),
            dns(""),
            email("Ada@a"),
        ] {
            assert_eq!(found(std::slice::from_ref(&wrong)), None, "{wrong}");
        }
        assert_eq!(found(&[]), None);
    }
}
