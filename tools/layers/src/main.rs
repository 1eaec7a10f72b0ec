//! Finds cycles between the modules of crates: `synctv-layers ROOT...`, where each ROOT is a crate's
//! `lib.rs` or `main.rs`.
//!
//! A module is a file. It depends on another one if it names something that is defined there, through `use` or in
//! place, and whether it goes by `crate::`, `super::`, a child's name or a re-export. Declaring a child with `mod` and
//! re-exporting what is below it are no dependencies, so that a parent can be the face of its children; a parent that
//! *uses* a child which uses the parent is a cycle. Code under `#[cfg(test)]` does not count.
//!
//! Method calls have no path and are not seen. Neither are names that a macro makes.

mod cycles;
mod module;
mod references;
mod resolve;
mod tree;

use std::{env, fs, path::PathBuf, process::ExitCode};

use crate::cycles::Edge;

/// The command line.
#[derive(Debug, Default)]
struct Request {
    lists: bool,
    roots: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match Request::parse(env::args().skip(1)).and_then(|request| request.run()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("layers: {error}");
            ExitCode::from(2)
        }
    }
}

impl Request {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut request = Self::default();
        for arg in args {
            match arg.as_str() {
                "--list" => request.lists = true,
                _ => request.roots.push(arg.into()),
            }
        }
        if request.roots.is_empty() {
            return Err("usage: synctv-layers [--list] ROOT...".to_owned());
        }
        Ok(request)
    }

    /// Returns true if there is no cycle.
    fn run(&self) -> Result<bool, String> {
        let cycles = self.cycles()?;
        if self.lists {
            cycles.iter().flatten().for_each(|edge| println!("{edge}"));
            return Ok(true);
        }
        cycles.iter().for_each(|edges| report(edges));
        Ok(cycles.is_empty())
    }

    /// The edges of each cycle of each crate.
    fn cycles(&self) -> Result<Vec<Vec<Edge>>, String> {
        let mut cycles = Vec::new();
        for root in &self.roots {
            let modules = tree::load(root, &|path| read(path))?;
            cycles.extend(cycles::find(&resolve::edges(&modules)));
        }
        Ok(cycles)
    }
}

fn read(path: &std::path::Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints a cycle with the lines that make it.
fn report(edges: &[Edge]) {
    eprintln!("layers: these modules depend on each other in a circle:");
    for edge in edges {
        eprintln!("    {edge}");
        edge.places.iter().for_each(|place| eprintln!("        {}:{place}", edge.from));
    }
}
