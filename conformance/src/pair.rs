//! The two sides of a case, and the ways between them.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use msip_runtime::transport::ServiceUrl;
use msip_tests::{Authority, proxy::Proxy, raw::RawPeer};

use crate::{
    end::End,
    failure::fail,
    process::Process,
    protocol::conformance::control::{
        Account, Connect, Serve, Status, command::Command as Told, report::Report as Event,
    },
};

/// The file of the authority's certificate.
pub(crate) const AUTHORITY: &str = "ca.pem";

/// Two drivers: a client's, and a server's.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) client: Process,
    pub(crate) server: Process,
    pub(crate) ways: Ways,
}

/// How a case travels.
#[derive(Clone)]
pub(crate) struct Ways {
    /// The scheme of the transport: `tcp`, or `ws` where the client is a browser.
    pub(crate) scheme: &'static str,
    /// The origin of the browser's page.
    pub(crate) origin: Option<String>,
    /// A folder for files of this run.
    pub(crate) folder: Arc<PathBuf>,
    /// Who has issued the certificates that clients trust: in the folder as [`AUTHORITY`].
    pub(crate) authority: Arc<Authority>,
}

/// A server that listens.
#[derive(Clone)]
pub(crate) struct Listening {
    pub(crate) end: End,
    /// Its URL, without settings.
    pub(crate) url: String,
}

/// A client and the peer that it is on the server.
pub(crate) struct Talk {
    pub(crate) client: End,
    pub(crate) peer: End,
    pub(crate) server: Listening,
}

impl Ways {
    /// Profiles without which there is no way.
    pub(crate) fn needs(&self) -> &'static [&'static str] {
        match self.scheme {
            "ws" => &["client:websocket", "server:websocket-server"],
            _ => &[],
        }
    }

    /// Where a server listens, with these settings.
    pub(crate) fn listen_url(&self, settings: &str) -> String {
        let url = format!("{}://127.0.0.1:0", self.scheme);
        with_settings(&url, &[settings, &self.origin_setting()].join("&"))
    }

    /// What lets the browser's page connect to a WebSocket, where the client is one.
    pub(crate) fn origin_setting(&self) -> String {
        let origin = self.origin.as_ref();
        origin.map_or_else(String::new, |origin| format!("origin={origin}"))
    }

    /// What lets a client trust the authority. A browser is told when it is started.
    pub(crate) fn trust_setting(&self) -> String {
        match self.origin {
            Some(_) => String::new(),
            None => format!("ca={}", self.folder.join(AUTHORITY).display()),
        }
    }
}

/// A URL with settings, if there are some.
pub(crate) fn with_settings(url: &str, settings: &str) -> String {
    let settings = settings.trim_matches('&');
    if settings.is_empty() {
        url.to_owned()
    } else {
        format!("{url}?{settings}")
    }
}

impl Pair {
    /// A server without settings, and a client of it.
    pub(crate) async fn talk(&self) -> Talk {
        self.talk_with("", "").await
    }

    /// A server and a client of it with these settings.
    pub(crate) async fn talk_with(&self, of_server: &str, of_client: &str) -> Talk {
        let server = serve(&self.server, &self.ways, of_server).await;
        let client = connect(&self.client, &server.url, of_client).await;
        let peer = server.peer().await;
        Talk {
            client,
            peer,
            server,
        }
    }

    /// The same, with a proxy between the two.
    pub(crate) async fn talk_through(&self, of_server: &str, of_client: &str) -> (Talk, Proxy) {
        let server = serve(&self.server, &self.ways, of_server).await;
        let proxy = Proxy::start(server.address()).await;
        let url = format!("{}://{}", self.ways.scheme, proxy.address());
        let client = connect(&self.client, &url, of_client).await;
        let peer = server.peer().await;
        let talk = Talk {
            client,
            peer,
            server,
        };
        (talk, proxy)
    }
}

impl Talk {
    /// Both directions: who begins, and who handles.
    pub(crate) fn both_ways(&self) -> [(End, End); 2] {
        [
            (self.client.clone(), self.peer.clone()),
            (self.peer.clone(), self.client.clone()),
        ]
    }
}

impl Listening {
    /// The address, of the transports that have one.
    pub(crate) fn address(&self) -> SocketAddr {
        let place = self.url.split("://").nth(1).unwrap_or_default();
        let place = place.split('/').next().unwrap_or_default();
        match place.parse() {
            Ok(address) => address,
            Err(error) => fail(format_args!("{}: {error}", self.url)),
        }
    }

    /// The URL, for the raw peer.
    pub(crate) fn service_url(&self) -> ServiceUrl {
        match self.url.parse() {
            Ok(url) => url,
            Err(error) => fail(format_args!("{}: {error}", self.url)),
        }
    }

    /// A raw client of this server, before its HELLO.
    pub(crate) async fn dial(&self) -> RawPeer {
        RawPeer::dial(&self.service_url()).await
    }

    /// The next peer that connects.
    pub(crate) async fn peer(&self) -> End {
        self.connected_peer().await.0
    }

    /// The next peer that connects, and whether its session was resumed, and who it is.
    pub(crate) async fn connected_peer(&self) -> (End, bool, String) {
        let process = &self.end.process;
        let connected = process.event("a peer", |event| match event {
            Event::Connected(told) if told.endpoint == self.end.number => Some(told.clone()),
            _ => None,
        });
        let told = connected.await;
        let peer = End {
            process: process.clone(),
            number: told.peer,
        };
        (peer, told.resumed, told.user)
    }
}

/// A server of this driver.
pub(crate) async fn serve(process: &Process, ways: &Ways, settings: &str) -> Listening {
    let told = Serve {
        url: ways.listen_url(settings),
        ..Serve::default()
    };
    serve_with(process, told).await
}

/// A server of this driver, as told.
pub(crate) async fn serve_with(process: &Process, told: Serve) -> Listening {
    let number = process.number();
    let asked = format!("{} with {:?}", told.url, told.accounts);
    let told = Serve {
        endpoint: number,
        ..told
    };
    match process.ask(Told::Serve(told)).await {
        Ok(Event::Serving(serving)) => Listening {
            end: End {
                process: process.clone(),
                number,
            },
            url: serving.url.split('?').next().unwrap_or_default().to_owned(),
        },
        other => fail(format_args!(
            "{} does not serve {asked}: {other:?}",
            process.language()
        )),
    }
}

/// A client of this driver.
pub(crate) async fn connect(process: &Process, url: &str, settings: &str) -> End {
    let told = Connect {
        url: with_settings(url, settings),
        ..Connect::default()
    };
    match try_connect(process, told).await {
        Ok(end) => end,
        Err(status) => fail(format_args!(
            "{} does not connect: {status:?}",
            process.language()
        )),
    }
}

/// A client of this driver, as told, or why there is none.
pub(crate) async fn try_connect(process: &Process, told: Connect) -> Result<End, Status> {
    let number = process.number();
    let told = Connect {
        endpoint: number,
        ..told
    };
    let end = End {
        process: process.clone(),
        number,
    };
    process.ask(Told::Connect(told)).await?;
    end.connected().await;
    Ok(end)
}

/// Who a server's clients may be.
pub(crate) fn account(credential: &str, user: &str, roles: &[&str]) -> Account {
    Account {
        credential: credential.to_owned(),
        user: user.to_owned(),
        roles: roles.iter().copied().map(str::to_owned).collect(),
    }
}
