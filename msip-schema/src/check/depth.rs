//! The nesting depth of types, limited for the sake of decoders and compilers.

use std::collections::BTreeMap;

use crate::{Code, Diagnostic, FieldType, Span, TypeDef, TypeName, Types};

/// The message of a member is at level 1, a message in it at level 2. Messages that contain each other are
/// one level together: how deep their values go is limited when they are decoded.
const MAX_DEPTH: usize = 64;

pub(super) fn check(types: &Types, out: &mut Vec<Diagnostic>) {
    for (name, depth) in depths(types) {
        // Only the first that is too deep; whatever contains it is too deep because of it.
        if depth != MAX_DEPTH + 1 {
            continue;
        }
        let Some(TypeDef::Message(message)) = types.get(name) else {
            continue;
        };
        let deepest = message
            .fields
            .first()
            .map_or(Span::NONE, |field| field.span);
        let span = if message.span == Span::NONE {
            deepest
        } else {
            message.span
        };
        out.push(
            Diagnostic::new(
                Code::NESTED_TOO_DEEP,
                span,
                format!("`{name}` nests messages {depth} levels deep; {MAX_DEPTH} are allowed"),
            )
            .help("flatten some of its fields into the messages that contain them"),
        );
    }
}

/// How many levels each message has, itself included.
///
/// Tarjan's algorithm with an explicit stack: components are finished in the order in which they depend on
/// each other, so the depth of one is known when all below it are.
fn depths(types: &Types) -> Vec<(&TypeName, usize)> {
    let graph = Graph::new(types);
    let count = graph.names.len();
    let mut search = Search {
        order: vec![None; count],
        low: vec![0; count],
        open: Vec::new(),
        depth: vec![0; count],
        next: 0,
    };
    for root in 0..count {
        if search.order[root].is_none() {
            search.run(&graph, root);
        }
    }
    graph.names.into_iter().zip(search.depth).collect()
}

/// Messages as numbers, with the messages that each mentions.
struct Graph<'a> {
    names: Vec<&'a TypeName>,
    edges: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    fn new(types: &'a Types) -> Self {
        let messages = || {
            types.iter().filter_map(|(name, ty)| match ty {
                TypeDef::Message(message) => Some((name, message)),
                TypeDef::Enum(_) => None,
            })
        };
        let numbers: BTreeMap<_, _> = messages()
            .enumerate()
            .map(|(number, (name, _))| (name, number))
            .collect();
        let edges = messages()
            .map(|(_, message)| {
                let mentioned = message.fields.iter().filter_map(|field| match &field.ty {
                    FieldType::Message(name) => numbers.get(name).copied(),
                    _ => None,
                });
                mentioned.collect()
            })
            .collect();
        Self {
            names: messages().map(|(name, _)| name).collect(),
            edges,
        }
    }
}

/// Every index below is a node of the graph, made by `Graph::new`, and every vector has one entry per node.
struct Search {
    order: Vec<Option<usize>>,
    low: Vec<usize>,
    /// Nodes whose component is not finished.
    open: Vec<usize>,
    /// 0 until the node's component is finished.
    depth: Vec<usize>,
    next: usize,
}

impl Search {
    fn run(&mut self, graph: &Graph<'_>, root: usize) {
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((node, edge)) = path.last_mut() {
            let node = *node;
            if let Some(&target) = graph.edges[node].get(*edge) {
                *edge += 1;
                match self.order[target] {
                    None => {
                        self.enter(target);
                        path.push((target, 0));
                    }
                    // An open node is of this component or of one above it.
                    Some(order) if self.depth[target] == 0 => {
                        self.low[node] = self.low[node].min(order)
                    }
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            if let Some(&(parent, _)) = path.last() {
                self.low[parent] = self.low[parent].min(self.low[node]);
            }
            if Some(self.low[node]) == self.order[node] {
                self.finish(graph, node);
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.order[node] = Some(self.next);
        self.low[node] = self.next;
        self.next += 1;
        self.open.push(node);
    }

    /// Gives every node of a component, which `first` began, its depth.
    fn finish(&mut self, graph: &Graph<'_>, first: usize) {
        let start = self
            .open
            .iter()
            .rposition(|&node| node == first)
            .unwrap_or(0);
        let component = self.open.split_off(start);
        let below = component
            .iter()
            .flat_map(|&node| &graph.edges[node])
            .map(|&target| self.depth[target])
            .max();
        for &node in &component {
            self.depth[node] = below.unwrap_or(0) + 1;
        }
    }
}
