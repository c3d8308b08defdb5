//! MSIP's options in places where they mean nothing.

use msip_schema::Direction;
use prost_types::DescriptorProto;

use super::envelope;
use super::node_path::NodePath;
use super::options;
use super::source_info::tag;
use super::types::Lowering;

/// Reports MSIP's options on fields of ordinary messages, in all files. Envelopes may have them even in a file that is only
/// imported, or compiled for its messages.
pub(crate) fn refuse_misplaced_options(lowering: &mut Lowering<'_>) {
    for (index, file) in lowering
        .files
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| file.is_users())
    {
        let root = NodePath {
            index,
            file,
            path: Vec::new(),
            full: file.package().to_owned(),
        };
        let envelopes = [Direction::ClientToServer, Direction::ServerToClient]
            .map(|direction| envelope::find(&file.descriptor.message_type, direction));
        for (position, message) in file.descriptor.message_type.iter().enumerate() {
            let is_envelope = envelopes.contains(&Some(position));
            let at = root.below(tag::FILE_MESSAGE, position, message.name());
            refuse_in_message(&at, message, is_envelope, lowering);
        }
    }
}

fn refuse_in_message(
    at: &NodePath<'_>,
    message: &DescriptorProto,
    is_envelope: bool,
    lowering: &mut Lowering<'_>,
) {
    for (position, nested) in message.nested_type.iter().enumerate() {
        refuse_in_message(
            &at.below(tag::MESSAGE_NESTED, position, nested.name()),
            nested,
            false,
            lowering,
        );
    }
    if is_envelope {
        return;
    }
    for (position, field) in message.field.iter().enumerate() {
        if let Some(options) = &field.options {
            let at = at.below(tag::MESSAGE_FIELD, position, field.name());
            options::refuse(&at, &options.uninterpreted_option, lowering.report);
        }
    }
}
