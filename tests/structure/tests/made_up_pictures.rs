//! How a picture is compared with a graph.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use msip_structure::{Graph, Picture, Subject};

/// A graph from edges such as `a b`, and nodes alone.
fn graph(lines: &[&str]) -> Graph {
    let mut graph = Graph::default();
    for line in lines {
        let names: Vec<String> = line.split(' ').map(str::to_owned).collect();
        graph.nodes.extend(names.iter().cloned());
        if let [from, to] = names.as_slice() {
            graph.edges.insert((from.clone(), to.clone()));
        }
    }
    graph
}

fn read(block: &str) -> Result<Vec<Picture>, String> {
    let text = format!("# Title\n\n```mermaid\ngraph TD\n{block}\n```\n");
    Picture::read(Path::new("page.md"), &text).map_err(|problems| problems.to_string())
}

/// The differences between a picture of crates and a graph.
fn differences(block: &str, code: &Graph) -> Vec<String> {
    let block = format!("%% checked against: the crates\n{block}");
    read(&block).expect("a picture that is understood")[0].differences(code)
}

#[test]
fn a_picture_that_shows_the_code_has_no_differences() {
    let code = graph(&["a b", "a c-d", "b c-d", "e"]);
    for block in [
        "a --> b\n a --> c-d\n b --> c-d\n e",
        "a --> b & c-d\n b -->|by a feature| c-d; \n e[e]",
        "a & b --> c-d\n a -.-> b\n e(\"e<br/>stands alone\")",
        "%% transitively reduced\n e\n a --> b --> c-d",
        "subgraph frame[\"A frame\"]\n a --> b\n end\n a & b --> c-d\n e",
    ] {
        assert_eq!(differences(block, &code), [""; 0], "{block}");
    }
}

#[test]
fn both_ways_to_differ_are_told() {
    let code = graph(&["a b", "b c", "a c"]);
    assert_eq!(
        differences("a --> b\n b --> c\n c --> a", &code),
        [
            "the arrow a --> c is missing",
            "the arrow c --> a is superfluous: the code has none",
        ]
    );
    assert_eq!(
        differences("%% transitively reduced\n a --> b & c", &code),
        [
            "the arrow b --> c is missing",
            "the arrow a --> c is superfluous: there is a longer way",
        ]
    );
    assert_eq!(
        differences("a --> b\n c\n d\n n[\"c, b\"]", &code),
        [
            "d is in the picture and not in the code",
            "b is in the picture twice",
            "c is in the picture twice",
        ]
    );
    assert_eq!(
        differences("a --> b", &code),
        ["c is in the code and not in the picture"]
    );
}

#[test]
fn a_node_may_stand_for_several() {
    let code = graph(&[
        "client error",
        "server status",
        "status error",
        "error wire",
    ]);
    let block = "errors[\"error, status<br/>what fails\"]\n client & server --> errors --> wire";
    assert_eq!(differences(block, &code), [""; 0]);
}

#[test]
fn a_subgraph_with_arrows_of_its_own_stands_for_what_is_in_it() {
    let code = graph(&[
        "client error",
        "server status",
        "status error",
        "error wire",
    ]);
    let block =
        "client & server --> errors\n subgraph errors\n error\n status\n end\n errors --> wire";
    assert_eq!(differences(block, &code), [""; 0]);
    assert_eq!(
        differences(&format!("{block}\n status --> error"), &code),
        [
            "an arrow names error, and another its subgraph errors",
            "an arrow names status, and another its subgraph errors",
        ]
    );
}

#[test]
fn a_circle_cannot_be_reduced() {
    let code = graph(&["a b", "b a"]);
    let found = differences("%% transitively reduced\n a --> b", &code);
    assert_eq!(
        found,
        ["nothing can be reduced: these use each other in a circle: [{\"a\", \"b\"}]"]
    );
}

#[test]
fn what_is_printed_is_read_again_without_differences() {
    let code = graph(&["call end", "call wire", "end wire", "alone", "graph"]);
    let subject = Subject::Modules("msip-runtime".to_owned());
    for (is_reduced, edges) in [
        (true, "call_ --> end_\n"),
        (false, "call_ --> end_ & wire\n"),
    ] {
        let text = Picture::print(&subject, &code, is_reduced);
        let pictures = Picture::read(Path::new("page.md"), &text).expect("a picture");
        assert_eq!(pictures[0].subject, subject);
        assert_eq!(pictures[0].differences(&code), [""; 0], "{text}");
        assert!(text.contains(edges), "{text}");
    }
}

#[test]
fn blocks_that_are_not_checked_are_left_alone_and_unclear_lines_are_mistakes() {
    assert_eq!(read("a ~~~ b").expect("not checked").len(), 0);
    let found = read("%% checked against: the crates\na ~~~ b").err();
    assert_eq!(
        found.as_deref(),
        Some("page.md:6: not understood: `a ~~~ b`")
    );
    let found = read("%% checked against: the moon").err();
    assert_eq!(
        found.as_deref(),
        Some("page.md:5: neither `the crates` nor `the modules of <package>`: `the moon`")
    );
}
