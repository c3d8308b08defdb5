//! Negotiation of codec and compression: the client offers, the server chooses, the client checks the choice.

use std::collections::BTreeMap;
#[cfg(any(feature = "json", feature = "msgpack"))]
use std::sync::OnceLock;

#[cfg(any(feature = "json", feature = "msgpack"))]
use crate::body::ProtocolDescriptors;
use crate::{
    Code, CodecSet, Identity, Protocol, Status,
    body::{BodyFormat, Codec, Compression, Encoding, EncodingParams, Negotiable as _},
    settings::Settings,
};
use msip_session::{
    Session,
    wire::{ERROR_METADATA, Hello, Side, Welcome},
};

/// How long a name may be that a HELLO states, in bytes (docs/protocol.md, "Handshake").
pub(crate) const MAX_NAME_LEN: usize = 256;

/// The first [`MAX_NAME_LEN`] bytes of what a client calls itself, to the end of a character. A text of its own, which holds no
/// more than that.
pub(crate) fn cut_name(name: &str) -> String {
    let is_end = |end: &usize| name.is_char_boundary(*end);
    let end = (0..=MAX_NAME_LEN.min(name.len())).rev().find(is_end);
    name.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// The descriptors that codecs other than protobuf need, shared by the connections of a client, or of one protocol of a
/// server. Built on first use.
#[derive(Debug)]
pub(crate) struct Translations {
    /// Builds the descriptors of the protocol; `None` where bodies are opaque.
    #[cfg(any(feature = "json", feature = "msgpack"))]
    build: Option<fn() -> Result<ProtocolDescriptors, String>>,
    #[cfg(any(feature = "json", feature = "msgpack"))]
    descriptors: OnceLock<Result<ProtocolDescriptors, String>>,
}

impl Translations {
    /// Those of a typed protocol.
    #[cfg_attr(
        not(any(feature = "json", feature = "msgpack")),
        expect(
            clippy::extra_unused_type_parameters,
            reason = "protobuf is the only codec"
        )
    )]
    pub(crate) fn of<P: Protocol>() -> Self {
        Self {
            #[cfg(any(feature = "json", feature = "msgpack"))]
            build: Some(ProtocolDescriptors::of::<P>),
            #[cfg(any(feature = "json", feature = "msgpack"))]
            descriptors: OnceLock::new(),
        }
    }

    /// None: bodies are opaque, in any codec.
    pub(crate) fn none() -> Self {
        Self {
            #[cfg(any(feature = "json", feature = "msgpack"))]
            build: None,
            #[cfg(any(feature = "json", feature = "msgpack"))]
            descriptors: OnceLock::new(),
        }
    }

    #[cfg(any(feature = "json", feature = "msgpack"))]
    fn format(&self, codec: Codec, side: Side) -> Result<BodyFormat, String> {
        if codec == Codec::Protobuf {
            return Ok(BodyFormat::Protobuf);
        }
        let Some(build) = self.build else {
            return Ok(BodyFormat::Opaque(codec));
        };
        let descriptors = self.descriptors.get_or_init(build);
        let transcoder = descriptors
            .as_ref()
            .map_err(String::clone)?
            .transcoder(codec, side);
        // Only codecs that are built in are negotiated, and only protobuf needs no transcoder.
        Ok(transcoder.map_or(BodyFormat::Protobuf, BodyFormat::Tree))
    }

    #[cfg(not(any(feature = "json", feature = "msgpack")))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "protobuf is the only codec"
    )]
    fn format(&self, _codec: Codec, _side: Side) -> Result<BodyFormat, String> {
        Ok(BodyFormat::Protobuf)
    }

    fn encoding(
        &self,
        codec: Codec,
        compression: Compression,
        side: Side,
        settings: &Settings,
    ) -> Result<Encoding, String> {
        let params = EncodingParams {
            format: self.format(codec, side)?,
            compression,
            threshold: settings.compress_threshold,
            max_body: settings.max_body,
        };
        Ok(Encoding::new(params, settings.max_decoded()))
    }

    /// The encoding of what a server has chosen.
    ///
    /// # Errors
    ///
    /// The descriptors of the protocol cannot be read.
    pub(crate) fn serve(&self, choice: Choice, settings: &Settings) -> Result<Encoding, Status> {
        self.encoding(choice.codec, choice.compression, Side::Accepting, settings)
            .map_err(Status::internal)
    }

    /// Checks a server's choice, as a client.
    ///
    /// # Errors
    ///
    /// The protocol violation: the server chose something that was not offered.
    pub(crate) fn accept(
        &self,
        welcome: &Welcome,
        settings: &Settings,
    ) -> Result<Encoding, String> {
        let Settings {
            codec, compress, ..
        } = *settings;
        let is_offered =
            welcome.codec == codec.number() || (welcome.codec == 0 && codec == Codec::Protobuf);
        if !is_offered {
            let chosen = Codec::names(&[welcome.codec]);
            return Err(format!("chose the codec {chosen}, but {codec} was offered"));
        }
        let compression = match welcome.compression {
            number if number == Compression::None.number() => Compression::None,
            number if number == compress.number() => compress,
            number => {
                let chosen = Compression::names(&[number]);
                return Err(format!(
                    "chose the compression {chosen}, but {compress} was offered"
                ));
            }
        };
        self.encoding(codec, compression, Side::Connecting, settings)
    }
}

