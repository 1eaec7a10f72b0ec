//! The definitions, imports and references of a module, read from its syntax.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemUse, Macro, Meta, Path, UseTree, Visibility,
    visit::{self, Visit},
};

use crate::module::{Import, Module, Reference, ReferenceKind};

/// Adds the definitions, imports and references of `items` to `module`. Child modules are left out.
pub fn collect(items: &[Item], module: &mut Module) {
    module.items.extend(items.iter().filter_map(name));
    let mut collector = Collector { module };
    items.iter().for_each(|item| collector.visit_item(item));
}

/// Returns true if the attributes include `#[cfg(test)]`.
pub fn is_test(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| {
        attr.path().is_ident("cfg")
            && attr.parse_args::<syn::Path>().is_ok_and(|predicate| predicate.is_ident("test"))
    })
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The start of an import.
fn line(tree: &UseTree) -> usize {
    let span = match tree {
        UseTree::Path(path) => path.ident.span(),
        UseTree::Name(name) => name.ident.span(),
        UseTree::Rename(rename) => rename.ident.span(),
        UseTree::Glob(glob) => glob.star_token.span,
        UseTree::Group(group) => group.brace_token.span.open(),
    };
    span.start().line
}

struct Collector<'a> {
    module: &'a mut Module,
}

impl Collector<'_> {
    fn add(&mut self, path: Vec<String>, line: usize, kind: ReferenceKind) {
        self.module.references.push(Reference { path, line, kind });
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], is_public: bool) {
        let line = line(tree);
        let kind = if is_public { ReferenceKind::ReExport } else { ReferenceKind::Use };
        let with = |name: &str| [prefix, &[name.to_owned()]].concat();
        let (name, path) = match tree {
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, prefix, is_public));
            }
            UseTree::Path(path) => {
                return self.import(&path.tree, &with(&path.ident.to_string()), is_public);
            }
            UseTree::Glob(_) => {
                self.module.imports.push(Import { name: None, path: prefix.to_vec() });
                let kind = if is_public { kind } else { ReferenceKind::Glob };
                return self.add(prefix.to_vec(), line, kind);
            }
            // `use a::{self}` is `use a`.
            UseTree::Name(name) if name.ident == "self" => (prefix.last().cloned(), prefix.to_vec()),
            UseTree::Rename(rename) if rename.ident == "self" => {
                (Some(rename.rename.to_string()), prefix.to_vec())
            }
            UseTree::Name(name) => (Some(name.ident.to_string()), with(&name.ident.to_string())),
            UseTree::Rename(rename) => (Some(rename.rename.to_string()), with(&rename.ident.to_string())),
        };
        if name.is_some() {
            self.module.imports.push(Import { name, path: path.clone() });
            self.add(path, line, kind);
        }
    }

    /// The paths in what is given to a macro: its syntax is its own, but a path looks like one everywhere.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => path.push(ident.to_string()),
                TokenTree::Ident(ident) => {
                    self.end(&mut path, line);
                    // `::a` is another crate.
                    if colons < 2 {
                        line = ident.span().start().line;
                        path.push(ident.to_string());
                    }
                }
                TokenTree::Group(group) => {
                    self.end(&mut path, line);
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.end(&mut path, line),
            }
            colons = 0;
        }
        self.end(&mut path, line);
    }

    /// A path in a macro's tokens is over. One name alone may be anything.
    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.add(path, line, ReferenceKind::Use);
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) && !matches!(item, Item::Mod(_)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        match item {
            ImplItem::Fn(function) if is_test(&function.attrs) => {}
            _ => visit::visit_impl_item(self, item),
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let is_public = !matches!(item.vis, Visibility::Inherited);
            self.import(&item.tree, &[], is_public);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if let (None, Some(first)) = (&path.leading_colon, path.segments.first()) {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add(segments, first.ident.span().start().line, ReferenceKind::Use);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.visit_path(&invocation.path);
        self.tokens(invocation.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(source: &str) -> Module {
        let mut module = Module::default();
        collect(&syn::parse_file(source).unwrap().items, &mut module);
        module
    }

    /// Paths with their lines, in the order of the source.
    fn paths(source: &str) -> Vec<String> {
        let module = collected(source);
        let long = module.references.iter().filter(|reference| reference.path.len() > 1);
        long.map(|reference| format!("{}:{}", reference.path.join("::"), reference.line)).collect()
    }

    #[test]
    fn imports_are_taken_apart() {
        let module = collected("use crate::a::{self, B, c::*, D as E}; pub(crate) use super::F; use ::g::H;");
        let imports: Vec<_> = module
            .imports
            .iter()
            .map(|import| (import.name.as_deref().unwrap_or("*"), import.path.join("::")))
            .collect();
        let expected = [
            ("a", "crate::a"),
            ("B", "crate::a::B"),
            ("*", "crate::a::c"),
            ("E", "crate::a::D"),
            ("F", "super::F"),
        ];
        assert_eq!(imports, expected.map(|(name, path)| (name, path.to_owned())));
        let kinds: Vec<_> = module.references.iter().map(|reference| reference.kind).collect();
        use ReferenceKind::{Glob, ReExport, Use};
        assert_eq!(kinds, [Use, Use, Glob, Use, ReExport]);
    }

    #[test]
    fn paths_are_found_in_types_patterns_expressions_and_generics() {
        let source = "
            struct S { x: Vec<crate::a::X> }
            fn f(y: super::Y) -> impl crate::T {
                match y { super::Y::A => b::g(), _ => ::other::z() }
            }";
        assert_eq!(paths(source), ["crate::a::X:2", "super::Y:3", "crate::T:3", "super::Y::A:4", "b::g:4"]);
    }

    #[test]
    fn paths_are_found_in_what_is_given_to_macros_and_attributes() {
        let source = "
            macro_rules! m { () => { $crate::a::X } }
            #[arg(parser = crate::b::parse)]
            struct S;
            fn f() { info!(x = crate::c::Y, z.len(); \"{}\", [d::Z { e: f }]); a ::log::w!(1 : 2) }";
        let source = source.replace("a ::log::w!(1 : 2)", "v![x: ::log::W, a: b]");
        assert_eq!(paths(&source), ["crate::a::X:2", "crate::b::parse:3", "crate::c::Y:5", "d::Z:5"]);
    }

    #[test]
    fn what_is_for_tests_or_in_child_modules_is_left_out() {
        let source = "
            #[cfg(test)] use crate::a::X;
            #[cfg(test)] fn f() { crate::b::g() }
            impl S { #[cfg(test)] fn h() { crate::c::i() } fn j() { crate::d::k() } }
            mod e { use crate::f::L; }";
        assert_eq!(paths(source), ["crate::d::k:4"]);
    }

    #[test]
    fn definitions_are_known_by_name() {
        let module = collected(
            "struct A; enum B {} fn c() {} const D: u8 = 0; trait E {} macro_rules! f { () => {} } mod g {}",
        );
        assert_eq!(
            module.items.iter().map(String::as_str).collect::<Vec<_>>(),
            ["A", "B", "D", "E", "c", "f"]
        );
    }
}
