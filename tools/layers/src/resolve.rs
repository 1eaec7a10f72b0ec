//! Resolution of paths to modules.

use std::collections::BTreeMap;

use crate::{
    cycles::Edge,
    module::{Module, ModuleId, Reference, ReferenceKind},
};

/// The most imports that may lead from one to the next.
const IMPORTS_MAX: usize = 32;

/// The module to which a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// To something that this module defines.
    Item(ModuleId),
    /// To this module itself.
    Module(ModuleId),
    /// Out of the crate, or to a local name.
    Elsewhere,
}

/// The dependencies between the files of a crate.
pub fn edges(modules: &[Module]) -> Vec<Edge> {
    let crate_ = Crate { modules };
    let mut places: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (from, module) in modules.iter().enumerate() {
        for reference in &module.references {
            let Some(to) = crate_.dependency(from, reference) else { continue };
            let ends = (module.file.display().to_string(), modules[to].file.display().to_string());
            let place = format!("{}: {}", reference.line, reference.path.join("::"));
            places.entry(ends).or_default().push(place);
        }
    }
    let edge = |((from, to), mut places): ((String, String), Vec<String>)| {
        places.dedup();
        Edge { from, to, places }
    };
    places.into_iter().filter(|((from, to), _)| from != to).map(edge).collect()
}

struct Crate<'a> {
    modules: &'a [Module],
}

