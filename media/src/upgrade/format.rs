//! The format of a state, for tests that keep it from changing without a new [`VERSION`].
//!
//! The format is what serde's derive asks a reader for: the fields of each structure and the variants of each enum, with their types
//! and in their order. Values do not matter to it, so that a sample that happens to leave a field out hides nothing. A field that
//! keeps its name and type and changes its meaning is not seen.

mod tracer;

use std::{env, fs, path::Path};

use serde::de::DeserializeOwned;

use self::tracer::Types;
use super::version::VERSION;

/// Variable with which the tests write the format of a new version into its file.
const UPDATE_VARIABLE: &str = "UPDATE_STATE_FORMAT";

/// Maximum passes over a type. Each shows other variants of its enums.
const PASSES_MAX: usize = 4_096;

/// Returns the structures and enums of a state, one per line, in the order in which they are read.
pub fn format_of<T: DeserializeOwned>() -> Result<Vec<String>, String> {
    let mut types = Types::default();
    for _ in 0..PASSES_MAX {
        types.trace::<T>().map_err(|error| error.to_string())?;
        if types.is_complete() {
            break;
        }
    }
    types.lines()
}

/// Compares the format of a state with the one in a file, whose first line is its version. The file may be written after a new
/// version, and only then.
pub fn check_format(lines: &[String], file: &Path) -> Result<(), String> {
    let change = compare(lines, &fs::read_to_string(file).unwrap_or_default());
    let place = file.display();
    match change {
        Change::None => Ok(()),
        Change::SameVersion(difference) => Err(format!(
            "The format of the state has changed, and its version has not: a program of the same version would take the new bytes \
             for the old format. Raise VERSION in media/src/upgrade/version.rs. Then run this test once with {UPDATE_VARIABLE}=1, \
             which writes {place}, and commit both. What has changed:\n{difference}"
        )),
        Change::NewVersion { file: contents, .. } if env::var_os(UPDATE_VARIABLE).is_some() => {
            fs::write(file, contents).map_err(|error| format!("{place}: {error}"))
        }
        Change::NewVersion { difference, .. } => Err(format!(
            "The state has a new version, {VERSION}. Run this test once with {UPDATE_VARIABLE}=1, which writes {place}, and commit \
             it. What has changed:\n{difference}"
        )),
    }
}

/// The difference between the current format and the recorded one.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    SameVersion(String),
    NewVersion { difference: String, file: String },
}

fn compare(lines: &[String], written: &str) -> Change {
    let file = format!("version {VERSION}\n{}\n", lines.join("\n"));
    let (version, known) = written.split_once('\n').unwrap_or_default();
    if file == written {
        Change::None
    } else if version == format!("version {VERSION}") {
        Change::SameVersion(difference(known, lines))
    } else {
        Change::NewVersion { difference: difference(known, lines), file }
    }
}

/// The lines that are in only one of the two.
fn difference(known: &str, lines: &[String]) -> String {
    let removed =
        known.lines().filter(|line| !lines.iter().any(|now| now == line)).map(|line| format!("- {line}\n"));
    let added = lines
        .iter()
        .filter(|line| !known.lines().any(|known| known == *line))
        .map(|line| format!("+ {line}\n"));
    removed.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Basket {
        name: String,
        fruit: Vec<Fruit>,
        place: Option<(u8, i64)>,
        owner: Owner,
    }

    #[derive(Serialize, Deserialize)]
    enum Fruit {
        Apple,
        Pear(Kind),
        Plum { count: u32 },
    }

    #[derive(Serialize, Deserialize)]
    enum Kind {
        Sweet,
        Sour(bool, bool),
    }

    #[derive(Serialize, Deserialize)]
    struct Owner(u64);

    #[test]
    fn all_structures_and_variants_are_found_wherever_they_are() {
        assert_eq!(
            format_of::<Basket>().unwrap(),
            [
                "Basket { name: string, fruit: [Fruit], place: Option<(u8, i64)>, owner: Owner }",
                "Owner(u64)",
                "enum Fruit { Apple, Pear(Kind), Plum { count: u32 } }",
                "enum Kind { Sweet, Sour(bool, bool) }",
            ]
        );
    }

    #[test]
    fn a_change_needs_another_version() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let written = format!("version {VERSION}\nA {{ a: u8 }}\nB(u8)\n");
        assert_eq!(compare(&lines("A { a: u8 }\nB(u8)"), &written), Change::None);
        let changed = lines("A { a: u8, b: u8 }\nB(u8)");
        let difference = "- A { a: u8 }\n+ A { a: u8, b: u8 }\n".to_owned();
        assert_eq!(compare(&changed, &written), Change::SameVersion(difference.clone()));
        let before = written.replace(&format!("version {VERSION}"), "version 0");
        let file = format!("version {VERSION}\nA {{ a: u8, b: u8 }}\nB(u8)\n");
        assert_eq!(compare(&changed, &before), Change::NewVersion { difference, file });
        assert!(matches!(compare(&changed, ""), Change::NewVersion { .. }));
    }
}
