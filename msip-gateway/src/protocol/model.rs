//! A protocol, as the gateway knows it.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use msip_codegen::Builder;
use msip_emit::Compilation;
use msip_runtime::{
    Protocol, Variant,
    untyped::{JsonMessage, JsonTranslator},
};
use msip_schema::{Compression, Direction, Exchange, Member, Payload, Schema, TypeDef, TypeName};

use super::{
    SchemaError,
    operation::{Content, Operation, Shape},
};

/// What the gateway knows of a protocol, read while it runs: its schema, and how its messages are translated between JSON and
/// protobuf. It is cheap to clone.
///
/// ```no_run
/// use msip_gateway::ProtocolModel;
///
/// let models = ProtocolModel::from_protos(&["proto/chat.proto"], &["proto"])?;
/// assert_eq!(models[0].schema().package(), "chat");
/// # Ok::<_, msip_gateway::SchemaError>(())
/// ```
#[derive(Clone)]
pub struct ProtocolModel(Arc<Inner>);

struct Inner {
    schema: Schema,
    translator: JsonTranslator,
    /// What a client may send, by name.
    operations: BTreeMap<String, Arc<Operation>>,
    /// What a server may send, by number.
    from_server: BTreeMap<u16, (String, Content)>,
}

impl ProtocolModel {
    /// Reads the protocols that these `.proto` files declare; `includes` are the folders relative to which files and imports are
    /// named, or none for the folders of the files.
    ///
    /// # Errors
    ///
    /// All mistakes of all files together; or no file declares a protocol.
    pub fn from_protos(
        files: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Vec<Self>, SchemaError> {
        let read = Builder::new().includes(includes).read(files)?;
        let models = Self::of_compilation(&read)?;
        if models.is_empty() {
            let files: Vec<_> = files
                .iter()
                .map(|file| file.as_ref().display().to_string())
                .collect();
            return Err(SchemaError::NoProtocol {
                files: files.join(", "),
            });
        }
        Ok(models)
    }

    /// Reads protocols from files of both kinds: `.proto` files, and descriptor sets, which end in `.bin`, `.pb` or `.binpb`.
    ///
    /// # Errors
    ///
    /// As [`from_protos`](Self::from_protos); or a file cannot be read.
    pub fn from_files(
        files: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Vec<Self>, SchemaError> {
        let is_set = |path: &&Path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("bin" | "pb" | "binpb"))
        };
        let files = files.iter().map(AsRef::as_ref);
        let (sets, protos): (Vec<&Path>, Vec<&Path>) = files.partition(is_set);
        let mut models = match protos.is_empty() {
            true => Vec::new(),
            false => Self::from_protos(&protos, includes)?,
        };
        for path in sets {
            let set = std::fs::read(path).map_err(|source| SchemaError::File {
                path: path.to_owned(),
                source,
            })?;
            models.extend(Self::from_descriptor_set(&set)?);
        }
        Ok(models)
    }

    /// The protocols of an encoded `FileDescriptorSet` that holds everything that its files import, such as msip-codegen and
    /// `protoc --include_imports` write. Comments are there where the set has source information.
    ///
    /// # Errors
    ///
    /// It is malformed, or declares no protocol.
    pub fn from_descriptor_set(descriptor_set: &[u8]) -> Result<Vec<Self>, SchemaError> {
        let read = msip_codegen::read_descriptor_set(descriptor_set)?;
        let models = Self::of_compilation(&read)?;
        match models.is_empty() {
            true => Err(SchemaError::NoProtocol {
                files: "the descriptor set".to_owned(),
            }),
            false => Ok(models),
        }
    }

    /// The protocol in the text of a `.proto` file, such as `msip_runtime::proto_text` writes for one that is derived from Rust
    /// types.
    ///
    /// # Errors
    ///
    /// All mistakes together; or it is no protocol.
    pub fn from_proto_text(text: &str) -> Result<Self, SchemaError> {
        let read = msip_codegen::read_proto_text("protocol.proto", text)?;
        let none = SchemaError::NoProtocol {
            files: "the text".to_owned(),
        };
        Self::of_compilation(&read)?.pop().ok_or(none)
    }

    /// The protocol `P`, which was generated from `.proto` files. Comments are not there.
    ///
    /// ```ignore
    /// let model = ProtocolModel::of::<Chat>()?;
    /// ```
    ///
    /// # Errors
    ///
    /// [`SchemaError::NotInDescriptors`] for a protocol that is derived from Rust types.
    pub fn of<P: Protocol>() -> Result<Self, SchemaError> {
        let not_there = || SchemaError::NotInDescriptors {
            package: P::NAME.to_owned(),
        };
        let models = Self::from_descriptor_set(P::descriptor_set()).map_err(|_| not_there())?;
        let mut models = models.into_iter();
        let model = models.find(|model| model.schema().package() == P::NAME);
        model
            .filter(|model| model.schema().fingerprint() == P::fingerprint())
            .ok_or_else(not_there)
    }