/// What a server has chosen from a client's offer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    codec: Codec,
    compression: Compression,
}

impl Choice {
    /// Chooses from a client's offer, as a server: the first codec and compression that are built in and that its settings
    /// take, and no compression if there is none.
    ///
    /// # Errors
    ///
    /// No codec is in common.
    pub(crate) fn from_offer(hello: &Hello, settings: &Settings) -> Result<Self, Status> {
        // A client that names none means protobuf.
        let offered = match &*hello.codecs {
            [] => &[Codec::Protobuf.number()],
            offered => offered,
        };
        let codec = Codec::first_of(offered, |codec| settings.codecs.contains(codec));
        let codec = codec.ok_or_else(|| no_codec_in_common(offered, settings.codecs))?;
        let is_taken = |compression| settings.compressions.contains(compression);
        let compression = Compression::first_of(&hello.compressions, is_taken).unwrap_or_default();
        Ok(Self { codec, compression })
    }

    /// The same for a client of this identity, which may be one whose compressed bodies are not taken.
    pub(crate) fn of_client(self, identity: Option<&Identity>, settings: &Settings) -> Self {
        if settings.compressions_for.includes(identity) {
            return self;
        }
        Self {
            compression: Compression::None,
            ..self
        }
    }
}

fn no_codec_in_common(offered: &[i32], taken: CodecSet) -> Status {
    let theirs = Codec::names(offered);
    let ours = if taken == CodecSet::BUILT {
        format!("has {}{}", Codec::built(), Codec::features_off(offered))
    } else {
        format!("takes {} (codecs)", taken.to_string().replace(',', ", "))
    };
    let text = format!("no codec in common: the client offers {theirs}, this server {ours}");
    Status::new(Code::Unimplemented, text)
}

/// Adds the offer of a client to its HELLO.
pub(crate) fn offer(hello: &mut Hello, settings: &Settings) {
    hello.codecs = vec![settings.codec.number()];
    if settings.compress != Compression::None {
        hello.compressions = vec![settings.compress.number()];
    }
    hello
        .extensions
        .insert(ERROR_METADATA.to_owned(), Vec::new());
}

/// Adds the choice of a server to its Welcome.
pub(crate) fn tell(welcome: &mut Welcome, encoding: &Encoding) {
    welcome.codec = encoding.codec().number();
    welcome.compression = encoding.compression().number();
    welcome
        .extensions
        .insert(ERROR_METADATA.to_owned(), Vec::new());
}

/// Whether a peer whose HELLO or Welcome has these extensions reads metadata on an ERROR.
pub(crate) fn reads_error_metadata(extensions: &BTreeMap<String, Vec<u8>>) -> bool {
    extensions.contains_key(ERROR_METADATA)
}

/// Uses in a session that begins what the peer has announced in its HELLO or Welcome, and this side announces too.
pub(crate) fn agree(session: &mut Session, reads_error_metadata: bool, encoding: &Encoding) {
    if encoding.compression() != Compression::None {
        session.allow_compressed();
    }
    if reads_error_metadata {
        session.allow_error_metadata();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_at_the_end_of_a_character() {
        let cases = [
            ("", ""),
            ("van", "van"),
            (&"x".repeat(256), &"x".repeat(256)),
            (&"x".repeat(257), &"x".repeat(256)),
            (&"\u{20ac}".repeat(100), &"\u{20ac}".repeat(85)),
        ];
        for (name, cut) in cases {
            assert_eq!(cut_name(name), cut);
        }
    }
}
