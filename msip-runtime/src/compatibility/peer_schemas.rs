//! The schemas of the peers of one client, or of one protocol of a server.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use super::{Outcome, SchemaCheck, SchemaDifference, log_bucket::LogBucket};
use crate::{
    CallError, CallOptions, Codec, Compression, MsgKind, SchemaRule, Status, Variant,
    connection::ConnectionShared, describe::OwnSchema, raw::UntypedMessage,
};
use msip_schema::{
    DESCRIBE_VARIANT,
    compare::{Comparison, Description, Sides, compare},
};
use msip_session::wire::{Escaped, SCHEMA_DESCRIPTION, Topic};

/// How many comparisons are kept. Of more the oldest is forgotten, and made again when it is needed.
const MAX_KNOWN: usize = 64;

/// How long a connection waits for another one to be told the same schema before it asks by itself.
const OTHERS_ASK: Duration = Duration::from_secs(1);

/// What is known of the peers' schemas. A schema is asked for once, of the first peer that has its fingerprint; what it
/// answers is kept if it has that fingerprint indeed, so that no peer can answer for others.
#[derive(Debug)]
pub(crate) struct PeerSchemas {
    own: Arc<OwnSchema>,
    sides: Sides,
    /// How the peer is called in the log.
    peer: &'static str,
    known: Mutex<Known>,
    /// One comparison is made at a time, since it may take a processor for some time.
    comparing: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Known {
    /// By fingerprint; the newest at the end.
    comparisons: VecDeque<(u64, Arc<Comparison>)>,
    /// The fingerprints about which a peer is being asked.
    asking: HashMap<u64, Arc<Semaphore>>,
    log: LogBucket,
}

/// Whether a peer has announced that it describes its schema.
pub(crate) fn describes<V>(extensions: &std::collections::BTreeMap<String, V>) -> bool {
    extensions.contains_key(SCHEMA_DESCRIPTION)
}

/// A peer whose schema has another fingerprint.
struct Differing {
    schemas: Arc<PeerSchemas>,
    theirs: u64,
    codec: Codec,
    /// Where a broker takes the question.
    topic: Option<Topic>,
    check: Arc<SchemaCheck>,
}

impl PeerSchemas {
    /// Those of the clients of a server.
    pub(crate) fn of_clients(own: OwnSchema) -> Arc<Self> {
        let sides = Sides {
            ours: "on the server",
            theirs: "on the client",
        };
        Self::new(own, sides, "client")
    }

    /// Those of the servers of a client.
    pub(crate) fn of_servers(own: OwnSchema) -> Arc<Self> {
        let sides = Sides {
            ours: "on the client",
            theirs: "on the server",
        };
        Self::new(own, sides, "server")
    }

    fn new(own: OwnSchema, sides: Sides, peer: &'static str) -> Arc<Self> {
        Arc::new(Self {
            own: Arc::new(own),
            sides,
            peer,
            known: Mutex::default(),
            comparing: Arc::new(Semaphore::new(1)),
        })
    }

    /// This program's own schema.
    pub(crate) fn own(&self) -> &Arc<OwnSchema> {
        &self.own
    }

