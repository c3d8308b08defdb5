//! The script of a test: recorded messages and answers.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::sync::Notify;

use super::{
    Answer,
    answer::{AnswerKind, AnswerStream},
    stream_of,
};
use crate::{
    CallError, Code, Envelope, Exchange, SendError, Status, Stream, Variant, protocol::variant_of,
};

type Answering<Out, In> = Box<dyn FnMut(&Out) -> Answer<In> + Send>;

/// The messages that the code under test has sent (`Out`), and their answers (`In`).
pub(super) struct Script<Out, In> {
    state: Mutex<ScriptState<Out, In>>,
    answering: Mutex<Option<Answering<Out, In>>>,
    recorded: Notify,
}

struct ScriptState<Out, In> {
    sent: VecDeque<Out>,
    answers: VecDeque<Answer<In>>,
    refusal: Option<SendError>,
}

impl<Out, In> Default for Script<Out, In> {
    fn default() -> Self {
        Self {
            state: Mutex::new(ScriptState {
                sent: VecDeque::new(),
                answers: VecDeque::new(),
                refusal: None,
            }),
            answering: Mutex::default(),
            recorded: Notify::new(),
        }
    }
}

impl<Out, In> Script<Out, In> {
    fn lock(&self) -> MutexGuard<'_, ScriptState<Out, In>> {
        // Each change is a single operation, so a panic leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_sent(&self) -> Vec<Out> {
        self.lock().sent.drain(..).collect()
    }

    pub(super) async fn next_sent(&self) -> Out {
        loop {
            let recorded = self.recorded.notified();
            if let Some(message) = self.lock().sent.pop_front() {
                return message;
            }
            recorded.await;
        }
    }

    pub(super) fn answer(&self, answer: Answer<In>) {
        self.lock().answers.push_back(answer);
    }

    pub(super) fn answer_with(&self, answering: Answering<Out, In>) {
        *self
            .answering
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(answering);
    }

    pub(super) fn answers_left(&self) -> usize {
        self.lock().answers.len()
    }

    pub(super) fn fail_sends(&self, refusal: Option<SendError>) {
        self.lock().refusal = refusal;
    }

    /// Fails while sends are to fail.
    pub(super) fn check(&self) -> Result<(), SendError> {
        self.lock().refusal.clone().map_or(Ok(()), Err)
    }

    pub(super) fn record(&self, message: Out) {
        self.lock().sent.push_back(message);
        self.recorded.notify_waiters();
    }

    /// The answer of the test's function; nothing if there is none.
    fn ask(&self, request: &Out) -> Answer<In> {
        let mut answering = self
            .answering
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        answering
            .as_mut()
            .map_or_else(Answer::nothing, |answering| answering(request))
    }

    fn has_answering(&self) -> bool {
        self.answering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }
}

impl<Out: Envelope, In: Envelope> Script<Out, In> {
    /// The first queued answer that fits.
    fn claim(&self, variant: &Variant) -> Option<Answer<In>> {
        let mut state = self.lock();
        let place = state
            .answers
            .iter()
            .position(|answer| answer.fits(variant))?;
        state.answers.remove(place)
    }

    /// Records a message, and returns its answer.
    fn exchange(&self, message: Out) -> (Answer<In>, Option<&'static Variant>) {
        let row = Out::VARIANTS.get(message.index());
        let answer = row
            .and_then(|row| self.claim(row))
            .unwrap_or_else(|| self.ask(&message));
        self.record(message);
        (answer, row)
    }

