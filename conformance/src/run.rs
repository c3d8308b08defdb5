//! Plays the cases: which pairs there are, and what came of each.

use std::{
    cell::RefCell,
    collections::VecDeque,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use msip_runtime::wire::Side;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    case::{Case, Driver, Play, Playing},
    known::Known,
    pair::{Pair, Ways},
    played::{Outcome, Played, Sides},
    process::{Launch, Process},
};

/// How long a case may take.
pub(crate) const CASE_LIMIT: Duration = Duration::from_secs(15);

/// The same for one that is known to fail, mostly by waiting for what does not come.
const KNOWN_LIMIT: Duration = Duration::from_secs(3);

/// All cases of two sides, played one after the other by the same processes.
pub(crate) struct Job {
    pub(crate) sides: Sides,
    /// None of the raw peer.
    pub(crate) client: Option<Launch>,
    pub(crate) server: Option<Launch>,
    pub(crate) cases: Vec<Case>,
    pub(crate) ways: Ways,
    pub(crate) known: Arc<[Known]>,
}

tokio::task_local! {
    /// Where the case that panics says why.
    static REASON: RefCell<Option<String>>;
}

/// Lets a failing case say where it failed, and nothing be printed.
pub(crate) fn catch_panics() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        let place = info.location().map_or_else(String::new, |place| {
            format!("{}:{}: ", place.file(), place.line())
        });
        let reason = format!("{place}{}", text.unwrap_or("a panic"));
        // A panic outside of cases has nobody to tell.
        let _ = REASON.try_with(|told| told.replace(Some(reason)));
    }));
}

/// Plays all jobs, as many at once as said, and tells of each case when it is over. Where `stop` becomes true, it gives up what is
/// played, and returns what has been. No driver runs any more when it returns.
pub(crate) async fn run(
    jobs: Vec<Job>,
    at_once: usize,
    tell: fn(&Played),
    stop: &watch::Receiver<bool>,
) -> Vec<Played> {
    let jobs: Arc<Mutex<VecDeque<Job>>> = Arc::new(Mutex::new(jobs.into()));
    let mut lanes = JoinSet::new();
    for _ in 0..at_once {
        let (jobs, stop) = (Arc::clone(&jobs), stop.clone());
        lanes.spawn(async move {
            let mut played = Vec::new();
            loop {
                let next = jobs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .pop_front();
                let Some(job) = next else { return played };
                played.extend(job.run(tell, stop.clone()).await);
            }
        });
    }
    lanes.join_all().await.into_iter().flatten().collect()
}

impl Job {
    async fn run(self, tell: fn(&Played), mut stop: watch::Receiver<bool>) -> Vec<Played> {
        let (mut client, mut server) = (None, None);
        let mut all = Vec::new();
        for case in &self.cases {
            let begun = Instant::now();
            // A driver that is being started is waited for: it could not be told to end.
            let started = self.start(&mut client, &mut server).await;
            let playing = async {
                match started {
                    Ok(()) => self.begin(case, client.as_ref(), server.as_ref()).await,
                    Err(error) => Outcome::Failed(error),
                }
            };
            let outcome = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                outcome = playing => outcome,
            };
            if !matches!(outcome, Outcome::NotOffered(_)) {
                reset(&mut client).await;
                reset(&mut server).await;
            }
            let played = Played {
                case: case.name.clone(),
                sides: self.sides.clone(),
                outcome,
                took: begun.elapsed(),
                is_known: self.is_known(case),
            };
            tell(&played);
            all.push(played);
        }
        for process in [client, server].into_iter().flatten() {
            process.end().await;
        }
        all
    }

    /// Starts the drivers that do not run.
    async fn start(
        &self,
        client: &mut Option<Process>,
        server: &mut Option<Process>,
    ) -> Result<(), String> {
        keep(client, self.client.as_ref()).await?;
        keep(server, self.server.as_ref()).await
    }

    /// Plays a case, where both offer it.
    async fn begin(
        &self,
        case: &Case,
        client: Option<&Process>,
        server: Option<&Process>,
    ) -> Outcome {
        let needs = [case.needs, self.ways.needs()].concat();
        match lacking(&needs, client, server) {
            Some(profile) => Outcome::NotOffered(profile),
            None => self.play(case, client, server).await,
        }
    }

    /// A driver that plays with the raw peer.
    fn driver(&self, process: &Process, raw_side: Side) -> Driver {
        Driver {
            process: process.clone(),
            ways: self.ways.clone(),
            raw_side,
        }
    }

    fn is_known(&self, case: &Case) -> bool {
        let mut known = self.known.iter();
        known.any(|known| known.is_about(&case.name, &self.sides))
    }

    async fn play(
        &self,
        case: &Case,
        client: Option<&Process>,
        server: Option<&Process>,
    ) -> Outcome {
        let playing: Playing = match (&case.play, client, server) {
            (Play::Pair(play), Some(client), Some(server)) => play(Pair {
                client: client.clone(),
                server: server.clone(),
                ways: self.ways.clone(),
            }),
            (Play::Server(play), None, Some(server)) => play(self.driver(server, Side::Connecting)),
            (Play::Client(play), Some(client), None) => play(self.driver(client, Side::Accepting)),
            _ => return Outcome::Failed("a case without its sides".to_owned()),
        };
        let accounts = || {
            let processes = [client, server].into_iter().flatten();
            let accounts: Vec<_> = processes.map(Process::account).collect();
            accounts.join("\n")
        };
        let caught = REASON.scope(RefCell::new(None), async {
            let mut task = AssertUnwindSafe(playing);
            let outcome = std::future::poll_fn(|context| {
                let polled =
                    panic::catch_unwind(AssertUnwindSafe(|| task.0.as_mut().poll(context)));
                match polled {
                    Ok(polled) => polled.map(Ok),
                    Err(_) => std::task::Poll::Ready(Err(REASON.with(RefCell::take))),
                }
            });
            outcome.await
        });
        let limit = match self.is_known(case) {
            true => KNOWN_LIMIT,
            false => CASE_LIMIT,
        };
        match timeout(limit, caught).await {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(reason)) => {
                Outcome::Failed(format!("{}\n{}", reason.unwrap_or_default(), accounts()))
            }
            Err(_) => Outcome::Failed(format!("nothing after {limit:?}: {}", accounts())),
        }
    }
}

/// Ends what a case has left in a driver, or the driver, where it is of no more use.
async fn reset(process: &mut Option<Process>) {
    if let Some(running) = process
        && !running.reset().await
        && let Some(useless) = process.take()
    {
        useless.end().await;
    }
}

/// Starts a driver where it does not run.
async fn keep(process: &mut Option<Process>, launch: Option<&Launch>) -> Result<(), String> {
    if let (None, Some(launch)) = (&process, launch) {
        *process = Some(Process::start(launch).await?);
    }
    Ok(())
}

/// What a driver lacks of these profiles.
fn lacking(needs: &[&str], client: Option<&Process>, server: Option<&Process>) -> Option<String> {
    let lacks = |process: Option<&Process>, profile: &str| {
        process.is_some_and(|process| !process.has(profile))
    };
    let lacked = needs.iter().find(|need| match need.split_once(':') {
        Some(("client", profile)) => lacks(client, profile),
        Some(("server", profile)) => lacks(server, profile),
        _ => lacks(client, need) || lacks(server, need),
    });
    lacked.map(|need| (*need).to_owned())
}
