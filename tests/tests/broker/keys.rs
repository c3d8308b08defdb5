//! Keys that a schema names: all that is said of one goes to one instance of a typed service, while that is there.

use std::collections::BTreeMap;

use msip_runtime::{AttachedServer, Client, Code, ConnectionState, Peer, Server, Status};
use msip_tests::{Recorder, next, proxy::Proxy, recorder, soon};
use tokio::sync::mpsc;

use crate::fixture::Broker;
use vans::{
    HandleClientToServer, PushClientToServer as _, SendClientToServer as _, Van, VanState, Vans,
};

#[expect(unreachable_pub, reason = "as in a module of its own")]
mod vans {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, Clone, PartialEq, ClientToServer)]
    #[msip(protocol = "vans")]
    pub enum ClientToServer {
        #[msip(tag = 1, key = "van")]
        SeenInd(Van),
        #[msip(tag = 2, kind = COMMAND, reply = NONE, key = "van")]
        HonkCmd(Van),
        #[msip(tag = 3, reply = ACK, key = "van")]
        LoadInd(Van),
        #[msip(tag = 4, key = "van")]
        FindReq(Van),
        #[msip(tag = 5, key = "van")]
        VanState(VanState),
        /// Without a key.
        #[msip(tag = 6, kind = COMMAND, reply = NONE)]
        AnyCmd(Van),
    }

    #[derive(Debug, Clone, PartialEq, ServerToClient)]
    pub enum ServerToClient {
        #[msip(tag = 1)]
        FindRsp(Van),
    }

    #[derive(Debug, Clone, PartialEq, Message)]
    pub struct Van {
        #[msip(tag = 1)]
        pub van: String,
        #[msip(tag = 2)]
        pub number: u64,
    }

    #[derive(Debug, Clone, PartialEq, Message)]
    pub struct VanState {
        #[msip(tag = 1)]
        pub van: String,
    }
}

