//! The settings of a gateway.

use std::{collections::BTreeSet, io, sync::Arc};

use axum::Router;
use msip_runtime::transport::UrlError;
use thiserror::Error;

use super::{Gateway, followed::FollowedRegistry};
use crate::{
    ProtocolModel,
    api::{GatewayLimits, GatewayShared, Hosts},
    jesus::JesusOptions,
    json_schema, openapi, page,
    registry::Registry,
    server::{HttpServer, ListenUrl, ListenUrlError},
    upstream::{Upstream, UpstreamLimits},
};

/// The settings of a gateway; see [`Gateway::builder`].
#[derive(Debug)]
#[must_use = "nothing happens until `bind`"]
pub struct GatewayBuilder {
    url: String,
    upstreams: Vec<(String, Vec<ProtocolModel>)>,
    hosts: Hosts,
    limits: GatewayLimits,
    upstream_limits: UpstreamLimits,
    more: Router<Arc<GatewayShared>>,
    is_described: bool,
    registries: Vec<(String, Arc<Registry>)>,
}

/// A gateway cannot listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// It cannot listen at its URL.
    #[error(transparent)]
    Url(#[from] ListenUrlError),
    /// The URL of a server is malformed.
    #[error("upstream {url}")]
    Upstream {
        /// The URL.
        url: String,
        /// What is wrong.
        source: UrlError,
    },
    /// Two protocols have one package, by which paths tell them apart.
    #[error("two protocols have the package {package}")]
    SamePackage {
        /// The package.
        package: String,
    },
    /// No protocol is offered.
    #[error("a gateway offers at least one protocol")]
    NoProtocol,
    /// The system does not let it listen, or its certificates cannot be used.
    #[error("cannot listen on {url}")]
    Listen {
        /// The URL.
        url: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl GatewayBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            upstreams: Vec::new(),
            hosts: Hosts::default(),
            limits: GatewayLimits::default(),
            upstream_limits: UpstreamLimits::default(),
            more: Router::new(),
            is_described: true,
            registries: Vec::new(),
        }
    }

    /// Offers protocols that the server at this URL speaks: `tcp://host:port`, any other scheme of MSIP, `mem://name` for a
    /// server of this process, or `tcp://host:port/topic` for services behind a broker.
    pub fn upstream(
        mut self,
        url: impl Into<String>,
        protocols: impl IntoIterator<Item = ProtocolModel>,
    ) -> Self {
        self.upstreams
            .push((url.into(), protocols.into_iter().collect()));
        self
    }

    /// Offers the protocols of a folder of descriptor sets, which the server at this URL speaks. While the gateway serves, the folder
    /// is looked at every second, and read again where it has changed; at the start, and then, the log says which schemas
    /// the server has in another version.
    pub fn registry(mut self, url: impl Into<String>, registry: Registry) -> Self {
        self.registries.push((url.into(), Arc::new(registry)));
        self
    }

    /// Under which names the gateway is called, and pages of which origins may call it. Default: IP addresses and `localhost`, and
    /// its own pages.
    pub fn hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// Limits of what clients may send, and for how long.
    pub fn limits(mut self, limits: GatewayLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How many sessions there may be with each server.
    pub fn upstream_limits(mut self, limits: UpstreamLimits) -> Self {
        self.upstream_limits = limits;
        self
    }

    /// Serves these paths too, behind the same checks and limits.
    pub fn routes(mut self, routes: Router<Arc<GatewayShared>>) -> Self {
        self.more = self.more.merge(routes);
        self
    }

    /// Whether it says what it offers: OpenAPI 3.1 at `/openapi.json`, JSON Schema at `/schemas/<message>`, and a page that lets a person
    /// try a method at `/`. It does unless told otherwise.
    pub fn described(mut self, yes: bool) -> Self {
        self.is_described = yes;
        self
    }

    /// Also serves clients of jesus, at `/<method>` (docs/dialects.md).
    pub fn jesus(mut self, jesus: JesusOptions) -> Self {
        self.more = self.more.merge(jesus.routes());
        self
    }

    /// Whether all of it can be used: URLs, certificates and protocols. It listens nowhere and connects to nobody.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn check(&self) -> Result<(), BindError> {
        let url: ListenUrl = self.url.parse()?;
        HttpServer::check(&url).map_err(|source| self.cannot_listen(source))?;
        self.open_upstreams().map(drop)
    }

    /// Listens. Servers are connected to when a request needs them.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what it listens at.
    pub async fn bind(self) -> Result<Gateway, BindError> {
        let url: ListenUrl = self.url.parse()?;
        let upstreams = self.open_upstreams()?;
        let server = HttpServer::bind(&url).await;
        let server = server.map_err(|source| self.cannot_listen(source))?;
        let limits = self.upstream_limits;
        let registries = self.registries.into_iter();
        let registries =
            registries.map(|(url, registry)| FollowedRegistry::new(url, registry, limits));
        let mut more = self.more;
        if self.is_described {
            more = more
                .merge(openapi::routes())
                .merge(json_schema::routes())
                .merge(page::routes());
        }
        Ok(Gateway {
            server,
            shared: Arc::new(GatewayShared::new(upstreams, self.hosts, self.limits)),
            more,
            registries: registries.collect(),
        })
    }

    fn cannot_listen(&self, source: io::Error) -> BindError {
        BindError::Listen {
            url: self.url.clone(),
            source,
        }
    }

    fn open_upstreams(&self) -> Result<Vec<Upstream>, BindError> {
        let mut upstreams = Vec::new();
        let mut packages = BTreeSet::new();
        let registries = self.registries.iter();
        let registries =
            registries.map(|(url, registry)| (url.clone(), registry.current().models().to_vec()));
        let all: Vec<_> = self.upstreams.iter().cloned().chain(registries).collect();
        for (url, protocols) in &all {
            for protocol in protocols {
                let package = protocol.schema().package();
                if !packages.insert(package.to_owned()) {
                    return Err(BindError::SamePackage {
                        package: package.to_owned(),
                    });
                }
                let upstream = Upstream::new(url, protocol.clone(), self.upstream_limits);
                upstreams.push(upstream.map_err(|source| BindError::Upstream {
                    url: url.clone(),
                    source,
                })?);
            }
        }
        match upstreams.is_empty() {
            true => Err(BindError::NoProtocol),
            false => Ok(upstreams),
        }
    }
}
