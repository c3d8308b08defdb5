//! Checking: from loaded files to schemas that follow every rule, those of the languages included.

use std::collections::BTreeSet;

use msip_emit::{Compilation, Emitter, Protocol, SourceFile};
use msip_schema::{Code, Diagnostic, Direction, Outline, Span, TypeDef, Types, check_types};

use super::Expected;
use super::envelope;
use super::files::{Files, ProtoFile};
use super::forbidden;
use super::misplaced::refuse_misplaced_options;
use super::pool;
use super::protocol::{self, Reading};
use super::reachable::reachable;
use super::report::Report;
use super::size_limits;
use super::symbols::{Symbols, join};
use super::types::Lowering;

/// Checks all files; `None` if they cannot be compiled, which is reported.
pub(crate) fn check(
    files: &Files,
    expected: Expected,
    emitters: &[&dyn Emitter],
    report: &mut Report,
) -> Option<Compilation> {
    let symbols = Symbols::new(files);
    let types = Lowering::new(files, &symbols, report).all_types();
    refuse_misplaced_options(&mut Lowering::new(files, &symbols, report));
    forbidden::check(files, &symbols, report);
    let own = own_types(files, &symbols, &types);
    size_limits::check(&types, report);
    let renamed = renamed(files, &symbols, &own);
    let rules = |outline: &Outline<'_>, out: &mut Vec<Diagnostic>| {
        let start = out.len();
        for emitter in emitters {
            emitter.check(outline, out);
        }
        // What imported files declare is given other names by the emitters.
        let mut index = 0;
        out.retain(|mistake| {
            index += 1;
            let mut labels = std::iter::once(&mistake.primary).chain(&mistake.secondary);
            index <= start
                || mistake.code != Code::NAME_COLLISION
                || !labels.any(|label| renamed.contains(&label.span))
        });
    };
    let mut protocols = Vec::new();
    let is_protocol = |file: &&usize| match expected {
        Expected::Protocols => true,
        Expected::Messages => false,
        Expected::Either => files.files.get(**file).is_some_and(declares_protocol),
    };
    let declaring: Vec<usize> = files.inputs.iter().filter(is_protocol).copied().collect();
    // The rules for all types are part of those for each protocol.
    if declaring.is_empty() && expected != Expected::Protocols {
        for mistake in check_types(own, rules) {
            report.push_unless_known(mistake);
        }
    } else {
        for file in declaring {
            let mut lowering = Lowering::new(files, &symbols, report);
            let reading = protocol::read(file, &mut lowering, &types);
            protocols.extend(check_protocol(file, reading, &own, rules, report));
        }
    }
    let mut descriptors = pool::build(files, &symbols, report)?.into_iter();
    let inputs: BTreeSet<usize> = files.inputs.iter().copied().collect();
    let mut compilation = Compilation::default();
    for (index, file) in files.files.iter().enumerate() {
        let mut compiled = SourceFile::default();
        compiled.name.clone_from(&file.name);
        compiled.path.clone_from(&file.shown);
        compiled.package = file.package().to_owned();
        compiled.is_input = inputs.contains(&index);
        compiled.imports.clone_from(&file.imports);
        compiled.descriptor = descriptors.next().unwrap_or_default();
        compilation.files.push(compiled);
    }
    compilation.protocols = protocols;
    compilation.types = types;
    Some(compilation)
}

/// Whether a file has one of the two envelopes, or a message that is almost named like one.
fn declares_protocol(file: &ProtoFile) -> bool {
    let mut directions = [Direction::ClientToServer, Direction::ServerToClient].into_iter();
    directions.any(|direction| envelope::find(&file.descriptor.message_type, direction).is_some())
}

/// The types of the user's files, which are generated whether or not a protocol reaches them, without the envelopes.
fn own_types(files: &Files, symbols: &Symbols<'_>, types: &Types) -> Types {
    let own = types.iter().filter(|(name, ty)| {
        let symbol = symbols.get(name.as_str());
        let file = symbol.and_then(|(_, symbol)| files.files.get(symbol.file));
        let is_envelope = [Direction::ClientToServer, Direction::ServerToClient]
            .iter()
            .any(|direction| join(ty.package(), direction.envelope_name()) == name.as_str());
        file.is_some_and(|file| file.is_users()) && !is_envelope
    });
    own.map(|(name, def)| (name.clone(), def.clone())).collect()
}

/// The positions of the types and fields of imported files, which emitters rename where two have one name.
fn renamed(files: &Files, symbols: &Symbols<'_>, own: &Types) -> BTreeSet<Span> {
    let mut spans = BTreeSet::new();
    let inputs: BTreeSet<usize> = files.inputs.iter().copied().collect();
    for (name, ty) in own {
        let file = symbols.get(name.as_str()).map(|(_, symbol)| symbol.file);
        if file.is_none_or(|file| inputs.contains(&file)) {
            continue;
        }
        spans.insert(ty.span());
        if let TypeDef::Message(message) = ty {
            let fields = message.fields.iter().filter(|field| field.oneof.is_none());
            spans.extend(fields.map(|field| field.span));
        }
    }
    spans
}

fn check_protocol(
    file: usize,
    reading: Reading,
    own: &Types,
    rules: impl FnOnce(&Outline<'_>, &mut Vec<Diagnostic>),
    report: &mut Report,
) -> Option<Protocol> {
    let Reading {
        mut draft,
        is_partial,
    } = reading;
    // First with every type of the user's files, which are all generated, then with those of the protocol alone.
    let reachable = reachable(&draft, own);
    let mut whole = draft.clone();
    whole.types = own.clone();
    if let Err(mistakes) = whole.check_with(rules) {
        // What refers to a missing envelope cannot be found there.
        let follows = [
            Code::EMPTY_ENVELOPE,
            Code::RESPONSE_NOT_FOUND,
            Code::RESPONSE_MISSING,
            Code::METHOD_NOT_MEMBER,
        ];
        for mistake in mistakes {
            if !(is_partial && follows.contains(&mistake.code)) {
                report.push_unless_known(mistake);
            }
        }
        return None;
    }
    draft.types = reachable;
    match draft.check() {
        Ok(schema) => Some(Protocol { file, schema }),
        Err(mistakes) => {
            for mistake in mistakes {
                report.push_unless_known(mistake);
            }
            None
        }
    }
}
