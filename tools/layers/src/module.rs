//! One module of a crate, as its source declares it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// A module's place in the list of its crate's modules.
pub type ModuleId = usize;

/// A module: its declarations, imports and references.
#[derive(Debug, Default)]
pub struct Module {
    /// The file that it is written in. Modules in braces share that of their parent.
    pub file: PathBuf,
    /// The module that declares it. The crate's root has none.
    pub parent: Option<ModuleId>,
    /// The modules that it declares.
    pub children: BTreeMap<String, ModuleId>,
    /// The names of the types, functions, macros and so on that it defines.
    pub items: BTreeSet<String>,
    /// The names that its `use` items bring into scope.
    pub imports: Vec<Import>,
    /// Every path that it names, those of its imports included.
    pub references: Vec<Reference>,
}

/// One name that a `use` item brings into scope.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// The name; `None` for `*`.
    pub name: Option<String>,
    /// The path that it imports.
    pub path: Vec<String>,
}

/// A path in the source.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its segments.
    pub path: Vec<String>,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Its place in the syntax.
    pub kind: ReferenceKind,
}

/// The place of a path in the syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// An expression, a type, a pattern or a private import of one name.
    Use,
    /// An import of all that a module has.
    Glob,
    /// An import that other modules can name.
    ReExport,
}
