//! Lowering of a file that declares a protocol to a draft of the model.

use msip_schema::{
    Code, Diagnostic, Direction, Draft, DraftEnvelope, FieldType, Reserved, Span, Spanned, TypeDef,
    Types,
};

use super::envelope;
use super::files::{Files, ProtoFile};
use super::node_path::NodePath;
use super::service;
use super::source_info::{package_name, tag};
use super::types::Lowering;

/// The draft of a protocol, and whether its envelopes are known to be incomplete.
pub(crate) struct Reading {
    pub(crate) draft: Draft,
    /// Whether an envelope is missing or has no valid members. That is reported, and references to its members fail for
    /// that reason alone.
    pub(crate) is_partial: bool,
}

/// Reads the protocol of a file.
pub(crate) fn read(index: usize, lowering: &mut Lowering<'_>, types: &Types) -> Reading {
    let file = file_at(lowering.files, index);
    let root = NodePath {
        index,
        file,
        path: Vec::new(),
        full: file.package().to_owned(),
    };
    let package = Spanned::new(file.package().to_owned(), package_span(&root, lowering));
    let mut is_partial = false;
    let mut envelope = |direction| {
        envelope::read(&root, direction, lowering).unwrap_or_else(|| {
            is_partial = true;
            DraftEnvelope {
                span: package.span,
                doc: String::new(),
                members: Vec::new(),
                reserved: Reserved::default(),
            }
        })
    };
    let client_to_server = envelope(Direction::ClientToServer);
    let server_to_client = envelope(Direction::ServerToClient);
    // Members that were reported and left out are missing elsewhere.
    is_partial |= client_to_server.members.is_empty() || server_to_client.members.is_empty();
    let methods = service::methods(&root, lowering);
    refuse_envelopes_as_types(&root, lowering, types);
    let draft = Draft {
        doc: file.source_info.head(),
        types: Types::new(),
        package,
        client_to_server,
        server_to_client,
        methods,
    };
    Reading { draft, is_partial }
}

/// Indices of files are made by the loader, and a protocol is always one of its files.
fn file_at(files: &Files, index: usize) -> &ProtoFile {
    &files.files[index]
}

/// The span of the package's name; reports a missing package.
fn package_span(root: &NodePath<'_>, lowering: &mut Lowering<'_>) -> Span {
    if let Some(span) = package_name(&root.file.source_info, lowering.report) {
        return span;
    }
    let file = root.file.source_info.file();
    let bytes = root
        .file
        .source_info
        .bytes(&[tag::FILE_SYNTAX])
        .unwrap_or(0..0);
    let span = lowering.report.span(file, bytes);
    if !root.file.package().is_empty() {
        // A file of a descriptor set, of which there is no text.
        return span;
    }
    let text = "the file has no package, which names the protocol";
    let help = "write one below `syntax`, such as `package chat;`";
    lowering
        .report
        .push(Diagnostic::new(Code::MISSING_PACKAGE, span, text).help(help));
    span
}

/// Reports fields whose type is an envelope: envelopes become enums, which no message can contain.
fn refuse_envelopes_as_types(root: &NodePath<'_>, lowering: &mut Lowering<'_>, types: &Types) {
    let messages = types.values().filter_map(|def| match def {
        TypeDef::Message(message) => Some(message),
        TypeDef::Enum(_) => None,
    });
    for field in messages.flat_map(|message| &message.fields) {
        let FieldType::Message(name) = &field.ty else {
            continue;
        };
        let is_envelope = [Direction::ClientToServer, Direction::ServerToClient]
            .iter()
            .any(|direction| {
                super::symbols::join(&root.full, direction.envelope_name()) == name.as_str()
            });
        if is_envelope {
            let text = format!(
                "the field `{}` holds `{name}`, which is not a message of its own",
                field.name
            );
            let help =
                "name the messages that it may hold, or declare another message with a oneof";
            lowering
                .report
                .push(Diagnostic::new(Code::INVALID_SCHEMA, field.span, text).help(help));
        }
    }
}
