//! Services: their methods, which are calls over members of the envelopes.

use msip_schema::{DraftMethod, Spanned};
use prost_types::MethodDescriptorProto;
use prost_types::method_options::IdempotencyLevel;

use super::deprecated::is_deprecated;
use super::node_path::NodePath;
use super::source_info::tag;
use super::types::Lowering;

/// Reads the methods of all services of a file.
pub(crate) fn methods(root: &NodePath<'_>, lowering: &mut Lowering<'_>) -> Vec<DraftMethod> {
    let mut methods = Vec::new();
    for (position, service) in root.file.descriptor.service.iter().enumerate() {
        let at = root.below(tag::FILE_SERVICE, position, service.name());
        for (position, method) in service.method.iter().enumerate() {
            let at = at.below(tag::SERVICE_METHOD, position, method.name());
            methods.extend(method_of(&at, method, lowering));
        }
    }
    methods
}

fn method_of(
    at: &NodePath<'_>,
    method: &MethodDescriptorProto,
    lowering: &mut Lowering<'_>,
) -> Option<DraftMethod> {
    let mut ty = |name: &str, part: i32| {
        let scope = at
            .full
            .rsplit_once('.')
            .map_or("", |(scope, _)| scope)
            .to_owned();
        let (name, _) = lowering.resolve(at, &scope, name, &[part])?;
        Some(Spanned::new(name, at.span(&[part], lowering.report)))
    };
    let request = ty(method.input_type(), tag::METHOD_INPUT);
    let response = ty(method.output_type(), tag::METHOD_OUTPUT);
    let mut stream =
        |part: i32, is_stream: bool| is_stream.then(|| at.span(&[part], lowering.report));
    let request_stream = stream(tag::METHOD_CLIENT_STREAMING, method.client_streaming());
    let response_stream = stream(tag::METHOD_SERVER_STREAMING, method.server_streaming());
    let level = idempotency_level(method);
    Some(DraftMethod {
        name: Spanned::new(
            method.name().to_owned(),
            at.span(&[tag::NAME], lowering.report),
        ),
        request: request?,
        response: response?,
        request_stream,
        response_stream,
        idempotent: level != IdempotencyLevel::IdempotencyUnknown,
        no_side_effects: level == IdempotencyLevel::NoSideEffects,
        deprecated: method
            .options
            .as_ref()
            .is_some_and(|method| is_deprecated(method.deprecated(), &method.uninterpreted_option)),
        doc: at.doc(),
    })
}

/// What the `idempotency_level` of a method says.
fn idempotency_level(method: &MethodDescriptorProto) -> IdempotencyLevel {
    let Some(options) = &method.options else {
        return IdempotencyLevel::IdempotencyUnknown;
    };
    // The parser leaves options uninterpreted; files from elsewhere have them interpreted.
    let said = options.uninterpreted_option.iter().find_map(|option| {
        let is_level =
            matches!(option.name.as_slice(), [part] if part.name_part == "idempotency_level");
        is_level.then(|| IdempotencyLevel::from_str_name(option.identifier_value()))?
    });
    said.unwrap_or_else(|| options.idempotency_level())
}