    /// The protocols of what a front end has read.
    ///
    /// # Errors
    ///
    /// The descriptors cannot be used.
    pub fn of_compilation(read: &Compilation) -> Result<Vec<Self>, SchemaError> {
        let models = read.protocols.iter().map(|protocol| {
            let files = read.with_imports([protocol.file]);
            let schema = protocol.schema.clone();
            Self::new(schema, &read.descriptor_set(files))
        });
        models.collect()
    }

    /// The protocol of a schema and its descriptors, as an encoded `FileDescriptorSet` with all imports.
    ///
    /// # Errors
    ///
    /// The descriptors are malformed.
    pub fn new(schema: Schema, descriptor_set: &[u8]) -> Result<Self, SchemaError> {
        let translator =
            JsonTranslator::new(descriptor_set).map_err(|source| SchemaError::Descriptors {
                package: schema.package().to_owned(),
                source,
            })?;
        let content = |member: &Member| Content {
            message: match &member.payload {
                Payload::Message(name) => translator.message(name.as_str()),
                Payload::Empty => None,
            },
        };
        let server = schema.envelope(Direction::ServerToClient);
        let members = schema.envelope(Direction::ClientToServer).members.iter();
        let operations = members.filter_map(|member| {
            let operation = Operation {
                name: member.name.clone(),
                variant: variant(member, |name| {
                    server.member(name).map_or(0, |answer| answer.number)
                }),
                shape: Shape::of(member)?,
                has_no_side_effects: member.no_side_effects,
                request: content(member),
                key: key_number(&schema, member),
            };
            Some((member.name.clone(), Arc::new(operation)))
        });
        let operations = operations.collect();
        let from_server = server
            .members
            .iter()
            .map(|member| (member.number, (member.name.clone(), content(member))))
            .collect();
        Ok(Self(Arc::new(Inner {
            operations,
            from_server,
            translator,
            schema,
        })))
    }

    /// The schema, with its comments.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.0.schema
    }

    /// What a client may send, by the names of the members.
    pub fn operations(&self) -> impl Iterator<Item = &Arc<Operation>> {
        self.0.operations.values()
    }

    /// The operation of this member.
    #[must_use]
    pub fn operation(&self, member: &str) -> Option<&Arc<Operation>> {
        self.0.operations.get(member)
    }

    /// The translation of a message, by its full name.
    #[must_use]
    pub fn message(&self, name: &TypeName) -> Option<JsonMessage> {
        self.0.translator.message(name.as_str())
    }

    /// The name and the content of what a server has sent.
    pub(crate) fn server_member(&self, number: u16) -> Option<(&str, &Content)> {
        let (name, content) = self.0.from_server.get(&number)?;
        Some((name, content))
    }
}

impl fmt::Debug for ProtocolModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtocolModel")
            .field("package", &self.schema().package())
            .finish_non_exhaustive()
    }
}

/// The row of a member, as a client sends it. `number_of` finds a member of the server.
fn variant(member: &Member, number_of: impl Fn(&str) -> u16) -> Variant {
    let mut variant = Variant::new(member.number, "", member.kind);
    match &member.exchange {
        Exchange::OneWay => {}
        Exchange::Acknowledged => variant = variant.acknowledged(),
        Exchange::Answer => variant = variant.answer(),
        Exchange::Call {
            response,
            request_stream,
            response_stream,
        } => {
            variant = variant.call(number_of(response));
            if *request_stream {
                variant = variant.request_stream();
            }
            if *response_stream {
                variant = variant.response_stream();
            }
        }
    }
    if let Some(timeout) = member.timeout {
        variant = variant.timeout_ms(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
    }
    if member.urgent {
        variant = variant.urgent();
    }
    if member.compress == Compression::Never {
        variant = variant.uncompressed();
    }
    if member.idempotent {
        variant = variant.idempotent();
    }
    variant
}

/// The number of the field that is a member's key.
fn key_number(schema: &Schema, member: &Member) -> Option<u32> {
    let Payload::Message(name) = &member.payload else {
        return None;
    };
    let TypeDef::Message(message) = schema.types().get(name)? else {
        return None;
    };
    let key = member.key.as_ref()?;
    let field = message.fields.iter().find(|field| field.name == *key)?;
    Some(field.number)
}
