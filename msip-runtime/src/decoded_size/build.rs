//! The table, from the descriptors of a schema and the sizes of its Rust types.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use super::{
    BOX_COST, FieldLayout, MessageSize,
    table::{Contents, Field, Member, Message, SizeTable},
};

/// What the nodes of a `BTreeMap` take for each pair, which has half of its place in one at least.
const TREE_COST: usize = 16;

/// The one message of `prost-types` with a map, which is a `BTreeMap`.
const STRUCT: &str = "google.protobuf.Struct";

/// How deep messages of unknown size are looked into.
const MAX_ESTIMATE_DEPTH: usize = 16;

/// The table of the envelope with this full name.
///
/// # Errors
///
/// The descriptors are malformed, or do not have the envelope.
pub(super) fn table(
    envelope: &str,
    descriptor_set: &[u8],
    sizes: &[MessageSize],
) -> Result<SizeTable, String> {
    let set = FileDescriptorSet::decode(descriptor_set)
        .map_err(|error| format!("malformed descriptor set: {error}"))?;
    let mut all = HashMap::new();
    for file in &set.file {
        for message in &file.message_type {
            index(file.package(), message, &mut all);
        }
    }
    let envelope = *all
        .get(envelope)
        .ok_or_else(|| format!("no message {envelope}"))?;
    let mut graph = Graph::reachable(envelope, &all);
    graph.resolve(sizes);
    let messages: Vec<Message> = (0..graph.nodes.len())
        .map(|owner| graph.message(owner))
        .collect();
    let rates = rates(&messages);
    let mut members: Vec<Member> = envelope
        .field
        .iter()
        .filter_map(|member| {
            let number = u16::try_from(member.number()).ok()?;
            let message = graph.target(member)?;
            let size = graph.sizes.get(message).copied()?;
            let rate = rates.get(message).copied()?;
            Some(Member::new(number, message, size, rate))
        })
        .collect();
    members.sort_by_key(|member| member.number);
    Ok(SizeTable { messages, members })
}

/// All messages by their full names.
fn index<'a>(
    scope: &str,
    message: &'a DescriptorProto,
    all: &mut HashMap<String, &'a DescriptorProto>,
) {
    let name = match scope {
        "" => message.name().to_owned(),
        scope => format!("{scope}.{}", message.name()),
    };
    // As deep as the parser allows: 31 levels.
    for nested in &message.nested_type {
        index(&name, nested, all);
    }
    all.insert(name, message);
}

/// The messages that an envelope can hold.
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    ids: HashMap<&'a str, usize>,
    /// The sizes of the nodes in bytes.
    sizes: Vec<usize>,
    /// Whether the types have derives of ours, and are not prost's.
    is_derived: bool,
}

struct Node<'a> {
    name: &'a str,
    descriptor: &'a DescriptorProto,
    known: Option<&'a MessageSize>,
    /// The number of its group of messages that contain each other. prost boxes what is of the same group.
    cycle: usize,
}

impl<'a> Graph<'a> {
    fn reachable(
        envelope: &'a DescriptorProto,
        all: &'a HashMap<String, &'a DescriptorProto>,
    ) -> Self {
        let mut graph = Self {
            nodes: Vec::new(),
            ids: HashMap::new(),
            sizes: Vec::new(),
            is_derived: false,
        };
        graph.add_targets(envelope, all);
        let mut next = 0;
        while let Some(node) = graph.nodes.get(next) {
            let descriptor = node.descriptor;
            graph.add_targets(descriptor, all);
            next += 1;
        }
        graph
    }

    fn add_targets(
        &mut self,
        message: &'a DescriptorProto,
        all: &'a HashMap<String, &'a DescriptorProto>,
    ) {
        for field in &message.field {
            if let Some((name, descriptor)) = all.get_key_value(target_name(field))
                && !self.ids.contains_key(name.as_str())
            {
                self.ids.insert(name, self.nodes.len());
                self.nodes.push(Node {
                    name,
                    descriptor,
                    known: None,
                    cycle: 0,
                });
            }
        }
    }

    /// The message that a field holds.
    fn target(&self, field: &FieldDescriptorProto) -> Option<usize> {
        self.ids.get(target_name(field)).copied()
    }

    /// The messages that a message holds once, in place or in a box.
    fn single_targets(&self, id: usize) -> Vec<usize> {
        let fields = self.nodes.get(id).map(|node| &node.descriptor.field);
        let fields = fields.into_iter().flatten();
        let single = fields.filter(|field| field.label() != Label::Repeated);
        single.filter_map(|field| self.target(field)).collect()
    }

    fn resolve(&mut self, sizes: &'a [MessageSize]) {
        let by_name: HashMap<&str, &MessageSize> = sizes
            .iter()
            .map(|message| (message.name.as_ref(), message))
            .collect();
        for node in &mut self.nodes {
            node.known = by_name.get(node.name).copied();
            self.is_derived |= node.known.is_some_and(|known| known.fields.is_some());
        }
        let targets: Vec<Vec<usize>> = (0..self.nodes.len())
            .map(|id| self.single_targets(id))
            .collect();
        for (node, cycle) in self.nodes.iter_mut().zip(cycles(&targets)) {
            node.cycle = cycle;
        }
        let mut estimates = vec![None; self.nodes.len()];
        self.sizes = (0..self.nodes.len())
            .map(|id| self.size(id, &mut estimates, 0))
            .collect();
    }

