//! A connection between the code under test and a script, whose two ends a test can run whenever it looks.

use std::{
    fmt,
    future::{Future, pending, poll_fn},
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, ThreadId},
};

use super::{answer::Answers, script::Script};
use crate::{
    Answered, DisconnectReason, Envelope, Exchange, ItemStream, Protocol, Status, Stream,
    Streaming,
    body::Encoding,
    call::Serving,
    connection::ConnectionShared,
    dispatch::{Dispatch, Typed},
    driver::{Driver, Handlers, handshake},
    middleware::Stack,
    service::{self, Inbox},
    settings::Settings,
    transport::{Stream as Bytes, memory_pair},
};
use msip_session::{
    Event, Session,
    wire::{Decoder, Hello, SECRET_LEN, SessionId, Side, Welcome},
};

/// A connection whose other end answers by a script.
///
/// It is real but for the network: what is sent is encoded, passes under flow control, and is decoded before it is
/// recorded. A task runs both ends, and so does a test that looks, so that it finds whatever was sent before.
#[derive(Debug)]
pub(super) struct Line {
    work: Arc<Work>,
    goodbye: Arc<Mutex<Option<Status>>>,
}

impl Line {
    /// A line from the code under test, which sends by `connection` and is on this side, to the script. `ended` is called
    /// when it has ended.
    pub(super) fn new<P, Out, In>(
        side: Side,
        connection: &Arc<ConnectionShared>,
        script: &Arc<Script<Out, In>>,
        ended: impl FnOnce() + Send + 'static,
    ) -> Self
    where
        P: Protocol,
        Out: Envelope,
        In: Envelope,
    {
        let (near, far) = memory_pair();
        let near = End::<P> {
            side,
            stream: near.stream,
            connection: Arc::clone(connection),
            protocol: PhantomData,
        };
        let far = End::<P> {
            side: match side {
                Side::Connecting => Side::Accepting,
                Side::Accepting => Side::Connecting,
            },
            stream: far.stream,
            connection: Arc::new(ConnectionShared::new(&Settings::default())),
            protocol: PhantomData,
        };
        let goodbye = Arc::new(Mutex::new(None));
        let heard = Arc::clone(&goodbye);
        let scripted = Scripted(Arc::clone(script));
        let work = Work::begin(async move {
            let near = async {
                near.run(|_, _| Box::pin(pending())).await;
                ended();
            };
            let far = async {
                let run = |connection, inbox| -> Handlers {
                    let service = Arc::new(Typed(Arc::new(scripted)));
                    Box::pin(service::run(service, (), connection, inbox))
                };
                if let Some(DisconnectReason::ClosedByPeer(status)) = far.run(run).await {
                    *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                }
            };
            tokio::join!(near, far);
        });
        Self { work, goodbye }
    }

    /// Carries over what has been sent.
    pub(super) fn settle(&self) {
        // The task ends with what it runs.
        let _ = self.work.run();
    }

    /// What the code under test said when it closed the connection.
    pub(super) fn goodbye(&self) -> Option<Status> {
        self.settle();
        self.goodbye
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Breaks the connection: nothing that is sent from here on is recorded.
    pub(super) fn cut(&self) {
        self.settle();
        self.work.stop();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.cut();
    }
}

/// One end of a line.
struct End<P> {
    side: Side,
    stream: Bytes,
    connection: Arc<ConnectionShared>,
    protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol> End<P> {
    /// Shakes hands, and runs the connection. Returns why it ended; `None` where it never began.
    async fn run(
        self,
        handlers: impl FnOnce(Arc<ConnectionShared>, Arc<Inbox>) -> Handlers,
    ) -> Option<DisconnectReason> {
        let settings = Settings::default();
        let Self {
            side,
            mut stream,
            connection,
            ..
        } = self;
        // Whoever waits when this is dropped is told.
        let _closing = Closing(Arc::clone(&connection));
        let decoder = open::<P>(side, &mut stream, &connection, &settings).await?;
        let inbox = Arc::new(Inbox::default());
        inbox.connected(connection.terms());
        let mut handlers = handlers(Arc::clone(&connection), Arc::clone(&inbox));
        let write_timeout = settings.write_timeout;
        let mut driver =
            Driver::new(stream, decoder, connection, inbox, write_timeout).run_by_wakers();
        let ending = driver.run(&mut handlers).await;
        Some(driver.end(ending).reason)
    }
}

/// Ends a connection with its line.
struct Closing(Arc<ConnectionShared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.lose_session();
        self.0.close();
    }
}

/// Brings one end of a new connection to an open session.
async fn open<P: Protocol>(
    side: Side,
    stream: &mut Bytes,
    connection: &ConnectionShared,
    settings: &Settings,
) -> Option<Decoder> {
    let config = settings.session(side);
    let mut decoder = Decoder::new(config.limits.max_payload());
    // Each line has a session of its own, so that they may all have one id.
    let id = SessionId::new(1)?;
    let now = connection.now();
    let mut session = match side {
        Side::Accepting => Session::accepting(config, now),
        Side::Connecting => {
            let hello = Hello {
                protocol: P::NAME.to_owned(),
                fingerprint: P::fingerprint(),
                session_secret: vec![0; SECRET_LEN],
                ..Hello::default()
            };
            Session::connecting(config, id, &hello, now)
        }
    };
    let limit = settings.handshake_timeout;
    match handshake(stream, &mut decoder, &mut session, connection, limit).await {
        Ok(Event::Hello(hello)) => {
            let welcome = Welcome {
                fingerprint: P::fingerprint(),
                ..Welcome::default()
            };
            session.welcome(id, &welcome, hello.hello.max_body);
        }
        Ok(Event::Welcome(_)) => {}
        other => {
            tracing::error!(?other, "a line of a test did not open");
            return None;
        }
    }
    connection.attach(session, Encoding::default());
    Some(decoder)
}

/// Both ends of a line, polled by a task, and by a test that looks.
struct Work {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// The task.
    task: Mutex<Option<Waker>>,
    /// The thread that runs it now.
    runner: Mutex<Option<ThreadId>>,
    is_due: AtomicBool,
    is_stopped: AtomicBool,
}

/// How often both ends are asked in vain before they are left alone: a driver stands back once before it writes, for
/// others to send along with it.
const PATIENCE: u32 = 3;

impl Work {
    fn begin(future: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        // Where this is polled from a test, its budget is not to be spent on it.
        let future = tokio::task::unconstrained(future);
        let work = Arc::new(Self {
            future: Mutex::new(Some(Box::pin(future))),
            task: Mutex::default(),
            runner: Mutex::default(),
            is_due: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
        });
        let _ = work.run();
        let running = Arc::clone(&work);
        // It ends with the line, which stops the work when it is dropped.
        tokio::spawn(poll_fn(move |task| {
            *lock(&running.task) = Some(task.waker().clone());
            running.run()
        }));
        work
    }

