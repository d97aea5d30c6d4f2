//! The modules of a crate with their items and imports, from which the dependencies between files follow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, ItemMod, UseTree, Visibility};

use super::source;

/// Dependencies between files, each with the names that are used.
pub(super) type Edges = BTreeMap<(String, String), BTreeSet<String>>;

/// The number of segments of a path that is followed. Imports that name each other would make it grow for ever.
const SEGMENTS_MAX: usize = 16;

/// Modules and paths that a search has visited. Imports may lead back to them.
type Visited = BTreeSet<(usize, Vec<String>)>;

/// The modules of one crate. The first one is its root.
pub(super) struct Tree {
    modules: Vec<Module>,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    definitions: BTreeSet<String>,
    imports: Vec<Import>,
    /// Paths in the code outside `use` declarations, including paths of one segment.
    paths: BTreeSet<Vec<String>>,
}

/// A name that a `use` declaration brings into a module; `*` for all names of another module.
struct Import {
    name: String,
    path: Vec<String>,
    is_reexport: bool,
}

/// A function that reads a file by its path, or returns `None` if there is no such file.
type Read<'a> = dyn Fn(&Path) -> Option<String> + 'a;

impl Tree {
    /// Reads a crate, beginning with its first file.
    pub(super) fn load(root: &Path, read: &Read<'_>) -> Self {
        let mut tree = Self {
            modules: Vec::new(),
        };
        let folder = root.parent().unwrap().to_owned();
        tree.load_file(root, &folder, None, read);
        tree
    }

    fn load_file(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
        read: &Read<'_>,
    ) -> usize {
        let text = read(file).unwrap_or_else(|| panic!("{} is missing", file.display()));
        let stream = source::without_tests(text.parse().unwrap());
        let parsed: syn::File =
            syn::parse2(stream).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.add(file, folder, parent, &parsed.items, read)
    }

    fn add(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
        items: &[Item],
        read: &Read<'_>,
    ) -> usize {
        let index = self.modules.len();
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        for item in items {
            match item {
                Item::Mod(module) => {
                    let child = self.add_child(file, folder, index, module, read);
                    let name = module.ident.to_string();
                    self.modules[index].children.insert(name, child);
                }
                Item::Use(used) => {
                    let is_reexport = !matches!(used.vis, Visibility::Inherited);
                    let imports = &mut self.modules[index].imports;
                    flatten(&used.tree, &mut Vec::new(), is_reexport, imports);
                }
                _ => {
                    if let Some(name) = defined(item) {
                        self.modules[index].definitions.insert(name);
                    }
                    let paths = &mut self.modules[index].paths;
                    paths_in(item.to_token_stream(), paths);
                }
            }
        }
        index
    }

    fn add_child(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: usize,
        module: &ItemMod,
        read: &Read<'_>,
    ) -> usize {
        let name = module.ident.to_string();
        let inner = folder.join(&name);
        if let Some((_, items)) = &module.content {
            return self.add(file, &inner, Some(parent), items, read);
        }
        let elsewhere = module.attrs.iter().find_map(|attribute| {
            let pair = attribute.meta.require_name_value().ok()?;
            let text = pair.value.to_token_stream().to_string();
            pair.path
                .is_ident("path")
                .then(|| text.trim_matches('"').to_owned())
        });
        if let Some(path) = elsewhere {
            let path = file.parent().unwrap().join(path);
            let folder = path.parent().unwrap().to_owned();
            return self.load_file(&path, &folder, Some(parent), read);
        }
        let path = inner.with_extension("rs");
        let nested = inner.join("mod.rs");
        let path = if read(&nested).is_some() {
            nested
        } else {
            path
        };
        self.load_file(&path, &inner, Some(parent), read)
    }