    /// The size of a message: as generated code says, or else as its fields need, which is what prost makes of it.
    fn size(&self, id: usize, estimates: &mut Vec<Option<usize>>, depth: usize) -> usize {
        let Some(node) = self.nodes.get(id) else {
            return 0;
        };
        if let Some(known) = node.known {
            return known.size;
        }
        if let Some(size) = estimates.get(id).copied().flatten() {
            return size;
        }
        let mut sum = 0;
        let mut oneofs: HashMap<i32, usize> = HashMap::new();
        for field in &node.descriptor.field {
            let size = match (field.label(), self.target(field)) {
                (Label::Repeated, Some(entry)) if self.is_entry(entry) && node.name != STRUCT => 48,
                (Label::Repeated, _) => 24,
                (_, Some(target)) if self.is_same_cycle(id, target) => 8,
                (_, Some(_)) if depth >= MAX_ESTIMATE_DEPTH => 8,
                // With the flag of an `Option`.
                (_, Some(target)) => self.size(target, estimates, depth + 1) + 8,
                (_, None) => scalar_size(field) + if field.oneof_index.is_some() { 8 } else { 0 },
            };
            match field.oneof_index.filter(|_| !field.proto3_optional()) {
                Some(oneof) => {
                    let largest = oneofs.entry(oneof).or_default();
                    *largest = size.max(*largest);
                }
                None => sum += size,
            }
        }
        let size = (sum + oneofs.values().sum::<usize>()).next_multiple_of(8);
        if let Some(estimate) = estimates.get_mut(id) {
            *estimate = Some(size);
        }
        size
    }

    fn is_same_cycle(&self, a: usize, b: usize) -> bool {
        let cycle = |id: usize| self.nodes.get(id).map(|node| node.cycle);
        cycle(a) == cycle(b)
    }

    /// Whether a message stands for the entries of a map.
    fn is_entry(&self, id: usize) -> bool {
        let options = self
            .nodes
            .get(id)
            .and_then(|node| node.descriptor.options.as_ref());
        options.is_some_and(|options| options.map_entry())
    }

    /// What the fields of a message take.
    fn message(&self, owner: usize) -> Message {
        let Some(node) = self.nodes.get(owner) else {
            return Message::default();
        };
        let fields = node.descriptor.field.iter();
        let mut fields: Vec<Field> = fields
            .filter_map(|field| self.field(owner, node, field))
            .collect();
        fields.sort_by_key(|field| field.number);
        Message { fields }
    }

    fn field(&self, owner: usize, node: &Node<'a>, field: &FieldDescriptorProto) -> Option<Field> {
        let number = u32::try_from(field.number()).ok()?;
        let layout = node.known.and_then(|known| known.layout(number));
        let target = self.target(field);
        let size = target.and_then(|target| self.sizes.get(target).copied());
        let is_boxed = match (layout, target) {
            (Some(layout), _) => layout.is_boxed,
            (None, Some(target)) => {
                !self.is_derived
                    && field.label() != Label::Repeated
                    && self.is_same_cycle(owner, target)
            }
            (None, None) => false,
        };
        let contents = contents(field, target, self.is_derived)?;
        let entry = target.filter(|target| self.is_entry(*target));
        let (mut each, first) = match (field.label(), entry) {
            (Label::Repeated, Some(entry)) => self.map(node, entry, layout),
            (Label::Repeated, None) => {
                let element = layout.map(|layout| layout.element).filter(|len| *len > 0);
                let element = element.or(size).unwrap_or_else(|| scalar_size(field));
                // A list doubles its capacity, and begins with 4 elements, or 8 of one byte.
                (2 * element, if element == 1 { 6 } else { 2 * element })
            }
            // It is a part of its message.
            _ => (0, 0),
        };
        if is_boxed {
            let value = match entry {
                Some(entry) => self.entry_part(entry, 2),
                None => size.unwrap_or(0),
            };
            each += value + BOX_COST;
        }
        let is_nothing = match contents {
            Contents::Varint | Contents::Fixed(_) => each == 0,
            Contents::Text | Contents::Message { .. } => false,
        };
        (!is_nothing).then_some(Field {
            number,
            each,
            first,
            contents,
        })
    }

