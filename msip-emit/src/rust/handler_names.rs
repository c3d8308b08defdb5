//! Names that differ between the handlers of servers and of clients.

use msip_schema::Direction;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// The names of the handler of one direction.
pub(super) struct HandlerNames {
    pub(super) trait_ident: Ident,
    /// The runtime's trait that the protocol implements for every handler.
    pub(super) runtime_trait: Ident,
    /// The parameter for the other end of the connection, and its type in the runtime.
    pub(super) other: Ident,
    pub(super) other_type: Ident,
    pub(super) connected: Ident,
    pub(super) disconnected: Ident,
    /// Whether the handler is called after a failed attempt to connect.
    pub(super) connects: bool,
}

impl HandlerNames {
    /// What the callback of a new connection returns: that of a client can fail.
    pub(super) fn logged_in(&self, runtime: &TokenStream) -> TokenStream {
        if self.connects {
            quote!(::core::result::Result<(), #runtime::Status>)
        } else {
            quote!(())
        }
    }

    pub(super) fn of(direction: Direction) -> Self {
        let trait_ident = format_ident!("Handle{}", direction.envelope_name());
        match direction {
            Direction::ClientToServer => Self {
                trait_ident,
                runtime_trait: format_ident!("ServeWith"),
                other: format_ident!("peer"),
                other_type: format_ident!("Peer"),
                connected: format_ident!("on_client_connected"),
                disconnected: format_ident!("on_client_disconnected"),
                connects: false,
            },
            Direction::ServerToClient => Self {
                trait_ident,
                runtime_trait: format_ident!("ConnectWith"),
                other: format_ident!("client"),
                other_type: format_ident!("Client"),
                connected: format_ident!("on_connected"),
                disconnected: format_ident!("on_disconnected"),
                connects: true,
            },
        }
    }
}
