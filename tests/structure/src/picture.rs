//! Pictures: Mermaid graphs in the docs, and how they are compared with the code.
//!
//! A block is checked where a comment in it says against what:
//!
//! ```text
//! graph TD
//!   %% checked against: the modules of msip-runtime
//!   %% transitively reduced
//!   errors["error, status<br/>what fails"]
//!   client & server --> session
//!   session --> errors
//! ```
//!
//! A node stands for the module of its name, or for those that its label lists before the first `<br/>`. Each module
//! belongs to one node. An arrow is there exactly if code of the one node uses code of the other; in a picture that is
//! transitively reduced, if there is no longer way as well. A `subgraph` is a frame around nodes. If an arrow begins or ends
//! at the subgraph itself, it is one node for all that is in it, and no arrow names those.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    error::{Problem, Problems},
    graph::Graph,
};

const CHECKED: &str = "checked against:";
const REDUCED: &str = "transitively reduced";
const CRATES: &str = "the crates";
const MODULES_OF: &str = "the modules of ";

/// Words that Mermaid does not take as the name of a node.
const RESERVED: [&str; 11] = [
    "call",
    "class",
    "click",
    "default",
    "direction",
    "end",
    "flowchart",
    "graph",
    "href",
    "style",
    "subgraph",
];

/// What a picture shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The packages of the workspace.
    Crates,
    /// The root modules of a package's library.
    Modules(String),
}

/// A Mermaid graph that is checked.
#[derive(Debug, Clone)]
pub struct Picture {
    /// What it shows.
    pub subject: Subject,
    /// The line of the document where its block begins, from 1.
    pub line: usize,
    is_reduced: bool,
    /// The names that each node stands for.
    nodes: BTreeMap<String, BTreeSet<String>>,
    /// The nodes in each subgraph.
    groups: BTreeMap<String, BTreeSet<String>>,
    edges: BTreeSet<(String, String)>,
}

impl Picture {
    /// The checked pictures of a document.
    ///
    /// # Errors
    ///
    /// Lines that are not understood here.
    pub fn read(file: &Path, markdown: &str) -> Result<Vec<Self>, Problems> {
        let mut pictures = Vec::new();
        let mut problems = Vec::new();
        let mut lines = (1..).zip(markdown.lines());
        while let Some((start, line)) = lines.next() {
            if line.trim() != "```mermaid" {
                continue;
            }
            let block: Vec<(usize, &str)> = lines
                .by_ref()
                .take_while(|(_, line)| line.trim() != "```")
                .map(|(at, line)| (at, line.trim()))
                .collect();
            match Self::parse(start, &block) {
                Ok(picture) => pictures.extend(picture),
                Err((at, text)) => problems.push(Problem::new(file, at, text)),
            }
        }
        match problems.is_empty() {
            true => Ok(pictures),
            false => Err(Problems(problems)),
        }
    }

    fn parse(start: usize, block: &[(usize, &str)]) -> Result<Option<Self>, (usize, String)> {
        let mut comments = block
            .iter()
            .filter_map(|(at, line)| Some((*at, line.strip_prefix("%%")?.trim())));
        let Some((at, subject)) = comments
            .clone()
            .find_map(|(at, text)| Some((at, text.strip_prefix(CHECKED)?.trim())))
        else {
            return Ok(None);
        };
        let subject = match subject.strip_prefix(MODULES_OF) {
            Some(package) => Subject::Modules(package.to_owned()),
            None if subject == CRATES => Subject::Crates,
            None => {
                let text = format!("neither `{CRATES}` nor `{MODULES_OF}<package>`: `{subject}`");
                return Err((at, text));
            }
        };
        let mut picture = Self {
            subject,
            line: start,
            is_reduced: comments.any(|(_, text)| text == REDUCED),
            nodes: BTreeMap::new(),
            groups: BTreeMap::new(),
            edges: BTreeSet::new(),
        };
        let mut around: Vec<String> = Vec::new();
        for &(at, line) in block {
            let word = line.split_whitespace().next().unwrap_or_default();
            match word {
                "" | "graph" | "flowchart" | "direction" | "classDef" | "class" | "style"
                | "linkStyle" => {}
                _ if word.starts_with("%%") => {}
                "subgraph" => {
                    let mut cursor = Cursor(line["subgraph".len()..].trim_start());
                    let (id, _) = cursor.node().ok_or_else(|| (at, unclear(line)))?;
                    picture.groups.entry(id.clone()).or_default();
                    around.push(id);
                }
                "end" => {
                    around
                        .pop()
                        .ok_or_else(|| (at, "`end` without a subgraph".to_owned()))?;
                }
                _ => picture
                    .statement(line, around.last())
                    .ok_or_else(|| (at, unclear(line)))?,
            }
        }
        // A subgraph may be named by an arrow before it is declared.
        picture
            .nodes
            .retain(|id, _| !picture.groups.contains_key(id));
        Ok(Some(picture))
    }

