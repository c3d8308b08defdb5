//! Items with `#[msip(…)]`, and the options that each allows.

use msip_schema::closest_name;
use quote::ToTokens as _;
use syn::Path;

/// The kind of item that has an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The enum of the client's messages.
    ClientToServer,
    /// The enum of the server's messages.
    ServerToClient,
    /// A variant of one of the two.
    Member,
    /// A struct with named fields.
    Message,
    /// A field of it.
    Field,
    /// An enum with data.
    OneOf,
    /// A variant of it.
    OneOfMember,
    /// An enum without data.
    OpenEnum,
    /// A variant of it.
    OpenValue,
    /// A tuple struct of one field.
    Newtype,
    /// That field.
    Inner,
    /// Anything else, which is reported already.
    Unknown,
}

impl Place {
    const ALL: [Self; 11] = [
        Self::ClientToServer,
        Self::ServerToClient,
        Self::Member,
        Self::Message,
        Self::Field,
        Self::OneOf,
        Self::OneOfMember,
        Self::OpenEnum,
        Self::OpenValue,
        Self::Newtype,
        Self::Inner,
    ];

    /// The options that are allowed here.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::ClientToServer => &["protocol", "rename_all", "reserved", "crate"],
            Self::ServerToClient => &["rename_all", "reserved"],
            Self::Member => &[
                "tag",
                "name",
                "kind",
                "request",
                "reply",
                "response",
                "timeout",
                "timeout_ms",
                "urgent",
                "uncompressed",
                "idempotent",
                "key",
                "code",
            ],
            Self::Message | Self::OneOf => &["name", "rename_all", "reserved", "crate"],
            Self::Field => &["tag", "name", "as", "oneof"],
            Self::OneOfMember => &["tag", "name", "as", "other"],
            Self::OpenEnum => &["name", "prefix", "rename_all", "reserved", "crate"],
            Self::OpenValue => &["tag", "name", "other"],
            Self::Newtype => &["crate"],
            Self::Inner => &["as"],
            Self::Unknown => &[],
        }
    }

    /// Its name in messages.
    const fn title(self) -> &'static str {
        match self {
            Self::ClientToServer => "the enum with `#[derive(ClientToServer)]`",
            Self::ServerToClient => "the enum with `#[derive(ServerToClient)]`",
            Self::Member => "a variant of one of the protocol's two enums",
            Self::Message => "a struct with `#[derive(Message)]`",
            Self::Field => "a field of a message",
            Self::OneOf => "an enum with data",
            Self::OneOfMember => "a variant of an enum with data",
            Self::OpenEnum => "an enum without data",
            Self::OpenValue => "a variant of an enum without data",
            Self::Newtype => "a tuple struct",
            Self::Inner => "the field of a tuple struct",
            Self::Unknown => "this",
        }
    }

    /// Rejects an option that means nothing here, with a suggestion.
    pub(super) fn allows(self, name: &str, path: &Path) -> syn::Result<()> {
        if self == Self::Unknown || self.names().contains(&name) {
            return Ok(());
        }
        let shown = path.to_token_stream().to_string();
        let elsewhere = Self::ALL
            .into_iter()
            .find(|place| place.names().contains(&name));
        let message = if let Some(elsewhere) = elsewhere {
            format!(
                "`{name}` means nothing on {} [misplaced-option]\nhelp: it belongs on {}",
                self.title(),
                elsewhere.title()
            )
        } else {
            format!(
                "there is no option `{shown}` [unknown-option]\nhelp: {}",
                self.meant(name)
            )
        };
        Err(syn::Error::new_spanned(path, message))
    }

    fn meant(self, name: &str) -> String {
        let known = match name {
            "rename" => Some("name"),
            "number" | "id" | "index" | "field" => Some("tag"),
            "package" => Some("protocol"),
            "encoding" | "with" | "type" => Some("as"),
            "compress" | "no_compress" => Some("uncompressed"),
            "timeout_s" | "deadline" => Some("timeout"),
            "flatten" => Some("oneof"),
            _ => None,
        };
        let known = known.filter(|known| self.names().contains(known));
        if let Some(meant) = known.or_else(|| closest_name(name, self.names().iter().copied())) {
            return format!("did you mean `{meant}`?");
        }
        if matches!(name, "skip" | "default" | "flatten") {
            return "all fields of a message are on the wire, and absent ones are zero: keep what is only for this \
                    program in a struct around the message"
                .to_owned();
        }
        let names: Vec<_> = self
            .names()
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        format!("the options of {} are {}", self.title(), names.join(", "))
    }
}
