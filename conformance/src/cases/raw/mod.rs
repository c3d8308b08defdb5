//! Cases of the raw peer: a client for each server, and a server for each client. What holds for both sides is one case, played by both.

mod bodies;
mod bombs;
mod calls;
mod credit;
mod ending;
mod handshake;
mod malformed;
mod sessions;
mod sessions_of_clients;
mod sessions_of_servers;
mod sizes;
mod states;
mod urgency;
mod vectors;
mod violations;

use crate::case::{Case, Driver, Group};

/// The cases against servers, and those against clients.
struct Groups {
    server: Group,
    client: Group,
}

impl Groups {
    /// A case against both.
    fn both<F>(
        &mut self,
        name: &str,
        needs: &'static [&'static str],
        play: impl Fn(Driver) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.server.server(name, needs, play.clone());
        self.client.client(name, needs, play);
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut groups = Groups {
        server: Group::new("server"),
        client: Group::new("client"),
    };
    for add in [
        vectors::add,
        handshake::add,
        violations::add,
        bodies::add,
        sizes::add,
        bombs::add,
        states::add,
        calls::add,
        urgency::add,
        credit::add,
        ending::add,
        sessions::add,
        sessions_of_servers::add,
        sessions_of_clients::add,
        malformed::add,
    ] {
        add(&mut groups);
    }
    [groups.server.cases(), groups.client.cases()].concat()
}