/// What was handled, and of which van.
type Seen = (&'static str, String);

/// Answers with the number of its instance.
struct Instance {
    number: u64,
    seen: Recorder<Seen>,
}

impl HandleClientToServer for Instance {
    async fn on_seen_ind(&self, _: &Peer<Vans>, van: Van) {
        self.seen.record(("seen", van.van));
    }

    async fn on_honk_cmd(&self, _: &Peer<Vans>, van: Van) {
        self.seen.record(("honk", van.van));
    }

    async fn on_load_ind(&self, _: &Peer<Vans>, van: Van) -> Result<(), Status> {
        self.seen.record(("load", van.van));
        Ok(())
    }

    async fn on_find_req(&self, _: &Peer<Vans>, van: Van) -> Result<Van, Status> {
        self.seen.record(("find", van.van.clone()));
        Ok(Van {
            number: self.number,
            ..van
        })
    }

    async fn on_van_state(&self, _: &Peer<Vans>, van: VanState) {
        self.seen.record(("state", van.van));
    }

    async fn on_any_cmd(&self, _: &Peer<Vans>, van: Van) {
        self.seen.record(("any", van.van));
    }
}

struct Served {
    server: AttachedServer<Vans>,
    seen: mpsc::Receiver<Seen>,
}

async fn serve(broker: &Broker, number: u64) -> Served {
    serve_at(&broker.url, number).await
}

/// An instance that reaches the broker at this URL.
async fn serve_at(url: &str, number: u64) -> Served {
    let (tell, seen) = recorder();
    let handler = Instance { number, seen: tell };
    let server = Server::<Vans>::attach(format!("{url}/vans"), handler).await;
    Served {
        server: server.expect("is attached"),
        seen,
    }
}

fn van(van: &str) -> Van {
    Van {
        van: van.to_owned(),
        number: 0,
    }
}

/// How many messages with a key each van is the subject of, in one round of `speak`.
const EACH: usize = 6;

/// Says all there is of each van, in every shape, by several clients at once. Returns which instance has answered for it.
async fn speak(clients: &[Client<Vans>], vans: &[String]) -> BTreeMap<String, u64> {
    let mut answered = BTreeMap::new();
    for (at, name) in vans.iter().enumerate() {
        let client = &clients[at % clients.len()];
        let other = &clients[(at + 1) % clients.len()];
        client.seen_ind(van(name)).await.expect("is sent");
        other.honk_cmd(van(name)).await.expect("is sent");
        client.load_ind(van(name)).await.expect("is taken");
        let answer = other.find_req(van(name)).await.expect("is answered");
        answered.insert(name.clone(), answer.number);
        let mut sender = client.sender();
        sender.honk_cmd(van(name)).await.expect("is taken");
        sender.seen_ind(van(name)).await.expect("is taken");
        sender.flush().await.expect("is sent");
    }
    answered
}

/// What each instance has handled of `vans`: until all of them have everything.
async fn handled(instances: &mut [&mut Served], answered: &BTreeMap<String, u64>, numbers: &[u64]) {
    for (instance, number) in instances.iter_mut().zip(numbers) {
        let mut expected: BTreeMap<String, usize> = answered
            .iter()
            .filter(|(_, by)| *by == number)
            .map(|(van, _)| (van.clone(), EACH))
            .collect();
        while !expected.is_empty() {
            let (what, van) = next(&mut instance.seen).await;
            let left = expected.get_mut(&van);
            let left = left.unwrap_or_else(|| panic!("{number}: {what} of {van}"));
            *left -= 1;
            if *left == 0 {
                expected.remove(&van);
            }
        }
    }
}

#[tokio::test]
async fn all_messages_of_a_key_go_to_one_instance_and_move_when_it_goes() {
    let broker = Broker::start().await;
    let mut instances = Vec::new();
    for number in 0..3 {
        instances.push(serve(&broker, number).await);
    }
    let mut clients = Vec::new();
    for _ in 0..3 {
        let client = Client::<Vans>::connect(format!("{}/vans", broker.url)).await;
        clients.push(client.expect("connects"));
    }
    let vans: Vec<String> = (0..60).map(|number| format!("van-{number}")).collect();

    let first = speak(&clients, &vans).await;
    for number in 0..3 {
        let share = first.values().filter(|by| **by == number).count();
        assert!(share > 5, "{number} has {share} of 60");
    }
    let [zero, one, two] = &mut instances[..] else {
        panic!("three")
    };
    handled(&mut [zero, one, two], &first, &[0, 1, 2]).await;
    // Again, and each stays where it was.
    assert_eq!(speak(&clients, &vans).await, first);
    handled(&mut [zero, one, two], &first, &[0, 1, 2]).await;

    // A STATE goes to every instance, and what has no key goes by turn.
    let state = VanState {
        van: "van-1".to_owned(),
    };
    clients[0].van_state(state).await.expect("is sent");
    for _ in 0..3 {
        clients[0].any_cmd(van("any")).await.expect("is sent");
    }
    for instance in [&mut *zero, one, two] {
        assert_eq!(next(&mut instance.seen).await.0, "state");
        assert_eq!(next(&mut instance.seen).await.0, "any");
    }

    // One goes: its vans move, and no other does.
    let Some(gone) = instances.pop() else {
        panic!("three")
    };
    soon("the end of an instance", gone.server.shutdown()).await;
    let second = speak(&clients, &vans).await;
    for (name, by) in &second {
        let before = first[name];
        assert!(*by == before || before == 2, "{name}: {before}, now {by}");
        assert_ne!(*by, 2, "{name}");
    }
    let [zero, one] = &mut instances[..] else {
        panic!("two")
    };
    handled(&mut [zero, one], &second, &[0, 1]).await;
}

/// Which instance answers for each van.
async fn find(client: &Client<Vans>, vans: &[String]) -> BTreeMap<String, u64> {
    let mut answered = BTreeMap::new();
    for name in vans {
        let answer = client.find_req(van(name)).await.expect("is answered");
        answered.insert(name.clone(), answer.number);
    }
    answered
}

/// No key moves but to or from these instances, and some do.
fn only_those_move(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>, of: &[u64]) {
    let moved = now.iter().filter(|(name, by)| before[*name] != **by);
    let mut count = 0;
    for (name, by) in moved {
        let was = before[name];
        assert!(
            of.contains(&was) || of.contains(by),
            "{name}: {was}, now {by}"
        );
        count += 1;
    }
    assert!(count > 0, "{now:?}");
}

#[tokio::test]
async fn keys_move_to_an_instance_that_comes_and_to_one_that_comes_back_and_no_other_does() {
    let broker = Broker::start().await;
    let proxy = Proxy::start(broker.address()).await;
    let url = format!("{}/vans", broker.url);
    let client = Client::<Vans>::connect(url).await.expect("connects");
    let vans: Vec<String> = (0..60).map(|number| format!("van-{number}")).collect();
    let _zero = serve(&broker, 0).await;
    let one = serve_at(&proxy.url(), 1).await;
    let before = find(&client, &vans).await;
    // Another one comes: it takes some keys of each, and the others stay.
    let two = serve(&broker, 2).await;
    let three = find(&client, &vans).await;
    only_those_move(&before, &three, &[2]);
    assert!(
        three
            .iter()
            .all(|(name, by)| *by == 2 || *by == before[name])
    );
    // One loses its connection: its keys go to the others, until it is there again in its session.
    proxy.let_in(false);
    proxy.cut();
    let mut state = one.server.connection().watch();
    let lost = state.wait_for(|state| *state != ConnectionState::Connected);
    soon("the loss", lost).await.expect("it lives");
    let away = loop {
        let by = find_or_unknown(&client, &vans).await;
        if by.values().all(|by| *by != 1) {
            break by;
        }
    };
    only_those_move(&three, &away, &[1]);
    proxy.let_in(true);
    let back = state.wait_for(|state| *state == ConnectionState::Connected);
    soon("the instance", back).await.expect("it lives");
    assert_eq!(find(&client, &vans).await, three, "it has its own again");
    // One goes, and another takes its place, whose keys are its own.
    soon("the end", two.server.shutdown()).await;
    let without = find(&client, &vans).await;
    assert_eq!(without, before);
    let _four = serve(&broker, 4).await;
    only_those_move(&without, &find(&client, &vans).await, &[4]);
}

/// The same where an instance may be lost meanwhile, which its callers are told of.
async fn find_or_unknown(client: &Client<Vans>, vans: &[String]) -> BTreeMap<String, u64> {
    let mut answered = BTreeMap::new();
    for name in vans {
        match client.find_req(van(name)).await {
            Ok(answer) => answered.insert(name.clone(), answer.number),
            Err(error) => {
                assert_eq!(error.code(), Code::Unknown, "{error}");
                answered.insert(name.clone(), 1)
            }
        };
    }
    answered
}
