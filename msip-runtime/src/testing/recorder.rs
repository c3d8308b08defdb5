//! A sender that records instead of sending.

use std::sync::Arc;

use super::{Answer, script::Script};
use crate::{CallError, Envelope, Outbound, OutboundAll, Protocol, SendError, Stream, Streaming};

/// The methods that every recording stub has.
macro_rules! scripted {
    ($(impl<$($parameter:ident $(: $bound:path)?),*> $ty:ty: $out:ty => $in:ty;)*) => {$(
        impl<$($parameter $(: $bound)?),*> $ty {
            /// Takes the messages sent since the last call, in order. Each item of a request stream is a message.
            ///
            /// Messages are kept until they are taken.
            pub fn take_sent(&self) -> Vec<$out> {
                self.settle();
                self.script.take_sent()
            }

            /// Takes the next message; waits for one.
            ///
            /// # Cancel safety
            ///
            /// Dropping the future loses nothing.
            pub async fn next_sent(&self) -> $out {
                self.script.next_sent().await
            }

            /// Queues an answer. A call, or a message sent for acknowledgment, takes the first queued answer that
            /// fits it: its response message, a stream if its response is a stream, or an error.
            pub fn answer(&self, answer: impl Into<Answer<$in>>) {
                self.script.answer(answer.into());
            }

            /// AnswerStream with the result of this function where no queued answer fits. It is called for each item of a
            /// request stream, and may return [`Answer::nothing`] until it has an answer.
            ///
            /// A call without an answer is refused with `UNIMPLEMENTED`, and any other message is acknowledged.
            pub fn answer_with<A: Into<Answer<$in>>>(
                &self,
                mut answering: impl FnMut(&$out) -> A + Send + 'static,
            ) {
                self.script
                    .answer_with(Box::new(move |message| answering(message).into()));
            }

            /// The number of queued answers left: 0 if every expected call was made.
            #[must_use]
            pub fn answers_left(&self) -> usize {
                self.settle();
                self.script.answers_left()
            }
        }
    )*};
}
pub(super) use scripted;

/// A sender that records instead of sending: for tests of code that is generic over a send trait.
///
/// It has the methods of every protocol's send traits, and those of a broadcast. Sent messages are recorded
/// ([`take_sent`](Self::take_sent)), and calls are answered by the test ([`answer`](Self::answer),
/// [`answer_with`](Self::answer_with)). Nothing is encoded, and no time passes. Clones share their recording.
///
/// [`ClientRecorder`] and [`PeerRecorder`] are aliases with a protocol as parameter.
///
/// # Examples
///
/// ```
/// # mod chat {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, PartialEq, ClientToServer)]
/// #     #[msip(protocol = "chat")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         ConnectReq(ConnectReq),
/// #         #[msip(tag = 2)]
/// #         MessageInd(MessageInd),
/// #     }
/// #     #[derive(Debug, PartialEq, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         ConnectRsp(ConnectRsp),
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct ConnectReq {
/// #         #[msip(tag = 1)]
/// #         pub user: String,
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct ConnectRsp {
/// #         #[msip(tag = 1)]
/// #         pub users: Vec<String>,
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct MessageInd {
/// #         #[msip(tag = 1)]
/// #         pub text: String,
/// #     }
/// # }
/// use chat::{Chat, ClientToServer, ConnectReq, ConnectRsp, MessageInd, SendClientToServer, ServerToClient};
/// use msip_runtime::{CallError, testing::ClientRecorder};
///
/// /// The code under test: it asks for what it needs, not for a `Client`.
/// async fn greet(chat: &impl SendClientToServer) -> Result<(), CallError> {
///     let welcome = chat.connect_req(ConnectReq { user: "ada".into() }).await?;
///     for user in welcome.users {
///         chat.message_ind(MessageInd { text: format!("hello {user}") }).await?;
///     }
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), CallError> {
/// let chat = ClientRecorder::<Chat>::new();
/// chat.answer(ServerToClient::ConnectRsp(ConnectRsp { users: vec!["bob".into()] }));
/// greet(&chat).await?;
/// assert_eq!(
///     chat.take_sent(),
///     [
///         ClientToServer::ConnectReq(ConnectReq { user: "ada".into() }),
///         ClientToServer::MessageInd(MessageInd { text: "hello bob".into() }),
///     ],
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recorder<Out, In> {
    script: Arc<Script<Out, In>>,
}

/// A [`Recorder`] in place of a [`Client`](crate::Client).
pub type ClientRecorder<P> =
    Recorder<<P as Protocol>::ClientToServer, <P as Protocol>::ServerToClient>;

/// A [`Recorder`] in place of a [`Peer`](crate::Peer) or a [`Broadcast`](crate::Broadcast).
pub type PeerRecorder<P> =
    Recorder<<P as Protocol>::ServerToClient, <P as Protocol>::ClientToServer>;

impl<Out, In> Recorder<Out, In> {
    /// Creates a recorder without messages and answers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            script: Arc::default(),
        }
    }

    /// Makes every later send fail with this error, for instance [`SendError::Disconnected`]; with `None` sends succeed
    /// again. Failed messages are not recorded.
    pub fn fail_sends(&self, error: impl Into<Option<SendError>>) {
        self.script.fail_sends(error.into());
    }
}

impl<Out, In> Recorder<Out, In> {
    /// Messages are recorded as they are sent.
    const fn settle(&self) {}
}

scripted! {
    impl<Out, In> Recorder<Out, In>: Out => In;
}

impl<Out, In> Default for Recorder<Out, In> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Out, In> Clone for Recorder<Out, In> {
    fn clone(&self) -> Self {
        Self {
            script: Arc::clone(&self.script),
        }
    }
}

impl<Out: Envelope, In: Envelope> Outbound<Out, In> for Recorder<Out, In> {
    async fn send(&self, message: Out) -> Result<(), SendError> {
        self.try_send(message)
    }

    fn try_send(&self, message: Out) -> Result<(), SendError> {
        self.script.check()?;
        self.script.record(message);
        Ok(())
    }

    async fn deliver(&self, message: Out) -> Result<(), CallError> {
        self.script.check()?;
        self.script.deliver(message)
    }

    async fn call(&self, request: Out) -> Result<In, CallError> {
        self.script.check()?;
        self.script.call(request)
    }

    async fn call_streaming(&self, request: Out) -> Result<Streaming<In>, CallError> {
        self.script.check()?;
        Ok(Streaming::local(self.script.call_streaming(request)))
    }

    async fn upload(
        &self,
        variant: u16,
        requests: impl Stream<Item = Out> + Send + 'static,
    ) -> Result<In, CallError> {
        self.script.check()?;
        self.script.upload(variant, requests).await
    }

    async fn exchange(
        &self,
        variant: u16,
        requests: impl Stream<Item = Out> + Send + 'static,
    ) -> Result<Streaming<In>, CallError> {
        self.script.check()?;
        Ok(Streaming::local(self.script.converse(variant, requests)))
    }
}

/// As with one receiver; none while sends fail.
impl<Out: Envelope, In: Envelope> OutboundAll<Out> for Recorder<Out, In> {
    fn send_all(&self, message: Out) -> usize {
        usize::from(self.try_send(message).is_ok())
    }
}
