//! The commands of the chat client. They run in the background: nothing else waits for their answers.

use std::time::Duration;

use msip_examples::chat::{Chat, SendClientToServer as _, WhoReq};
use msip_runtime::Client;
use tokio::task::JoinSet;

/// The help text.
pub(crate) const HELP: &str =
    "* type to talk; /who: who is here; /ping: how far the server is; /quit: leave";

/// How long a ping may take.
const PING: Duration = Duration::from_secs(5);

/// Pending requests.
#[derive(Debug, Default)]
pub(crate) struct Commands(JoinSet<String>);

impl Commands {
    /// Requests who is in the room.
    pub(crate) fn who(&mut self, client: &Client<Chat>) {
        let client = client.clone();
        self.0.spawn(async move {
            match client.who_req(WhoReq {}).await {
                Ok(answer) => {
                    let people: Vec<_> = answer
                        .people
                        .into_iter()
                        .map(|person| match person.active {
                            true => person.user,
                            false => format!("{} (away)", person.user),
                        })
                        .collect();
                    format!("* in the room: {}", people.join(", "))
                }
                Err(error) => format!("* who is here is not known: {error}"),
            }
        });
    }

    /// Measures the round-trip time to the server.
    pub(crate) fn ping(&mut self, client: &Client<Chat>) {
        let client = client.clone();
        self.0.spawn(async move {
            match client.ping(0, PING).await {
                Ok(time) => format!("* to the server and back: {time:.0?}"),
                Err(error) => format!("* no ping: {error}"),
            }
        });
    }

    /// The next answer, as a line for the screen; `None` when no request is pending.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let outcome = self.0.join_next().await?;
        Some(outcome.unwrap_or_else(|error| format!("* {error}")))
    }
}