    /// Takes a message that is acknowledged.
    pub(super) fn deliver(&self, message: Out) -> Result<(), CallError> {
        match self.exchange(message).0.0 {
            AnswerKind::Error(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes a request that one message answers.
    pub(super) fn call(&self, request: Out) -> Result<In, CallError> {
        let (answer, row) = self.exchange(request);
        self.one(answer, row)
    }

    /// Takes a request that a stream answers.
    pub(super) fn call_streaming(&self, request: Out) -> AnswerStream<In> {
        let (answer, row) = self.exchange(request);
        match answer.0 {
            AnswerKind::Stream(answers) => answers,
            AnswerKind::Message(message) => Box::pin(stream_of([Ok(message)])),
            AnswerKind::Error(error) => Box::pin(stream_of([Err(error)])),
            AnswerKind::Nothing => Box::pin(stream_of([Err(self.no_answer(row))])),
        }
    }

    /// Takes a request stream with a single response: a queued answer after its end, else the first answer of the test's
    /// function.
    pub(super) async fn upload(
        &self,
        variant: u16,
        requests: impl Stream<Item = Out>,
    ) -> Result<In, CallError> {
        let row = variant_of::<Out>(variant);
        let queued = row.and_then(|row| self.claim(row));
        let mut requests = pin!(requests);
        while let Some(request) = poll_fn(|task| requests.as_mut().poll_next(task)).await {
            let answer = match queued {
                Some(_) => Answer::nothing(),
                None => self.ask(&request),
            };
            self.record(request);
            if !matches!(answer.0, AnswerKind::Nothing) {
                return self.one(answer, row);
            }
        }
        self.one(queued.unwrap_or_else(Answer::nothing), row)
    }

    /// Takes a request stream with a response stream.
    pub(super) fn converse(
        self: &Arc<Self>,
        variant: u16,
        requests: impl Stream<Item = Out> + Send + 'static,
    ) -> AnswerStream<In> {
        let row = variant_of::<Out>(variant);
        let queued = row.and_then(|row| self.claim(row)).map(|answer| answer.0);
        let (answers, is_queued) = match queued {
            Some(AnswerKind::Stream(answers)) => (Some(answers), true),
            Some(AnswerKind::Message(message)) => {
                let answers: AnswerStream<In> = Box::pin(stream_of([Ok(message)]));
                (Some(answers), true)
            }
            Some(AnswerKind::Error(error)) => return Box::pin(stream_of([Err(error)])),
            Some(AnswerKind::Nothing) | None if self.has_answering() => (None, false),
            Some(AnswerKind::Nothing) | None => {
                return Box::pin(stream_of([Err(self.no_answer(row))]));
            }
        };
        Box::pin(Conversation {
            script: Arc::clone(self),
            requests: Some(Box::pin(requests)),
            answers,
            is_queued,
        })
    }

    fn one(&self, answer: Answer<In>, row: Option<&'static Variant>) -> Result<In, CallError> {
        match answer.0 {
            AnswerKind::Message(message) => Ok(message),
            AnswerKind::Error(error) => Err(error),
            AnswerKind::Stream(_) => Err(CallError::UnexpectedAnswer { found: "a stream" }),
            AnswerKind::Nothing => Err(self.no_answer(row)),
        }
    }

    /// The error for a call without an answer.
    fn no_answer(&self, row: Option<&'static Variant>) -> CallError {
        let name = row.map_or("an unknown message", |row| row.name);
        let wanted = row
            .and_then(|row| match row.exchange {
                Exchange::Call { response, .. } => variant_of::<In>(response),
                _ => None,
            })
            .map_or("an answer", |row| row.name);
        let state = self.lock();
        let queued: Vec<&str> = state.answers.iter().map(Answer::name).collect();
        let queued = if queued.is_empty() {
            "nothing is queued".to_owned()
        } else {
            format!("queued, but not valid answers to it: {}", queued.join(", "))
        };
        CallError::Status(Status::new(
            Code::Unimplemented,
            format!(
                "the test has no answer to `{name}`: queue a `{wanted}` with `answer`, or return it from `answer_with` ({queued})"
            ),
        ))
    }
}

impl<Out, In> fmt::Debug for Script<Out, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Script")
            .field("sent", &state.sent.len())
            .field("answers", &state.answers)
            .finish_non_exhaustive()
    }
}

/// The response stream of a call with two streams; it takes requests as it is polled.
struct Conversation<Out, In> {
    script: Arc<Script<Out, In>>,
    /// `None` after the end of the stream.
    requests: Option<Pin<Box<dyn Stream<Item = Out> + Send>>>,
    /// The answers being returned.
    answers: Option<AnswerStream<In>>,
    /// Whether the answers were queued for the whole call; else each request has its own.
    is_queued: bool,
}

impl<Out: Envelope, In: Envelope> Conversation<Out, In> {
    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<Option<Out>> {
        let Some(requests) = &mut self.requests else {
            return Poll::Ready(None);
        };
        let request = ready!(requests.as_mut().poll_next(context));
        if request.is_none() {
            self.requests = None;
        }
        Poll::Ready(request)
    }

    fn poll_answers(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<In, CallError>>> {
        let Some(answers) = &mut self.answers else {
            return Poll::Ready(None);
        };
        let answer = ready!(answers.as_mut().poll_next(context));
        if answer.is_none() {
            self.answers = None;
        }
        Poll::Ready(answer)
    }
}

impl<Out: Envelope, In: Envelope> Stream for Conversation<Out, In> {
    type Item = Result<In, CallError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_queued {
            while let Poll::Ready(Some(request)) = this.poll_request(context) {
                this.script.record(request);
            }
            return this.poll_answers(context);
        }
        loop {
            if let Some(answer) = ready!(this.poll_answers(context)) {
                return Poll::Ready(Some(answer));
            }
            let Some(request) = ready!(this.poll_request(context)) else {
                return Poll::Ready(None);
            };
            let answer = this.script.ask(&request);
            this.script.record(request);
            match answer.0 {
                AnswerKind::Nothing => {}
                AnswerKind::Message(message) => return Poll::Ready(Some(Ok(message))),
                AnswerKind::Error(error) => {
                    this.requests = None;
                    return Poll::Ready(Some(Err(error)));
                }
                AnswerKind::Stream(answers) => this.answers = Some(answers),
            }
        }
    }
}