    /// Begins to check the schema of a peer. `None` where it is the same as ours. The future asks, at this topic of a broker if
    /// it leads to one, with these options, and compares; it is to run beside the session's handlers, or before them.
    ///
    /// Dropped before it is done, the check ends without a comparison.
    pub(crate) fn check(
        self: &Arc<Self>,
        theirs: u64,
        describes: bool,
        connection: &Arc<ConnectionShared>,
        topic: Option<&Topic>,
        options: CallOptions,
        rule: SchemaRule,
    ) -> Option<(
        Arc<SchemaCheck>,
        impl Future<Output = Outcome> + Send + use<>,
    )> {
        if theirs == self.own.fingerprint() {
            return None;
        }
        let check = SchemaCheck::new();
        let differing = Differing {
            schemas: Arc::clone(self),
            theirs,
            codec: connection.encoding().codec(),
            topic: topic.cloned(),
            check: Arc::clone(&check),
        };
        let connection = Arc::clone(connection);
        let checking = async move {
            let comparison = if describes {
                differing.compare(&connection, &options).await
            } else {
                let peer = differing.schemas.peer;
                Err(format!("the {peer} cannot describe its schema"))
            };
            differing.finish(comparison, rule)
        };
        Some((check, checking))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn comparison(&self, theirs: u64) -> Option<Arc<Comparison>> {
        let known = self.lock();
        let found = known.comparisons.iter().find(|(known, _)| *known == theirs);
        found.map(|(_, comparison)| Arc::clone(comparison))
    }

    fn keep(&self, theirs: u64, comparison: &Arc<Comparison>) {
        let mut known = self.lock();
        if known.comparisons.len() >= MAX_KNOWN {
            known.comparisons.pop_front();
        }
        known
            .comparisons
            .push_back((theirs, Arc::clone(comparison)));
    }
}

/// The right to ask for the schema of one fingerprint. Others wait for what comes of it, for some time.
struct Asking<'a> {
    schemas: &'a PeerSchemas,
    theirs: u64,
    turn: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<'a> Asking<'a> {
    async fn begin(schemas: &'a PeerSchemas, theirs: u64) -> Self {
        let turn = {
            let mut known = schemas.lock();
            let turn = known.asking.entry(theirs);
            Arc::clone(turn.or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        let mut asking = Self {
            schemas,
            theirs,
            turn,
            permit: None,
        };
        // A peer that does not answer keeps nobody waiting for long.
        let permit = timeout(OTHERS_ASK, Arc::clone(&asking.turn).acquire_owned()).await;
        asking.permit = permit.ok().and_then(Result::ok);
        asking
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut known = self.schemas.lock();
        // The table's and this one: nobody else waits.
        let is_last = Arc::strong_count(&self.turn) <= 2 + usize::from(self.permit.is_some());
        if is_last
            && known
                .asking
                .get(&self.theirs)
                .is_some_and(|turn| Arc::ptr_eq(turn, &self.turn))
        {
            known.asking.remove(&self.theirs);
        }
    }
}

impl Differing {
    /// The comparison with the peer's schema, or why there is none.
    async fn compare(
        &self,
        connection: &ConnectionShared,
        options: &CallOptions,
    ) -> Result<Arc<Comparison>, String> {
        let (schemas, theirs) = (&self.schemas, self.theirs);
        if let Some(known) = schemas.comparison(theirs) {
            return Ok(known);
        }
        let _asking = Asking::begin(schemas, theirs).await;
        if let Some(known) = schemas.comparison(theirs) {
            return Ok(known);
        }
        let peer = schemas.peer;
        let text = ask(connection, self.topic.as_ref(), options)
            .await
            .map_err(|error| {
                let error = error.to_string();
                format!(
                    "the {peer} does not describe its schema: {}",
                    Escaped::new(&error)
                )
            })?;
        let own = Arc::clone(&schemas.own);
        let permit = Arc::clone(&schemas.comparing).acquire_owned().await;
        // Reading and comparing is bounded, but takes a processor for longer than a connection's task may. Where this future
        // is dropped it ends by itself.
        let comparing = spawn_blocking(move || {
            let _permit = permit;
            read_and_compare(&own, peer, theirs, &text)
        });
        let comparison = match comparing.await {
            Ok(comparison) => comparison?,
            Err(_) => return Err("the comparison was not finished".to_owned()),
        };
        let comparison = Arc::new(comparison);
        schemas.keep(theirs, &comparison);
        Ok(comparison)
    }

    /// Tells the user and the log, and decides.
    fn finish(&self, comparison: Result<Arc<Comparison>, String>, rule: SchemaRule) -> Outcome {
        let schemas = &self.schemas;
        let difference = self.difference(comparison);
        let unsaid = {
            let mut known = schemas.lock();
            known.log.may_log(self.theirs, difference.is_compared())
        };
        if let Some(unsaid) = unsaid {
            log(&difference, schemas.peer, unsaid);
        }
        let refused = match rule {
            SchemaRule::Any => None,
            _ if !difference.is_compared() => Some("cannot be compared"),
            _ if difference.is_wire_breaking() => Some("are not compatible"),
            _ => None,
        };
        let outcome = match refused {
            None => Outcome::GoesOn,
            Some(why) => Outcome::Refused(Status::failed_precondition(format!(
                "the schemas {why}, which this server requires: {difference}"
            ))),
        };
        self.check.finish(difference);
        outcome
    }

    fn difference(&self, comparison: Result<Arc<Comparison>, String>) -> SchemaDifference {
        SchemaDifference {
            ours: self.schemas.own.fingerprint(),
            theirs: self.theirs,
            codec: self.codec,
            sides: self.schemas.sides,
            comparison,
        }
    }
}

impl Drop for Differing {
    fn drop(&mut self) {
        if self.check.is_pending() {
            let reason = "the session has ended before the schemas were compared";
            self.check.finish(self.difference(Err(reason.to_owned())));
        }
    }
}

/// Asks a peer for the description of its schema.
async fn ask(
    connection: &ConnectionShared,
    topic: Option<&Topic>,
    options: &CallOptions,
) -> Result<Bytes, CallError> {
    let variant = Variant::new(DESCRIBE_VARIANT, "schema description", MsgKind::Command)
        .call(DESCRIBE_VARIANT)
        .uncompressed();
    let request = UntypedMessage::new(&variant, Bytes::new()).at(topic);
    let answer: UntypedMessage = connection.call(&request, options).await?;
    // A broker may compress what it passes on.
    let is_plain = topic.is_some() || answer.compression() == Compression::None;
    if answer.number() != DESCRIBE_VARIANT || !is_plain {
        let text = "the answer is no description";
        return Err(CallError::Status(Status::internal(text)));
    }
    answer.body().map_err(CallError::Answer)
}

fn read_and_compare(
    own: &OwnSchema,
    peer: &str,
    theirs: u64,
    text: &[u8],
) -> Result<Comparison, String> {
    let ours = own
        .description()
        .map_err(|reason| format!("this side cannot describe its schema: {reason}"))?;
    let described = Description::parse(text)
        .map_err(|error| format!("the {peer}'s description cannot be read: {error}"))?;
    if described.fingerprint() != theirs {
        return Err(format!(
            "the {peer}'s description is of another schema than its fingerprint"
        ));
    }
    Ok(compare(ours, &described))
}

/// One line about a pair of fingerprints.
fn log(difference: &SchemaDifference, peer: &'static str, unsaid: u64) {
    let ours = format!("{:016x}", difference.our_fingerprint());
    let theirs = format!("{:016x}", difference.their_fingerprint());
    match &difference.comparison {
        Ok(comparison) => {
            let breaks = comparison.breaks();
            if comparison.breaking_count() == 0 && !comparison.is_cut_short() {
                tracing::info!(%ours, %theirs, unsaid, differences = %difference, "the {peer} has another version of the schema: {breaks}");
            } else {
                tracing::warn!(%ours, %theirs, unsaid, differences = %difference, "the {peer} has another version of the schema: {breaks}");
            }
        }
        Err(reason) => {
            tracing::warn!(%ours, %theirs, unsaid, "the {peer} has another version of the schema: {reason}");
        }
    }
}
