//! Graphs between the modules of one folder, and their circles.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::{self, Display, Formatter},
};

use crate::uses::{Crate, Use};

/// What stands for the crate's root file in the graph of the modules of the root.
const ROOT_NODE: &str = "self";

/// A directed graph of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// All nodes, those without edges too.
    pub nodes: BTreeSet<String>,
    /// Pairs of a user and what it uses.
    pub edges: BTreeSet<(String, String)>,
}

impl Graph {
    /// All that can be reached from a node in one step or more.
    fn reachable(&self, from: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(node) = next.pop() {
            for (_, to) in self.edges.iter().filter(|(user, _)| *user == node) {
                if found.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        found
    }

    /// Sets of nodes that all reach each other, of two nodes or more.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let reach: BTreeMap<&String, BTreeSet<String>> = self
            .nodes
            .iter()
            .map(|node| (node, self.reachable(node)))
            .collect();
        let mut circles: Vec<BTreeSet<String>> = Vec::new();
        for (node, reached) in &reach {
            let members: BTreeSet<String> = reached
                .iter()
                .filter(|other| *other != *node && reach[other].contains(*node))
                .cloned()
                .chain([(*node).clone()])
                .collect();
            if members.len() > 1 && !circles.contains(&members) {
                circles.push(members);
            }
        }
        circles
    }

    /// The graph without each edge that a longer way replaces, or `None` where there is a circle.
    #[must_use]
    pub fn transitively_reduced(&self) -> Option<Self> {
        if !self.circles().is_empty() {
            return None;
        }
        let mut reduced = self.clone();
        for edge in &self.edges {
            reduced.edges.remove(edge);
            if !reduced.reachable(&edge.0).contains(&edge.1) {
                reduced.edges.insert(edge.clone());
            }
        }
        Some(reduced)
    }
}

/// The modules of one folder, and what they use of each other.
#[derive(Debug, Clone)]
pub struct Level {
    /// The module of the folder; empty is the crate's root.
    pub path: Vec<String>,
    /// The modules. Each stands for all that is below it.
    pub modules: BTreeSet<String>,
    /// All uses, by user and used module. At the root, `self` is the root's own file.
    pub edges: BTreeMap<(String, String), Vec<Use>>,
}

/// Modules that use each other in a circle.
#[derive(Debug, Clone)]
pub struct Circle {
    /// The module of the folder.
    pub path: Vec<String>,
    /// All modules that reach each other.
    pub members: BTreeSet<String>,
    /// A shortest circle among them.
    pub ring: Vec<String>,
    /// Few edges whose removal leaves no circle, chosen by the number of their uses.
    pub cut: BTreeSet<(String, String)>,
    /// The edges among the members, with all uses.
    pub edges: BTreeMap<(String, String), Vec<Use>>,
}

impl Crate {
    /// One graph for each folder that has modules, the root first.
    pub fn levels(&self) -> Vec<Level> {
        let mut levels: BTreeMap<Vec<String>, Level> = BTreeMap::new();
        for path in self.modules.iter().filter(|path| !path.is_empty()) {
            let (name, folder) = path.split_last().unwrap_or((&path[0], &[]));
            levels
                .entry(folder.to_vec())
                .or_insert_with(|| Level {
                    path: folder.to_vec(),
                    modules: BTreeSet::new(),
                    edges: BTreeMap::new(),
                })
                .modules
                .insert(name.clone());
        }
        for found in &self.uses {
            let common = found
                .from
                .iter()
                .zip(&found.to)
                .take_while(|(a, b)| a == b)
                .count();
            let Some(level) = levels.get_mut(&found.from[..common]) else {
                continue;
            };
            // The folder's own file and what is below it are one thing, but for the root's.
            let node = |path: &[String]| match path.get(common) {
                Some(name) => Some(name.clone()),
                None => (common == 0).then(|| ROOT_NODE.to_owned()),
            };
            let (Some(from), Some(to)) = (node(&found.from), node(&found.to)) else {
                continue;
            };
            // Macros of the root file are visible below it, and nothing else is worth a file of its own.
            if to == ROOT_NODE && found.is_macro {
                continue;
            }
            level
                .edges
                .entry((from, to))
                .or_default()
                .push(found.clone());
        }
        levels.into_values().collect()
    }

    /// The graph of the modules of the root, without the root's own file.
    pub fn root_graph(&self) -> Graph {
        let mut graph = Graph {
            nodes: self.top_modules().map(str::to_owned).collect(),
            edges: BTreeSet::new(),
        };
        if let Some(level) = self.levels().into_iter().find(|one| one.path.is_empty()) {
            graph.edges = level
                .edges
                .into_keys()
                .filter(|(from, to)| from != ROOT_NODE && to != ROOT_NODE)
                .collect();
        }
        graph
    }

