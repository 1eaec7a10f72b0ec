//! Cycles in a graph: its strongly connected components of more than one node.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
};

/// A dependency of one file on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The file that depends.
    pub from: String,
    /// The file that it depends on.
    pub to: String,
    /// The lines of `from` that make it so, each with what it names.
    pub places: Vec<String>,
}

impl Display for Edge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// The edges of each cycle. Cycles that share a node are one.
pub fn find(edges: &[Edge]) -> Vec<Vec<Edge>> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for edge in edges {
        graph.entry(&edge.from).or_default().insert(&edge.to);
    }
    let reach: BTreeMap<_, _> = graph.keys().map(|&node| (node, reachable(&graph, node))).collect();
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|nodes| nodes.contains(to));
    let mut cycles: Vec<Vec<Edge>> = Vec::new();
    for edge in edges.iter().filter(|edge| reaches(&edge.to, &edge.from)) {
        let same = cycles.iter_mut().find(|cycle| {
            cycle
                .first()
                .is_some_and(|first| reaches(&first.from, &edge.from) && reaches(&edge.from, &first.from))
        });
        match same {
            Some(cycle) => cycle.push(edge.clone()),
            None => cycles.push(vec![edge.clone()]),
        }
    }
    cycles
}

/// All that can be reached from a node over one edge or more.
fn reachable<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &str) -> BTreeSet<&'a str> {
    let next = |node: &str| graph.get(node).into_iter().flatten().copied();
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<_> = next(start).collect();
    while let Some(node) = waiting.pop() {
        if reached.insert(node) {
            waiting.extend(next(node));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(edges: &str) -> Vec<String> {
        let edge = |(from, to): (&str, &str)| Edge { from: from.into(), to: to.into(), places: Vec::new() };
        let edges: Vec<_> = edges.split(' ').filter_map(|edge| edge.split_once('>')).map(edge).collect();
        let join = |cycle: &Vec<Edge>| {
            cycle.iter().map(|edge| format!("{}>{}", edge.from, edge.to)).collect::<Vec<_>>().join(" ")
        };
        find(&edges).iter().map(join).collect()
    }

    #[test]
    fn a_graph_that_only_goes_down_has_no_cycle() {
        assert!(cycles("a>b a>c b>d c>d").is_empty());
    }

    #[test]
    fn each_cycle_has_its_edges_and_no_others() {
        assert_eq!(cycles("a>b b>a b>c c>d d>e e>c e>f"), ["a>b b>a", "c>d d>e e>c"]);
    }

    #[test]
    fn cycles_that_share_a_node_are_one() {
        assert_eq!(cycles("a>b b>a b>c c>b"), ["a>b b>a b>c c>b"]);
    }
}