    /// What a map takes for each pair, and for its first one.
    fn map(&self, node: &Node<'a>, entry: usize, layout: Option<&FieldLayout>) -> (usize, usize) {
        let pair = layout.map(|layout| layout.element).unwrap_or_else(|| {
            (self.entry_part(entry, 1) + self.entry_part(entry, 2)).next_multiple_of(8)
        });
        let is_tree = match layout {
            Some(layout) => layout.is_tree,
            None => node.name == STRUCT || node.known.is_some_and(|known| known.has_tree_maps),
        };
        if is_tree {
            // A node has place for 11 pairs, and 5 of them at least but for the first.
            (pair * 11 / 5 + TREE_COST, pair * 11 + TREE_COST)
        } else {
            // 7 of 8 places may be taken before their number doubles; there are 4 at least, each with a byte of its own.
            ((pair + 1) * 16 / 7 + 1, 4 * (pair + 1) + 32)
        }
    }

    /// The size of the key (1) or the value (2) of a map's entry.
    fn entry_part(&self, entry: usize, number: i32) -> usize {
        let fields = self.nodes.get(entry).map(|node| &node.descriptor.field);
        let mut fields = fields.into_iter().flatten();
        let Some(part) = fields.find(|field| field.number() == number) else {
            return 0;
        };
        match self.target(part) {
            Some(target) => self.sizes.get(target).copied().unwrap_or(0),
            None => scalar_size(part),
        }
    }
}

/// The full name of the message that a field holds; of anything else, a name that no message has.
fn target_name(field: &FieldDescriptorProto) -> &str {
    match field.r#type() {
        Type::Message | Type::Group => field.type_name().trim_start_matches('.'),
        _ => "",
    }
}

/// The size of a value that is no message, as prost stores it.
fn scalar_size(field: &FieldDescriptorProto) -> usize {
    match field.r#type() {
        Type::Bool => 1,
        Type::Float
        | Type::Int32
        | Type::Uint32
        | Type::Sint32
        | Type::Fixed32
        | Type::Sfixed32
        | Type::Enum => 4,
        Type::Double
        | Type::Int64
        | Type::Uint64
        | Type::Sint64
        | Type::Fixed64
        | Type::Sfixed64 => 8,
        Type::String => 24,
        // `Vec<u8>` or `Bytes`.
        Type::Bytes => 32,
        Type::Message | Type::Group => 0,
    }
}

/// What an element of a field holds; `None` for a message that is in no descriptor.
fn contents(
    field: &FieldDescriptorProto,
    target: Option<usize>,
    is_derived: bool,
) -> Option<Contents> {
    Some(match field.r#type() {
        Type::Double | Type::Fixed64 | Type::Sfixed64 => Contents::Fixed(8),
        Type::Float | Type::Fixed32 | Type::Sfixed32 => Contents::Fixed(4),
        Type::String | Type::Bytes => Contents::Text,
        Type::Message | Type::Group => Contents::Message {
            index: target?,
            is_merged: is_derived && field.label() != Label::Repeated,
        },
        _ => Contents::Varint,
    })
}

/// The most that a byte of each message on the wire can become.
fn rates(messages: &[Message]) -> Vec<usize> {
    let own = |message: &Message| {
        let fields = message.fields.iter();
        fields.map(Field::bytes_per_byte).max().unwrap_or(0)
    };
    let own: Vec<usize> = messages.iter().map(own).collect();
    let mut holders = vec![Vec::new(); messages.len()];
    for (holder, message) in messages.iter().enumerate() {
        for field in &message.fields {
            if let Contents::Message { index, .. } = field.contents
                && let Some(holders) = holders.get_mut(index)
            {
                holders.push(holder);
            }
        }
    }
    // A message is as bad as the worst that it can hold: the worst ones first, each message is visited once.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_by_key(|id| std::cmp::Reverse(own.get(*id).copied()));
    let mut rates = vec![None; messages.len()];
    for id in order {
        let rate = own.get(id).copied().unwrap_or(0);
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if let Some(unknown @ None) = rates.get_mut(id) {
                *unknown = Some(rate);
                open.extend(holders.get(id).into_iter().flatten());
            }
        }
    }
    rates.into_iter().map(Option::unwrap_or_default).collect()
}

/// The number of the cycle that each node is on: nodes that reach each other have the same one.
pub(super) fn cycles(targets: &[Vec<usize>]) -> Vec<usize> {
    // Kosaraju's algorithm, with stacks of its own: schemas are of any depth.
    let mut order = Vec::with_capacity(targets.len());
    let mut seen = vec![false; targets.len()];
    for root in 0..targets.len() {
        let mut open = vec![(root, 0)];
        while let Some((id, next)) = open.pop() {
            if next == 0 && std::mem::replace(&mut seen[id], true) {
                continue;
            }
            match targets[id].get(next) {
                Some(&target) => {
                    open.push((id, next + 1));
                    open.push((target, 0));
                }
                None => order.push(id),
            }
        }
    }
    let mut sources = vec![Vec::new(); targets.len()];
    for (source, targets) in targets.iter().enumerate() {
        for &target in targets {
            sources[target].push(source);
        }
    }
    let mut cycles = vec![usize::MAX; targets.len()];
    for root in order.into_iter().rev() {
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            if cycles[id] == usize::MAX {
                cycles[id] = root;
                open.extend(&sources[id]);
            }
        }
    }
    cycles
}
