//! A hostile server of a client.

use std::sync::{Arc, atomic::AtomicU64};

use msip_runtime::wire::Side;
use tokio::net::TcpListener;

use super::{
    Attacker, Bounds, Report,
    bounds::Late,
    control::{Control, alone, control},
    program::Program,
    samples::Samples,
    watched::Watched,
};
use crate::soon;

/// An attack of a server on a client: the program `lab-client`, which has a connection to it, on which it calls and reads a
/// stream again and again, and one to a good server, whose answers it waits for as any client would.
#[derive(Debug)]
#[must_use]
pub struct AttackOnClient {
    name: &'static str,
    settings: &'static str,
    bounds: Bounds,
}

impl AttackOnClient {
    /// An attack within the default [`Bounds`]. The name says what is sent.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            settings: "",
            bounds: Bounds::default(),
        }
    }

    /// What the client's URL of the hostile server says, `codec=json&compress=gzip`.
    pub fn settings(mut self, settings: &'static str) -> Self {
        self.settings = settings;
        self
    }

    /// What the attack may cost.
    pub fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Runs the attack. What `server` returns is kept until everything is measured.
    ///
    /// # Panics
    ///
    /// Where a bound is exceeded, a call to the good server fails, or the attack takes longer than a minute.
    pub fn run<T>(
        self,
        server: impl AsyncFn(HostileServer) -> T + Send + Sync + 'static,
    ) -> Report {
        // Those that wait keep it for each other.
        let control = control(None);
        let _alone = alone();
        let server = Arc::new(server);
        Late::unless(|| self.run_once(&control, Arc::clone(&server)))
    }

    fn run_once<T>(
        &self,
        control: &Control,
        server: Arc<impl AsyncFn(HostileServer) -> T + Send + Sync + 'static>,
    ) -> Result<Report, Late> {
        let (listener, url) = self.listen();
        let samples = Arc::<Samples>::default();
        let takes = {
            let samples = Arc::clone(&samples);
            move |line: &str| {
                let Some(call) = line.strip_prefix("call ") else {
                    return false;
                };
                let taken = call.parse().map(std::time::Duration::from_micros);
                samples.record(taken.map_err(|_| call.to_owned()));
                true
            }
        };
        let args = [&*url, &*control.url];
        let (program, _) = Program::start("lab-client", &args, "ready", takes);
        let watched = Watched::before(self.name, program, &samples, control);
        let sent = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&sent);
        watched.during(&self.bounds, counted, async move || {
            let listener = match TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => panic!("{error}"),
            };
            server(HostileServer { listener, sent }).await
        })
    }

    fn listen(&self) -> (std::net::TcpListener, String) {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        match (listening, self.settings) {
            (Ok((listener, address)), "") => (listener, format!("tcp://{address}")),
            (Ok((listener, address)), settings) => {
                (listener, format!("tcp://{address}?{settings}"))
            }
            (Err(error), _) => panic!("{error}"),
        }
    }
}

/// Where the client connects to, again and again.
#[derive(Debug)]
pub struct HostileServer {
    listener: TcpListener,
    sent: Arc<AtomicU64>,
}

impl HostileServer {
    /// The next connection of the client, on which nothing was said.
    ///
    /// # Panics
    ///
    /// Where there is none for a minute.
    pub async fn accept(&self) -> Attacker {
        match soon("the client", self.listener.accept()).await {
            Ok((stream, _)) => Attacker::new(stream, Side::Accepting, &self.sent),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next connection of the client, whose HELLO was answered as a good server does.
    ///
    /// # Panics
    ///
    /// Where there is none for a minute.
    pub async fn welcome(&self) -> Attacker {
        let mut attacker = self.accept().await;
        attacker.welcome().await;
        attacker
    }
}