    /// Returns the dependencies between files.
    pub(super) fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (index, module) in self.modules.iter().enumerate() {
            let mut paths = module.paths.clone();
            for import in module.imports.iter().filter(|import| import.name != "*") {
                let is_used = module.paths.iter().any(|path| path[0] == import.name);
                if !import.is_reexport || is_used {
                    paths.insert(import.path.clone());
                }
            }
            for path in paths {
                let Some(Target::Item(target, name)) =
                    self.resolve(index, &path, &mut Visited::new())
                else {
                    continue;
                };
                let other = &self.modules[target].file;
                if *other != module.file {
                    let shown = |file: &Path| file.display().to_string();
                    let edge = (shown(&module.file), shown(other));
                    edges.entry(edge).or_default().insert(name);
                }
            }
        }
        edges
    }

    /// Follows a path that stands in a module.
    fn resolve(&self, from: usize, path: &[String], visited: &mut Visited) -> Option<Target> {
        let mut module = from;
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            module = match first.as_str() {
                "crate" => 0,
                "self" => module,
                "super" => self.modules[module].parent?,
                _ => break,
            };
            rest = others;
        }
        self.find(module, rest, visited)
    }

    /// Follows a path from the names in a module: its own items, its children and its imports.
    fn find(&self, index: usize, path: &[String], visited: &mut Visited) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else {
            return Some(Target::Module(index));
        };
        let is_new = visited.insert((index, path.to_vec()));
        if !is_new || path.len() > SEGMENTS_MAX {
            return None;
        }
        let module = &self.modules[index];
        if let Some(child) = module.children.get(first)
            && let Some(found) = self.find(*child, rest, visited)
        {
            return Some(found);
        }
        if module.definitions.contains(first) {
            return Some(Target::Item(index, first.clone()));
        }
        let named = module.imports.iter().filter(|import| import.name == *first);
        for import in named {
            // A path that begins with its own name is one of another crate.
            let is_own = import.path.first() == Some(first);
            let path = [&import.path, rest].concat();
            if !is_own && let Some(found) = self.resolve(index, &path, visited) {
                return Some(found);
            }
        }
        let globs = module.imports.iter().filter(|import| import.name == "*");
        for import in globs {
            if let Some(Target::Module(other)) = self.resolve(index, &import.path, visited)
                && let Some(found) = self.find(other, path, visited)
            {
                return Some(found);
            }
        }
        None
    }
}

/// The end of a path.
enum Target {
    Module(usize),
    /// An item by its name, and the module that defines it.
    Item(usize, String),
}

fn flatten(tree: &UseTree, before: &mut Vec<String>, is_reexport: bool, imports: &mut Vec<Import>) {
    let mut push = |name: String, path: Vec<String>| {
        imports.push(Import {
            name,
            path,
            is_reexport,
        });
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, is_reexport, imports);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            push(before.last().unwrap().clone(), before.clone());
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            push(name.clone(), [&before[..], &[name]].concat());
        }
        UseTree::Rename(rename) => {
            let path = [&before[..], &[rename.ident.to_string()]].concat();
            push(rename.rename.to_string(), path);
        }
        UseTree::Glob(_) => push("*".to_owned(), before.clone()),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, is_reexport, imports);
            }
        }
    }
}

fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Adds the paths in tokens: words joined by `::` that do not follow a dot.
fn paths_in(stream: TokenStream, paths: &mut BTreeSet<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut before = String::new();
    for token in stream {
        let text = match &token {
            TokenTree::Group(group) => {
                paths_in(group.stream(), paths);
                String::new()
            }
            token => token.to_string(),
        };
        let is_word = matches!(token, TokenTree::Ident(_));
        if is_word && !path.is_empty() && before == "::" {
            path.push(text.clone());
        } else if text == ":" {
            let colons = if before == ":" { "::" } else { ":" };
            colons.clone_into(&mut before);
            continue;
        } else {
            finish(&mut path, paths);
            if is_word && before != "." && before != "::" {
                path.push(text.clone());
            }
        }
        before = text;
    }
    finish(&mut path, paths);
}

fn finish(path: &mut Vec<String>, paths: &mut BTreeSet<Vec<String>>) {
    if !path.is_empty() {
        paths.insert(std::mem::take(path));
    }
}