    /// `a --> b`, `a["label"]`, `a & b --> c --> d`.
    fn statement(&mut self, line: &str, group: Option<&String>) -> Option<()> {
        let mut cursor = Cursor(line.trim_end_matches(';'));
        let mut before: Vec<String> = Vec::new();
        loop {
            let mut these = Vec::new();
            loop {
                let (id, names) = cursor.node()?;
                if let Some(group) = group
                    && !self.nodes.contains_key(&id)
                {
                    self.groups
                        .entry(group.clone())
                        .or_default()
                        .insert(id.clone());
                }
                if let Some(names) = names {
                    self.nodes.insert(id.clone(), names);
                } else {
                    let itself = || BTreeSet::from([id.clone()]);
                    self.nodes.entry(id.clone()).or_insert_with(itself);
                }
                these.push(id);
                if !cursor.take("&") {
                    break;
                }
            }
            for from in &before {
                for to in &these {
                    self.edges.insert((from.clone(), to.clone()));
                }
            }
            if cursor.is_empty() {
                return Some(());
            }
            if !cursor.arrow() {
                return None;
            }
            before = these;
        }
    }

    /// Every way in which the picture and the code differ, as sentences.
    pub fn differences(&self, code: &Graph) -> Vec<String> {
        let mut found = Vec::new();
        let is_node = |group: &String| self.edges.iter().any(|(a, b)| a == group || b == group);
        let whole: BTreeMap<&String, &BTreeSet<String>> = self
            .groups
            .iter()
            .filter(|(group, _)| is_node(group))
            .collect();
        let mut drawn: BTreeMap<&String, &String> = BTreeMap::new();
        for (id, names) in &self.nodes {
            let group = whole.iter().find(|(_, members)| members.contains(id));
            if let Some((group, _)) = group
                && is_node(id)
            {
                found.push(format!(
                    "an arrow names {id}, and another its subgraph {group}"
                ));
            }
            let node = group.map_or(id, |(group, _)| *group);
            for name in names {
                if !code.nodes.contains(name) {
                    found.push(format!("{name} is in the picture and not in the code"));
                } else if drawn.insert(name, node).is_some() {
                    found.push(format!("{name} is in the picture twice"));
                }
            }
        }
        let absent = code.nodes.iter().filter(|name| !drawn.contains_key(name));
        found.extend(absent.map(|name| format!("{name} is in the code and not in the picture")));
        if !found.is_empty() {
            return found;
        }
        let mut real = Graph {
            nodes: drawn.values().map(|node| (*node).clone()).collect(),
            edges: code
                .edges
                .iter()
                .map(|(from, to)| (drawn[from].clone(), drawn[to].clone()))
                .filter(|(from, to)| from != to)
                .collect(),
        };
        let all = real.edges.clone();
        if self.is_reduced {
            match real.transitively_reduced() {
                Some(reduced) => real = reduced,
                None => {
                    let circles = real.circles();
                    return vec![format!(
                        "nothing can be reduced: these use each other in a circle: {circles:?}"
                    )];
                }
            }
        }
        for (from, to) in real.edges.difference(&self.edges) {
            found.push(format!("the arrow {from} --> {to} is missing"));
        }
        for edge in self.edges.difference(&real.edges) {
            let (from, to) = edge;
            found.push(match all.contains(edge) {
                true => format!("the arrow {from} --> {to} is superfluous: there is a longer way"),
                false => format!("the arrow {from} --> {to} is superfluous: the code has none"),
            });
        }
        found
    }

