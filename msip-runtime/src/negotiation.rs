//! Agreeing on codec and compression: what a client offers, a server takes and a client accepts.

#[cfg(any(feature = "json", feature = "msgpack"))]
use std::sync::OnceLock;

#[cfg(any(feature = "json", feature = "msgpack"))]
use crate::body::ProtocolShapes;
use crate::{
    Code, Protocol, Status,
    body::{Agreed, Choice as _, Codec, Compression, Encoding, Writing},
    settings::Settings,
};
use msip_session::wire::{Hello, Side, Welcome};

/// What one client, or all connections of one protocol of a server, need for codecs other than protobuf; made when it is
/// needed.
#[derive(Debug)]
pub(crate) struct Translations {
    /// What makes the shapes of the protocol's messages; nothing where bodies are not looked into.
    #[cfg(any(feature = "json", feature = "msgpack"))]
    make: Option<fn() -> Result<ProtocolShapes, String>>,
    #[cfg(any(feature = "json", feature = "msgpack"))]
    shapes: OnceLock<Result<ProtocolShapes, String>>,
}

impl Translations {
    /// Those of a typed protocol.
    #[cfg_attr(
        not(any(feature = "json", feature = "msgpack")),
        expect(
            clippy::extra_unused_type_parameters,
            reason = "there is only protobuf, whatever the protocol"
        )
    )]
    pub(crate) fn of<P: Protocol>() -> Self {
        Self {
            #[cfg(any(feature = "json", feature = "msgpack"))]
            make: Some(ProtocolShapes::of::<P>),
            #[cfg(any(feature = "json", feature = "msgpack"))]
            shapes: OnceLock::new(),
        }
    }

    /// None: bodies are bytes here, in whatever codec.
    pub(crate) fn none() -> Self {
        Self {
            #[cfg(any(feature = "json", feature = "msgpack"))]
            make: None,
            #[cfg(any(feature = "json", feature = "msgpack"))]
            shapes: OnceLock::new(),
        }
    }

    #[cfg(any(feature = "json", feature = "msgpack"))]
    fn writing(&self, codec: Codec, side: Side) -> Result<Writing, String> {
        if codec == Codec::Protobuf {
            return Ok(Writing::Protobuf);
        }
        let Some(make) = self.make else {
            return Ok(Writing::Opaque(codec));
        };
        let shapes = self.shapes.get_or_init(make);
        let transcoder = shapes
            .as_ref()
            .map_err(String::clone)?
            .transcoder(codec, side);
        // Only what is built can be agreed on, and protobuf alone needs none.
        Ok(transcoder.map_or(Writing::Protobuf, Writing::Tree))
    }

    #[cfg(not(any(feature = "json", feature = "msgpack")))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "there is only protobuf"
    )]
    fn writing(&self, _codec: Codec, _side: Side) -> Result<Writing, String> {
        Ok(Writing::Protobuf)
    }

    fn encoding(
        &self,
        codec: Codec,
        compression: Compression,
        side: Side,
        settings: &Settings,
    ) -> Result<Encoding, String> {
        Ok(Encoding::new(Agreed {
            writing: self.writing(codec, side)?,
            compression,
            threshold: settings.compress_threshold,
            max_body: settings.max_body,
        }))
    }

    /// What a server takes of a client's offer: of both lists the first that it has, and no compression where it has
    /// none of them.
    ///
    /// # Errors
    ///
    /// There is no codec that both have.
    pub(crate) fn take(&self, hello: &Hello, settings: &Settings) -> Result<Encoding, Status> {
        let codec = if hello.codecs.is_empty() {
            Codec::Protobuf
        } else {
            Codec::first_of(&hello.codecs).ok_or_else(|| {
                let (ours, theirs) = (Codec::built(), Codec::names(&hello.codecs));
                let text =
                    format!("no codec in common: this server has {ours}, and {theirs} was offered");
                Status::new(Code::Unimplemented, text)
            })?
        };
        let compression = Compression::first_of(&hello.compressions).unwrap_or_default();
        self.encoding(codec, compression, Side::Accepting, settings)
            .map_err(Status::internal)
    }

    /// What a client makes of a server's choice.
    ///
    /// # Errors
    ///
    /// The rule that the server broke: it chose something that was not offered.
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
            return Err(format!("chose the codec {chosen}, and {codec} was offered"));
        }
        let compression = match welcome.compression {
            number if number == Compression::None.number() => Compression::None,
            number if number == compress.number() => compress,
            number => {
                let chosen = Compression::names(&[number]);
                return Err(format!(
                    "chose the compression {chosen}, and {compress} was offered"
                ));
            }
        };
        self.encoding(codec, compression, Side::Connecting, settings)
    }
}

/// Says in a client's HELLO what its settings ask for.
pub(crate) fn offer(hello: &mut Hello, settings: &Settings) {
    hello.codecs = vec![settings.codec.number()];
    if settings.compress != Compression::None {
        hello.compressions = vec![settings.compress.number()];
    }
}

/// Says in a server's Welcome what was taken.
pub(crate) fn tell(welcome: &mut Welcome, encoding: &Encoding) {
    welcome.codec = encoding.codec().number();
    welcome.compression = encoding.compression().number();
}
