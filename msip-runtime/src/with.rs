//! A client or peer with options.

use crate::CallOptions;

/// A reference to a client or peer, with [`CallOptions`] for all that is sent through it; created by their `with`.
///
/// It implements the same send traits.
///
/// # Examples
///
/// ```
/// # mod shop {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(ClientToServer)]
/// #     #[msip(protocol = "shop")]
/// #     pub enum ClientToServer { #[msip(tag = 1)] PriceReq(PriceReq) }
/// #     #[derive(ServerToClient)]
/// #     pub enum ServerToClient { #[msip(tag = 1)] PriceRsp(PriceRsp) }
/// #     #[derive(Message)]
/// #     pub struct PriceReq { #[msip(tag = 1)] pub article: u64 }
/// #     #[derive(Message)]
/// #     pub struct PriceRsp { #[msip(tag = 1)] pub cents: u64 }
/// # }
/// use msip_runtime::{CallError, CallOptions, Client};
/// use shop::{PriceReq, SendClientToServer as _, Shop};
/// use std::time::Duration;
///
/// async fn price(client: &Client<Shop>, article: u64) -> Result<u64, CallError> {
///     let options = CallOptions::new()
///         .timeout(Duration::from_millis(500))
///         .header("tenant", "north");
///     let answer = client.with(options).price_req(PriceReq { article }).await?;
///     Ok(answer.cents)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct With<'a, T> {
    pub(crate) target: &'a T,
    pub(crate) options: CallOptions,
}