    /// A block that shows this graph, to be pasted into a document.
    ///
    /// It is transitively reduced if that is wanted and there is no circle.
    pub fn print(subject: &Subject, code: &Graph, is_reduced: bool) -> String {
        let shown = match subject {
            Subject::Crates => CRATES.to_owned(),
            Subject::Modules(package) => format!("{MODULES_OF}{package}"),
        };
        let mut text = format!("```mermaid\ngraph TD\n  %% {CHECKED} {shown}\n");
        let reduced = match is_reduced {
            true => code.transitively_reduced(),
            false => None,
        };
        if reduced.is_some() {
            text.push_str(&format!("  %% {REDUCED}\n"));
        }
        let graph = reduced.as_ref().unwrap_or(code);
        let id = |name: &str| match RESERVED.contains(&name) {
            true => format!("{name}_"),
            false => name.to_owned(),
        };
        for node in &graph.nodes {
            let is_alone = graph.edges.iter().all(|(a, b)| a != node && b != node);
            if id(node) != *node {
                text.push_str(&format!("  {}[\"{node}\"]\n", id(node)));
            } else if is_alone {
                text.push_str(&format!("  {node}\n"));
            }
        }
        for from in &graph.nodes {
            let to: Vec<String> = graph
                .edges
                .iter()
                .filter(|(user, _)| user == from)
                .map(|(_, to)| id(to))
                .collect();
            if !to.is_empty() {
                text.push_str(&format!("  {} --> {}\n", id(from), to.join(" & ")));
            }
        }
        text.push_str("```\n");
        text
    }
}

fn unclear(line: &str) -> String {
    format!("not understood: `{line}`")
}

struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn is_empty(&self) -> bool {
        self.0.trim_start().is_empty()
    }

    fn take(&mut self, text: &str) -> bool {
        match self.0.trim_start().strip_prefix(text) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn arrow(&mut self) -> bool {
        if !["-->", "-.->", "==>"].iter().any(|arrow| self.take(arrow)) {
            return false;
        }
        if self.take("|") {
            match self.0.split_once('|') {
                Some((_, rest)) => self.0 = rest,
                None => return false,
            }
        }
        true
    }

    /// An identifier, and the names of its label if it has one.
    fn node(&mut self) -> Option<(String, Option<BTreeSet<String>>)> {
        let text = self.0.trim_start();
        let len = text
            .char_indices()
            .find(|&(at, c)| {
                let is_part = c.is_alphanumeric()
                    || c == '_'
                    // An arrow begins with a hyphen too.
                    || c == '-' && text[at + 1..].starts_with(char::is_alphanumeric);
                !is_part
            })
            .map_or(text.len(), |(at, _)| at);
        if len == 0 {
            return None;
        }
        let (id, rest) = text.split_at(len);
        self.0 = rest;
        let close = match rest.chars().next() {
            Some('[') => ']',
            Some('(') => ')',
            _ => return Some((id.to_owned(), None)),
        };
        let (label, rest) = match rest[1..].strip_prefix('"') {
            Some(quoted) => {
                let (label, rest) = quoted.split_once('"')?;
                (label, rest.strip_prefix(close)?)
            }
            None => rest[1..].split_once(close)?,
        };
        self.0 = rest;
        let names = label.split("<br").next().unwrap_or_default();
        let names = names.split(',').map(|name| name.trim().to_owned());
        Some((id.to_owned(), Some(names.collect())))
    }
}
