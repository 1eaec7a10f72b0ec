//! The modules of a crate, found from its root file as the compiler does.

use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit};

use crate::{
    module::{Module, ModuleId},
    references::{self, is_test},
};

/// Returns the text of a file.
pub type Read<'a> = &'a dyn Fn(&Path) -> Result<String, String>;

/// Reads the crate whose root is `root`. Its modules come parents first.
pub fn load(root: &Path, read: Read<'_>) -> Result<Vec<Module>, String> {
    let directory = root.parent().map(Path::to_owned).unwrap_or_default();
    let mut tree = Tree { modules: Vec::new(), read };
    tree.file(root, directory, None)?;
    Ok(tree.modules)
}

struct Tree<'a> {
    modules: Vec<Module>,
    read: Read<'a>,
}

impl Tree<'_> {
    /// Adds the module of a file. `directory` is where the files of its children are.
    fn file(
        &mut self,
        path: &Path,
        directory: PathBuf,
        parent: Option<ModuleId>,
    ) -> Result<ModuleId, String> {
        let source = (self.read)(path)?;
        let parsed = syn::parse_file(&source).map_err(|error| {
            let at = error.span().start();
            format!("{}:{}: {error}", path.display(), at.line)
        })?;
        self.module(path, directory, parent, &parsed.items)
    }

    fn module(
        &mut self,
        path: &Path,
        directory: PathBuf,
        parent: Option<ModuleId>,
        items: &[Item],
    ) -> Result<ModuleId, String> {
        let id = self.modules.len();
        let mut module = Module { file: path.to_owned(), parent, ..Module::default() };
        references::collect(items, &mut module);
        self.modules.push(module);
        for item in items {
            match item {
                Item::Mod(child) if !is_test(&child.attrs) => self.child(id, path, &directory, child)?,
                _ => {}
            }
        }
        Ok(id)
    }

    fn child(
        &mut self,
        parent: ModuleId,
        path: &Path,
        directory: &Path,
        child: &ItemMod,
    ) -> Result<(), String> {
        let name = child.ident.to_string();
        let below = directory.join(&name);
        let id = match (&child.content, elsewhere(&child.attrs)) {
            (Some((_, items)), _) => self.module(path, below, Some(parent), items)?,
            (None, Some(file)) => {
                let file = path.with_file_name(file);
                let beside = file.parent().map(Path::to_owned).unwrap_or_default();
                self.file(&file, beside, Some(parent))?
            }
            (None, None) => self.child_file(directory, below, parent, &name)?,
        };
        self.modules[parent].children.insert(name, id);
        Ok(())
    }

    fn child_file(
        &mut self,
        directory: &Path,
        below: PathBuf,
        parent: ModuleId,
        name: &str,
    ) -> Result<ModuleId, String> {
        let flat = directory.join(format!("{name}.rs"));
        let nested = below.join("mod.rs");
        let path = if (self.read)(&nested).is_ok() { nested } else { flat };
        self.file(&path, below, Some(parent))
    }
}

/// The file that `#[path]` names.
fn elsewhere(attrs: &[Attribute]) -> Option<String> {
    let path = attrs.iter().find(|attr| attr.path().is_ident("path"))?;
    match &path.meta.require_name_value().ok()?.value {
        Expr::Lit(ExprLit { lit: Lit::Str(file), .. }) => Some(file.value()),
        _ => None,
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The modules of a crate whose files are given. Its root is `lib.rs`.
    pub fn load_files(files: &[(&str, &str)]) -> Result<Vec<Module>, String> {
        let files: HashMap<_, _> = files.iter().map(|(path, text)| (PathBuf::from(path), *text)).collect();
        load(Path::new("lib.rs"), &|path| match files.get(path) {
            Some(text) => Ok((*text).to_owned()),
            None => Err(format!("{}: not found", path.display())),
        })
    }

    #[test]
    fn children_are_found_beside_and_below_and_in_braces_and_tests_are_left_out() {
        let modules = load_files(&[
            ("lib.rs", "mod a; pub mod b; mod c { mod d; } #[path = \"z/f.rs\"] mod f; #[cfg(test)] mod tests; #[cfg(test)] mod e {}"),
            ("a.rs", "mod x;"),
            ("a/x.rs", ""),
            ("b/mod.rs", "mod y;"),
            ("b/y.rs", ""),
            ("c/d.rs", ""),
            ("z/f.rs", "mod g;"),
            ("z/g.rs", ""),
        ])
        .unwrap();
        let files: Vec<_> = modules.iter().map(|module| module.file.to_str().unwrap()).collect();
        assert_eq!(
            files,
            ["lib.rs", "a.rs", "a/x.rs", "b/mod.rs", "b/y.rs", "lib.rs", "c/d.rs", "z/f.rs", "z/g.rs"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = |files| load_files(files).unwrap_err();
        assert_eq!(error(&[("lib.rs", "mod a;")]), "a.rs: not found");
        assert!(error(&[("lib.rs", "\nfn f( {")]).starts_with("lib.rs:2: "));
        assert_eq!(error(&[("lib.rs", "#[path = \"b.rs\"] mod a;")]), "b.rs: not found");
    }
}