    /// The circles of all levels.
    pub fn circles(&self) -> Vec<Circle> {
        self.levels().iter().flat_map(Level::circles).collect()
    }
}

impl Level {
    /// The circles among the modules of this folder.
    pub fn circles(&self) -> Vec<Circle> {
        let graph = self.graph();
        let circle = |members: BTreeSet<String>| {
            let edges: BTreeMap<(String, String), Vec<Use>> = self
                .edges
                .iter()
                .filter(|((from, to), _)| members.contains(from) && members.contains(to))
                .map(|(edge, uses)| (edge.clone(), uses.clone()))
                .collect();
            Circle {
                path: self.path.clone(),
                ring: shortest_ring(&members, &edges),
                cut: cheapest_cut(&members, &edges),
                members,
                edges,
            }
        };
        graph.circles().into_iter().map(circle).collect()
    }

    fn graph(&self) -> Graph {
        let edges: BTreeSet<(String, String)> = self.edges.keys().cloned().collect();
        let ends = edges.iter().flat_map(|(from, to)| [from, to]);
        Graph {
            nodes: self.modules.iter().chain(ends).cloned().collect(),
            edges,
        }
    }

    /// The folder's name for people.
    pub fn name(&self) -> String {
        folder_name(&self.path)
    }
}

fn folder_name(path: &[String]) -> String {
    match path.is_empty() {
        true => "the root".to_owned(),
        false => path.join("::"),
    }
}

type Edges = BTreeMap<(String, String), Vec<Use>>;

/// The shortest circle, by a search from each member.
fn shortest_ring(members: &BTreeSet<String>, edges: &Edges) -> Vec<String> {
    let mut shortest: Option<Vec<String>> = None;
    for start in members {
        let mut ways = VecDeque::from([vec![start]]);
        let mut seen: BTreeSet<&String> = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            let Some(last) = way.last() else { continue };
            for (_, to) in edges.keys().filter(|(from, _)| from == *last) {
                if to == start {
                    if shortest.as_ref().is_none_or(|one| way.len() < one.len()) {
                        shortest = Some(way.iter().map(|name| (*name).clone()).collect());
                    }
                    ways.clear();
                    break;
                }
                if seen.insert(to) {
                    let mut longer = way.clone();
                    longer.push(to);
                    ways.push_back(longer);
                }
            }
        }
    }
    shortest.unwrap_or_default()
}

/// Edges that point against an order of the members, in which few uses do: each member is moved to where that costs least,
/// until no move helps.
fn cheapest_cut(members: &BTreeSet<String>, edges: &Edges) -> BTreeSet<(String, String)> {
    let weight = |from: &String, to: &String| {
        edges
            .get(&(from.clone(), to.clone()))
            .map_or(0, |uses| uses.len())
    };
    let cost = |order: &[&String]| -> usize {
        order
            .iter()
            .enumerate()
            .flat_map(|(at, low)| order[..at].iter().map(move |high| (low, high)))
            .map(|(low, high)| weight(low, high))
            .sum()
    };
    let mut order: Vec<&String> = members.iter().collect();
    let mut best = cost(&order);
    loop {
        let before = best;
        for from in 0..order.len() {
            for to in 0..order.len() {
                let mut moved = order.clone();
                let member = moved.remove(from);
                moved.insert(to, member);
                let price = cost(&moved);
                if price < best {
                    best = price;
                    order = moved;
                }
            }
        }
        if best == before {
            break;
        }
    }
    let rank: BTreeMap<&String, usize> = order
        .iter()
        .enumerate()
        .map(|(at, one)| (*one, at))
        .collect();
    edges
        .keys()
        .filter(|(from, to)| rank[to] < rank[from])
        .cloned()
        .collect()
}

impl Circle {
    /// The whole circle: what to cut with all uses, then the other edges with an example each.
    pub fn details(&self) -> String {
        let mut text = format!("{self}\n  To cut it, for instance, remove:\n");
        for edge in &self.cut {
            text.push_str(&format!("    {} -> {}\n", edge.0, edge.1));
            for found in &self.edges[edge] {
                text.push_str(&format!("      {found}\n"));
            }
        }
        text.push_str("  All edges among its members:\n");
        let mut edges: Vec<_> = self.edges.iter().collect();
        edges.sort_by_key(|(_, uses)| uses.len());
        for ((from, to), uses) in edges {
            text.push_str(&format!("    {from} -> {to} ({} uses)\n", uses.len()));
            for found in uses {
                text.push_str(&format!("      {found}\n"));
            }
        }
        text
    }
}

impl Display for Circle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let members: Vec<&str> = self.members.iter().map(String::as_str).collect();
        writeln!(
            f,
            "in {}, {} modules use each other in a circle: {}",
            folder_name(&self.path),
            members.len(),
            members.join(", ")
        )?;
        write!(f, "  A shortest circle:")?;
        for (at, from) in self.ring.iter().enumerate() {
            let to = &self.ring[(at + 1) % self.ring.len()];
            let example = self
                .edges
                .get(&(from.clone(), to.clone()))
                .and_then(|uses| uses.first());
            if let Some(example) = example {
                write!(f, "\n    {from} -> {to}: {example}")?;
            }
        }
        Ok(())
    }
}