impl Crate<'_> {
    /// The module that `from` depends on because of a path, if that is another one of the crate.
    fn dependency(&self, from: ModuleId, reference: &Reference) -> Option<ModuleId> {
        let target = self.resolve(from, &reference.path, IMPORTS_MAX);
        match (reference.kind, target) {
            (ReferenceKind::ReExport, Target::Item(to) | Target::Module(to)) => {
                (!self.is_below(to, from)).then_some(to)
            }
            (ReferenceKind::Use, Target::Item(to))
            | (ReferenceKind::Glob, Target::Item(to) | Target::Module(to)) => Some(to),
            // A module's name alone: what is named through it counts.
            (ReferenceKind::Use, Target::Module(_)) | (_, Target::Elsewhere) => None,
        }
    }

    fn is_below(&self, module: ModuleId, ancestor: ModuleId) -> bool {
        let parents = std::iter::successors(Some(module), |&module| self.modules[module].parent);
        parents.skip(1).any(|parent| parent == ancestor)
    }

    fn resolve(&self, from: ModuleId, path: &[String], imports_left: usize) -> Target {
        let Some((first, mut rest)) = path.split_first() else { return Target::Elsewhere };
        let mut target = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(from),
            "super" => self.parent(from),
            name => self.lookup(from, name, rest.is_empty(), imports_left),
        };
        while let (Target::Module(here), Some((name, behind))) = (target, rest.split_first()) {
            target = match name.as_str() {
                "super" => self.parent(here),
                // A name that a macro makes has no definition in the syntax.
                name => match self.lookup(here, name, behind.is_empty(), imports_left) {
                    Target::Elsewhere => Target::Item(here),
                    found => found,
                },
            };
            rest = behind;
        }
        target
    }

    fn parent(&self, module: ModuleId) -> Target {
        self.modules[module].parent.map_or(Target::Elsewhere, Target::Module)
    }

    /// Looks `name` up in a module. A module and an item may have the same name: the last segment of a path means the
    /// item, any other the module.
    fn lookup(&self, module: ModuleId, name: &str, is_last: bool, imports_left: usize) -> Target {
        let here = &self.modules[module];
        let is_item = here.items.contains(name);
        match here.children.get(name) {
            Some(&child) if !(is_item && is_last) => Target::Module(child),
            _ if is_item => Target::Item(module),
            _ => self.imported(module, name, imports_left),
        }
    }

    fn imported(&self, module: ModuleId, name: &str, imports_left: usize) -> Target {
        let Some(imports_left) = imports_left.checked_sub(1) else { return Target::Elsewhere };
        let imports = &self.modules[module].imports;
        let named = imports.iter().filter(|import| import.name.as_deref() == Some(name));
        let mut found = named.map(|import| self.resolve(module, &import.path, imports_left));
        if let Some(target) = found.find(|target| *target != Target::Elsewhere) {
            return target;
        }
        let globs = imports.iter().filter(|import| import.name.is_none());
        let mut found = globs.map(|import| match self.resolve(module, &import.path, imports_left) {
            Target::Module(other) if other != module => self.lookup(other, name, true, imports_left),
            _ => Target::Elsewhere,
        });
        found.find(|target| *target != Target::Elsewhere).unwrap_or(Target::Elsewhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::load_files;

    /// The dependencies, as `from->to` without `.rs`.
    fn edges_of(files: &[(&str, &str)]) -> Vec<String> {
        let edges = edges(&load_files(files).unwrap());
        edges.iter().map(|edge| format!("{}->{}", edge.from, edge.to).replace(".rs", "")).collect()
    }

    #[test]
    fn a_name_counts_for_the_module_that_defines_it_however_it_is_reached() {
        for text in [
            "use crate::b::X;",
            "use super::b::X as Y;",
            "use super::b; fn f() -> b::X { todo!() }",
            "fn f() { crate::b::X::new(); }",
            "fn f() { m!(super::b::X) }",
            "use super::b::*;",
            "use crate::b::{self, X};",
            "pub use crate::b::X;",
            "use crate::X;",
            "fn f(_: crate::b::MadeByMacro) {}",
        ] {
            let files =
                [("lib.rs", "mod a; mod b; pub use b::X;"), ("a.rs", text), ("b.rs", "pub struct X;")];
            assert_eq!(edges_of(&files), ["a->b"], "{text}");
        }
    }

    #[test]
    fn a_parent_that_declares_and_re_exports_does_not_depend_and_one_that_uses_does() {
        let child = ("a.rs", "pub struct X; fn f(_: super::Y) {}");
        let edges = |root| edges_of(&[("lib.rs", root), child]);
        assert_eq!(edges("mod a; pub use a::X; pub struct Y;"), ["a->lib"]);
        assert_eq!(edges("mod a; pub use a::*; pub struct Y;"), ["a->lib"]);
        assert_eq!(edges("mod a; pub(crate) use a::X; pub struct Y(X);"), ["a->lib", "lib->a"]);
        assert_eq!(edges("mod a; use a::X; pub struct Y;"), ["a->lib", "lib->a"]);
        assert_eq!(edges("mod a; pub struct Y(a::X);"), ["a->lib", "lib->a"]);
    }

    #[test]
    fn what_is_imported_by_a_parent_is_not_the_parents() {
        let root = "mod a; mod b; use b::X; fn a() {}";
        let files = [("lib.rs", root), ("a.rs", "use super::X;"), ("b.rs", "pub struct X;")];
        assert_eq!(edges_of(&files), ["a->b", "lib->b"]);
    }

    #[test]
    fn modules_in_braces_are_their_files() {
        let root = "mod a; mod b { pub mod c { pub struct X; } use self::c::X; }";
        assert_eq!(edges_of(&[("lib.rs", root), ("a.rs", "use crate::b::c::X;")]), ["a->lib"]);
    }

    #[test]
    fn other_crates_and_local_names_are_nothing() {
        let a = "use b::X; use log::info; fn f<T: Tr>() { let b = 1; T::go(); Self::y(); ::b::z(); b }";
        assert!(edges_of(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", "pub struct X;")]).is_empty());
        assert!(
            edges_of(&[("lib.rs", "mod a; fn f() { let a = 1; a }"), ("a.rs", "pub struct X;")]).is_empty()
        );
    }

    #[test]
    fn imports_that_lead_nowhere_end() {
        let files =
            [("lib.rs", "mod a; mod b;"), ("a.rs", "pub use crate::b::X;"), ("b.rs", "pub use crate::a::X;")];
        assert_eq!(edges_of(&files), ["a->b", "b->a"]);
    }
}