    /// Runs both ends until they wait. Where they run further up on this thread, since an answer asks for what was sent,
    /// they go round again.
    fn run(self: &Arc<Self>) -> Poll<()> {
        self.is_due.store(true, Ordering::SeqCst);
        let this_thread = thread::current().id();
        while self.is_due.load(Ordering::SeqCst) {
            if *lock(&self.runner) == Some(this_thread) {
                return Poll::Pending;
            }
            let mut future = lock(&self.future);
            let _running = Running::on(self, this_thread);
            let waker = Waker::from(Arc::clone(self));
            let mut task = Context::from_waker(&waker);
            let mut in_vain = 0;
            while in_vain < PATIENCE {
                let Some(running) = future.as_mut() else {
                    return Poll::Ready(());
                };
                let was_due = self.is_due.swap(false, Ordering::SeqCst);
                in_vain = if was_due { 0 } else { in_vain + 1 };
                if self.is_stopped.load(Ordering::SeqCst)
                    || running.as_mut().poll(&mut task).is_ready()
                {
                    *future = None;
                }
            }
        }
        Poll::Pending
    }

    fn stop(self: &Arc<Self>) {
        self.is_stopped.store(true, Ordering::SeqCst);
        // The task ends with what it runs.
        let _ = self.run();
        self.wake_by_ref();
    }
}

/// Tells which thread runs the work, for as long as this lives.
struct Running<'a>(&'a Work);

impl<'a> Running<'a> {
    fn on(work: &'a Work, thread: ThreadId) -> Self {
        *lock(&work.runner) = Some(thread);
        Self(work)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *lock(&self.0.runner) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for Work {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_due.store(true, Ordering::SeqCst);
        let task = lock(&self.task).take();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("is_stopped", &self.is_stopped)
            .finish_non_exhaustive()
    }
}

/// The script as a handler: `Out` is what the code under test says, `In` what it gets back.
struct Scripted<Out, In>(Arc<Script<Out, In>>);

impl<Out: Envelope, In: Envelope> Dispatch for Scripted<Out, In> {
    type In = Out;
    type Out = In;
    type Context = ();

    fn incoming(&self) -> Option<&Stack> {
        None
    }

    fn serving((): &(), _: Serving) {}

    async fn dispatch(&self, (): &(), message: Out) -> Result<Answered<In>, Status> {
        let exchange = Out::VARIANTS
            .get(message.index())
            .map(|variant| variant.exchange);
        match exchange {
            Some(Exchange::Call {
                response_stream: true,
                ..
            }) => Ok(answers(self.0.call_streaming(message))),
            Some(Exchange::Call { .. }) => Ok(Answered::Message(self.0.call(message)?)),
            _ => {
                self.0.deliver(message)?;
                Ok(Answered::Nothing)
            }
        }
    }

    async fn dispatch_stream(
        &self,
        (): &(),
        variant: u16,
        requests: Streaming<Out>,
    ) -> Result<Answered<In>, Status> {
        let requests = Sent(requests);
        match crate::protocol::variant_of::<Out>(variant).map(|row| row.exchange) {
            Some(Exchange::Call {
                response_stream: true,
                ..
            }) => Ok(answers(self.0.converse(variant, requests))),
            _ => Ok(Answered::Message(self.0.upload(variant, requests).await?)),
        }
    }

    async fn connected(&self, (): &()) {}

    async fn disconnected(&self, (): &(), _: DisconnectReason) {}
}

/// The answers of a script as those of a handler.
fn answers<In: Envelope>(answers: Answers<In>) -> Answered<In> {
    let items: ItemStream<In> = Box::pin(Statuses(answers));
    Answered::Stream(items)
}

/// Answers whose errors are statuses.
struct Statuses<In>(Answers<In>);

impl<In> Stream for Statuses<In> {
    type Item = Result<In, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.get_mut().0.as_mut().poll_next(context);
        next.map(|item| item.map(|item| item.map_err(Status::from)))
    }
}

/// Requests as they were sent. Where they break off, nothing more comes.
struct Sent<Out>(Streaming<Out>);

impl<Out> Stream for Sent<Out> {
    type Item = Out;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Out>> {
        let next = Pin::new(&mut self.get_mut().0).poll_next(context);
        next.map(|item| item.and_then(Result::ok))
    }
}
