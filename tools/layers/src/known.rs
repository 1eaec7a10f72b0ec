//! Dependencies that are part of cycles and are to be removed: a list that can only shrink.

use std::collections::BTreeSet;

use crate::cycles::Edge;

/// The list: `FROM -> TO` a line, and comments behind `#`.
#[derive(Debug, Default)]
pub struct Known(BTreeSet<String>);

impl Known {
    /// Reads the list.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let checked = lines.map(|line| match line.split_once(" -> ") {
            Some(_) => Ok(line.to_owned()),
            None => Err(format!("not a dependency, FROM -> TO: {line}")),
        });
        checked.collect::<Result<_, _>>().map(Self)
    }

    /// Returns true if all dependencies of a cycle are listed.
    pub fn has_all(&self, edges: &[Edge]) -> bool {
        edges.iter().all(|edge| self.0.contains(&edge.to_string()))
    }

    /// Returns the listed dependencies that are part of no cycle.
    pub fn stale(&self, cycles: &[Vec<Edge>]) -> Vec<&str> {
        let found: BTreeSet<_> = cycles.iter().flatten().map(ToString::to_string).collect();
        self.0.iter().map(String::as_str).filter(|line| !found.contains(*line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_its_dependencies_and_knows_those_that_are_no_more() {
        let known = Known::parse("# why\na -> b\n\n b -> a\nc -> d\n").unwrap();
        let edge = |from: &str, to: &str| Edge { from: from.into(), to: to.into(), places: Vec::new() };
        let cycle = vec![edge("a", "b"), edge("b", "a")];
        assert!(known.has_all(&cycle));
        assert!(!known.has_all(&[edge("a", "c")]));
        assert_eq!(known.stale(&[cycle]), ["c -> d"]);
    }

    #[test]
    fn a_line_that_is_no_dependency_is_named() {
        assert!(Known::parse("a - b").unwrap_err().contains("a - b"));
    }
}
