//! What a case is.

use std::{future::Future, pin::Pin, sync::Arc};

use msip_runtime::wire::Side;

use crate::{
    pair::{Pair, Ways},
    process::Process,
};

/// A case that is under way.
pub(crate) type Playing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A case: what is played, and what its drivers have to have for it.
#[derive(Clone)]
pub(crate) struct Case {
    /// `streams/upload-of-0`: the group, and what is played.
    pub(crate) name: String,
    /// Profiles: `resume` of all drivers, `client:tls` or `server:tls` of one.
    pub(crate) needs: &'static [&'static str],
    pub(crate) play: Play,
}

/// A driver alone, which the raw peer plays with.
#[derive(Clone)]
pub(crate) struct Driver {
    pub(crate) process: Process,
    pub(crate) ways: Ways,
    /// The side of the raw peer: where it connects, the driver has a server.
    pub(crate) raw_side: Side,
}

/// Plays a case between two drivers.
pub(crate) type PlayPair = dyn Fn(Pair) -> Playing + Send + Sync;

/// Plays a case between the raw peer and a driver.
pub(crate) type PlayRaw = dyn Fn(Driver) -> Playing + Send + Sync;

/// Who plays.
#[derive(Clone)]
pub(crate) enum Play {
    /// A client and a server of drivers.
    Pair(Arc<PlayPair>),
    /// The raw peer as a client, and a server of a driver.
    Server(Arc<PlayRaw>),
    /// A client of a driver, and the raw peer as a server.
    Client(Arc<PlayRaw>),
}

/// Cases of one group, added one by one.
pub(crate) struct Group {
    name: &'static str,
    cases: Vec<Case>,
}

impl Group {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            cases: Vec::new(),
        }
    }

    /// A case between two drivers.
    pub(crate) fn pair<F>(
        &mut self,
        name: &str,
        needs: &'static [&'static str],
        play: impl Fn(Pair) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let play = move |pair| Box::pin(play(pair)) as Playing;
        self.add(name, needs, Play::Pair(Arc::new(play)));
    }

    /// A case of the raw peer against a server.
    pub(crate) fn server<F>(
        &mut self,
        name: &str,
        needs: &'static [&'static str],
        play: impl Fn(Driver) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let play = move |driver| Box::pin(play(driver)) as Playing;
        self.add(name, needs, Play::Server(Arc::new(play)));
    }

    /// A case of the raw peer against a client.
    pub(crate) fn client<F>(
        &mut self,
        name: &str,
        needs: &'static [&'static str],
        play: impl Fn(Driver) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let play = move |driver| Box::pin(play(driver)) as Playing;
        self.add(name, needs, Play::Client(Arc::new(play)));
    }

    pub(crate) fn cases(self) -> Vec<Case> {
        self.cases
    }

    fn add(&mut self, name: &str, needs: &'static [&'static str], play: Play) {
        self.cases.push(Case {
            name: format!("{}/{name}", self.name),
            needs,
            play,
        });
    }
}
