//! Hostile clients of a server.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
};

use msip_runtime::wire::{Hello, Side};
use tokio::{net::TcpSocket, task::LocalSet};

use super::{
    Attacker, Bounds, RawMessage, Report, Served,
    bounds::Late,
    broker::Broker,
    bystander::Bystander,
    control::{Control, alone, control},
    program::Program,
    watched::Watched,
};
use crate::soon;

/// An attack of clients on a server.
#[derive(Debug)]
#[must_use]
pub struct AttackOnServer {
    name: &'static str,
    settings: &'static str,
    served: Served,
    workers: Option<usize>,
    credential: Option<&'static str>,
    is_gated: bool,
    attackers: usize,
    bounds: Bounds,
    broker: Option<Broker>,
}

impl AttackOnServer {
    /// An attack of one client on a server of the `lab` protocol that runs on one thread, within the default [`Bounds`]. The
    /// name says what is sent.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            settings: "",
            served: Served::Lab,
            workers: None,
            credential: None,
            is_gated: false,
            attackers: 1,
            bounds: Bounds::default(),
            broker: None,
        }
    }

    /// An attack on a broker instead: the program `msip-broker` at this path, with these arguments beside where it listens. Others
    /// call each other through it.
    pub fn on_broker(mut self, program: &'static str, arguments: &'static [&'static str]) -> Self {
        self.served = Served::Broker;
        self.broker = Some(Broker::new(program, arguments));
        self
    }

    /// What the server's URL says, `max_memory=1MiB&max_body=1KiB`.
    pub fn settings(mut self, settings: &'static str) -> Self {
        self.settings = settings;
        self
    }

    /// What the server serves.
    pub fn served(mut self, served: Served) -> Self {
        self.served = served;
        self
    }

    /// On how many threads the server runs, instead of one without any other.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The credential that the server asks for: without it there is no authentication. Clients with another that begins with
    /// `!` are refused, all others are never answered.
    pub fn credential(mut self, credential: &'static str) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Whether the server's handler of a note never returns.
    pub fn gated(mut self) -> Self {
        self.is_gated = true;
        self
    }

    /// How many attackers there are at once.
    pub fn attackers(mut self, attackers: usize) -> Self {
        self.attackers = attackers;
        self
    }

    /// What the attack may cost.
    pub fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Runs the attack: `attacker` once for each attacker, all on one thread. What it returns is kept until everything is
    /// measured.
    ///
    /// # Panics
    ///
    /// Where a bound is exceeded, a well-behaved call fails, or the attack takes longer than a minute.
    pub fn run<T: 'static>(
        self,
        attacker: impl AsyncFn(Target) -> T + Send + Sync + 'static,
    ) -> Report {
        // Those that wait keep it for each other.
        let control = control(self.broker);
        let _alone = alone();
        let attacker = Arc::new(attacker);
        Late::unless(|| self.run_once(&control, Arc::clone(&attacker)))
    }

    fn run_once<T: 'static>(
        &self,
        control: &Control,
        attacker: Arc<impl AsyncFn(Target) -> T + Send + Sync + 'static>,
    ) -> Result<Report, Late> {
        let (program, url) = self.serve();
        let address = match url.trim_start_matches("tcp://").split('?').next() {
            Some(address) => address.parse().map_err(|error| format!("{url}: {error}")),
            None => Err(url.clone()),
        };
        let target = Target {
            address: address.unwrap_or_else(|error| panic!("{error}")),
            url: url.clone(),
            served: self.served,
            credential: self.credential,
            sent: Arc::default(),
        };
        let credential = self.credential.map(str::to_owned);
        let bystander = Bystander::start(url, self.served, credential);
        let watched = Watched::before(self.name, program, bystander.samples(), control);
        let (count, sent) = (self.attackers, Arc::clone(&target.sent));
        watched.during(&self.bounds, sent, async move || {
            run_all(attacker, &target, count).await
        })
    }

    /// Runs an attack in which each attacker sends this message in so many exchanges, as far as they are taken, and reads
    /// nothing.
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    pub fn run_sending(self, message: &RawMessage, count: usize) -> Report {
        let message = message.clone();
        self.run(async move |target| {
            let mut attacker = target.enter().await;
            let frames = attacker.frames(&message, count);
            attacker.send(&frames).await;
            attacker
        })
    }

    fn serve(&self) -> (Program, String) {
        let url = match self.settings {
            "" => "tcp://127.0.0.1:0".to_owned(),
            settings => format!("tcp://127.0.0.1:0?{settings}"),
        };
        if let Some(broker) = self.broker {
            return broker.start(&url);
        }
        let workers = self.workers.map(|workers| workers.to_string());
        let mut args = vec![&*url];
        args.extend(self.credential);
        args.extend(["--serves", self.served.name()]);
        if let Some(workers) = &workers {
            args.extend(["--workers", workers]);
        }
        if self.is_gated {
            args.push("--gated");
        }
        Program::start("lab-server", &args, "tcp://", |_| false)
    }
}

/// Runs it so many times at once on this thread.
async fn run_all<T: 'static>(
    attacker: Arc<impl AsyncFn(Target) -> T + 'static>,
    target: &Target,
    count: usize,
) -> Vec<T> {
    let tasks = LocalSet::new();
    let running: Vec<_> = (0..count)
        .map(|_| {
            let (attacker, target) = (Arc::clone(&attacker), target.clone());
            tasks.spawn_local(async move { attacker(target).await })
        })
        .collect();
    let all = async {
        let mut kept = Vec::new();
        for attacker in running {
            match attacker.await {
                Ok(value) => kept.push(value),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        kept
    };
    tasks.run_until(all).await
}

/// The server that is attacked.
#[derive(Debug, Clone)]
pub struct Target {
    address: SocketAddr,
    url: String,
    served: Served,
    credential: Option<&'static str>,
    sent: Arc<AtomicU64>,
}

impl Target {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, for a real client.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A HELLO that it takes, with every compression.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello {
            credential: self.credential.unwrap_or_default().as_bytes().to_vec(),
            ..self.served.hello()
        }
    }

    /// A connection on which nothing was said.
    ///
    /// # Panics
    ///
    /// Where it is refused by the system.
    pub async fn connect(&self) -> Attacker {
        let connecting = async {
            let socket = TcpSocket::new_v4()?;
            // What is not read must not wait in this process's system either.
            socket.set_recv_buffer_size(4096)?;
            socket.connect(self.address).await
        };
        match soon("a connection", connecting).await {
            Ok(stream) => Attacker::new(stream, Side::Connecting, &self.sent),
            Err(error) => panic!("{error}"),
        }
    }

    /// A connection that is welcome.
    ///
    /// # Panics
    ///
    /// Where it is refused.
    pub async fn enter(&self) -> Attacker {
        self.enter_with(&self.hello()).await
    }

    /// A connection that is welcome with this HELLO.
    ///
    /// # Panics
    ///
    /// Where it is refused.
    pub async fn enter_with(&self, hello: &Hello) -> Attacker {
        let mut attacker = self.connect().await;
        attacker.greet_with(hello).await;
        attacker
    }
}
