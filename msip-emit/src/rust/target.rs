//! The target: what the emitter must know besides the schema.

use std::collections::BTreeMap;
use std::fmt;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use msip_schema::{Direction, Schema, TypeName};

use super::names;
use crate::write::Case;

/// Which sides of the protocol the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sides {
    /// Clients and servers.
    #[default]
    Both,
    /// Clients only: they send `ClientToServer` and handle `ServerToClient`.
    Client,
    /// Servers only: they send and broadcast `ServerToClient` and handle `ClientToServer`.
    Server,
}

/// An envelope that is the user's own enum, as in a derive: only implementations are written for it.
#[derive(Debug, Clone)]
pub struct UserEnum {
    ident: Ident,
    variants: BTreeMap<String, Ident>,
}

impl UserEnum {
    /// The enum of this name, its variants by the names of the schema's members.
    ///
    /// A variant that is not listed is expected to be called [`names::variant_name`]. A member with a message is a tuple
    /// variant of one field, an empty one a unit variant.
    pub fn new(ident: Ident, variants: impl IntoIterator<Item = (String, Ident)>) -> Self {
        Self {
            ident,
            variants: variants.into_iter().collect(),
        }
    }

    pub(super) fn ident(&self) -> &Ident {
        &self.ident
    }

    pub(super) fn variant(&self, member: &str) -> Option<&Ident> {
        self.variants.get(member)
    }
}

/// What the emitter must know besides the schema: the paths and names of the Rust that surrounds its output.
///
/// [`new`](Self::new) has defaults that suit a generated file; each other method replaces one of them.
#[derive(Clone)]
pub struct Target<'a> {
    type_path: &'a dyn Fn(&TypeName) -> TokenStream,
    pub(super) runtime: TokenStream,
    sides: Sides,
    client_to_server: Option<UserEnum>,
    server_to_client: Option<UserEnum>,
    pub(super) fingerprint: TokenStream,
    pub(super) descriptors: TokenStream,
    pub(super) message_sizes: TokenStream,
    pub(super) visibility: TokenStream,
    taken: Option<&'a dyn Fn(&str) -> bool>,
    explains: bool,
}

impl<'a> Target<'a> {
    /// Writes for both sides, with the runtime at `::msip_runtime`, everything `pub`, a fingerprint of 0 and no
    /// descriptors.
    ///
    /// `type_path` returns the path of a message's Rust type: `ConnectReq`, `::shared::v1::Position`. It is called for
    /// the payloads of members only.
    pub fn new(type_path: &'a dyn Fn(&TypeName) -> TokenStream) -> Self {
        Self {
            type_path,
            runtime: quote!(::msip_runtime),
            sides: Sides::Both,
            client_to_server: None,
            server_to_client: None,
            fingerprint: quote!(0),
            descriptors: quote!(&[]),
            message_sizes: quote!(&[]),
            visibility: quote!(pub),
            taken: None,
            explains: true,
        }
    }

    /// The absolute path of the runtime.
    #[must_use]
    pub fn runtime(mut self, path: TokenStream) -> Self {
        self.runtime = path;
        self
    }

    /// The sides for which send and handle traits are written.
    #[must_use]
    pub fn sides(mut self, sides: Sides) -> Self {
        self.sides = sides;
        self
    }

    /// Uses an enum of the user's for this direction: only its implementations are written.
    #[must_use]
    pub fn user_enum(mut self, direction: Direction, user_enum: UserEnum) -> Self {
        match direction {
            Direction::ClientToServer => self.client_to_server = Some(user_enum),
            Direction::ServerToClient => self.server_to_client = Some(user_enum),
        }
        self
    }

    /// The schema's fingerprint: an expression of type `u64`.
    #[must_use]
    pub fn fingerprint(mut self, expression: TokenStream) -> Self {
        self.fingerprint = expression;
        self
    }

    /// The encoded descriptor set: an expression of type `&'static [u8]`.
    #[must_use]
    pub fn descriptors(mut self, expression: TokenStream) -> Self {
        self.descriptors = expression;
        self
    }

    /// The sizes of the messages' types: an expression of type `&'static [MessageSize]`.
    #[must_use]
    pub fn message_sizes(mut self, expression: TokenStream) -> Self {
        self.message_sizes = expression;
        self
    }

    /// The visibility of every item, instead of `pub`.
    #[must_use]
    pub fn visibility(mut self, visibility: TokenStream) -> Self {
        self.visibility = visibility;
        self
    }

    /// Tells which names the surrounding module has already; the protocol's type gets none of them.
    ///
    /// By default these are the names of the package's own messages and enums, as far as the schema reaches them. A
    /// file may have more, which only its front end knows.
    #[must_use]
    pub fn taken(mut self, taken: &'a dyn Fn(&str) -> bool) -> Self {
        self.taken = Some(taken);
        self
    }

    /// Whether `#[diagnostic::on_unimplemented]` is written on the handle traits; it is by default.
    ///
    /// In a module that has a module called `diagnostic`, such as that of a message `Diagnostic` with nested types, the
    /// attribute does not compile. If the schema has such a type it is left out anyway.
    #[must_use]
    pub fn explains(mut self, explains: bool) -> Self {
        self.explains = explains;
        self
    }

    /// The name of the protocol's type.
    pub fn protocol_name(&self, schema: &Schema) -> String {
        let package = schema.package();
        names::protocol_name(package, |name| match self.taken {
            Some(taken) => taken(name),
            None => {
                own_types(schema).any(|own| !own.contains('.') && names::type_name(own) == name)
            }
        })
    }

    /// Whether the handle traits may have a message of their own for types that do not implement them.
    pub(super) fn can_explain(&self, schema: &Schema) -> bool {
        self.explains
            && !own_types(schema).any(|own| {
                own.split_once('.')
                    .is_some_and(|(module, _)| Case::Snake.apply(module) == "diagnostic")
            })
    }

    pub(super) fn type_path(&self, name: &TypeName) -> TokenStream {
        (self.type_path)(name)
    }

    pub(super) fn user_enum_of(&self, direction: Direction) -> Option<&UserEnum> {
        match direction {
            Direction::ClientToServer => self.client_to_server.as_ref(),
            Direction::ServerToClient => self.server_to_client.as_ref(),
        }
    }

    /// Whether the output is for the side that sends in this direction.
    pub(super) fn sends(&self, direction: Direction) -> bool {
        match direction {
            Direction::ClientToServer => self.sides != Sides::Server,
            Direction::ServerToClient => self.sides != Sides::Client,
        }
    }

    /// Whether the output is for the side that handles messages of this direction.
    pub(super) fn handles(&self, direction: Direction) -> bool {
        self.sends(direction.reverse())
    }
}

/// The names of the types in the package and below it, without the package.
fn own_types(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.types().keys().filter_map(|full_name| {
        full_name
            .as_str()
            .strip_prefix(schema.package())?
            .strip_prefix('.')
    })
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("runtime", &self.runtime.to_string())
            .field("sides", &self.sides)
            .field("client_to_server", &self.client_to_server)
            .field("server_to_client", &self.server_to_client)
            .finish_non_exhaustive()
    }
}
