//! No circle between files: none uses an item of a file that, by however many steps, uses one of its own.
//!
//! An edge is a `use` of an item to the file that defines it. Re-exports are followed to that file and are no edge themselves; `mod` lines and
//! unit tests are none either.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, Meta, UseTree, Visibility};

use crate::harness::project;

/// The sources of a crate by module, such as `crate::store::files`.
type Modules = BTreeMap<String, Module>;

#[derive(Default)]
struct Module {
    file: PathBuf,
    defines: BTreeSet<String>,
    children: BTreeSet<String>,
    /// What it knows by which name; `*` for all that another module has.
    names: Vec<(String, Vec<String>)>,
    /// What it uses and passes on to nobody.
    used: Vec<Vec<String>>,
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string().contains("test"),
        _ => false,
    })
}

/// The paths of a `use` line with the names that they get.
fn flattened(tree: &UseTree, before: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => flattened(&path.tree, &with(&path.ident), found),
        UseTree::Name(name) if name.ident == "self" => found.push((before.last().cloned().unwrap_or_default(), before.to_vec())),
        UseTree::Name(name) => found.push((name.ident.to_string(), with(&name.ident))),
        UseTree::Rename(rename) => found.push((rename.rename.to_string(), with(&rename.ident))),
        UseTree::Glob(_) => found.push(("*".to_owned(), before.to_vec())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flattened(tree, before, found)),
    }
}

fn read(items: &[Item], at: &str, file: &Path, modules: &mut Modules) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    for item in items {
        let defined = match item {
            Item::Mod(inner) if !is_of_tests(&inner.attrs) => {
                module.children.insert(inner.ident.to_string());
                if let Some((_, items)) = &inner.content {
                    read(items, &format!("{at}::{}", inner.ident), file, modules);
                }
                None
            }
            Item::Use(line) if !is_of_tests(&line.attrs) => {
                let mut found = Vec::new();
                flattened(&line.tree, &[], &mut found);
                if matches!(line.vis, Visibility::Inherited) {
                    module.used.extend(found.iter().filter(|(name, _)| name != "*").map(|(_, path)| path.clone()));
                }
                module.names.extend(found);
                None
            }
            Item::Struct(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            Item::Const(item) => Some(&item.ident),
            Item::Static(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            _ => None,
        };
        module.defines.extend(defined.map(ToString::to_string));
    }
    modules.insert(at.to_owned(), module);
}

fn read_folder(folder: &Path, at: &str, modules: &mut Modules) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            read_folder(&path, &format!("{at}::{name}"), modules);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !(at == "crate" && name == "main") {
            let module = if ["lib", "mod"].contains(&name.as_str()) { at.to_owned() } else { format!("{at}::{name}") };
            read(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap().items, &module, &path, modules);
        }
    }
}

/// The file that defines what a path names in a module; none for what other crates define, and for modules.
fn defining<'a>(modules: &'a Modules, from: &str, path: &[String], steps: u32) -> Option<&'a Path> {
    let (mut at, mut rest) = (from.to_owned(), path);
    while let [first, others @ ..] = rest {
        match first.as_str() {
            "crate" => "crate".clone_into(&mut at),
            "self" => {}
            "super" => at = at.rsplit_once("::")?.0.to_owned(),
            _ => break,
        }
        rest = others;
    }
    while let [first, others @ ..] = rest {
        let module = modules.get(&at)?;
        if module.children.contains(first) {
            at = format!("{at}::{first}");
            rest = others;
            continue;
        }
        if module.defines.contains(first) {
            return Some(&module.file);
        }
        // A name that it has from elsewhere, or one of all that it has from elsewhere. A crate's own name leads nowhere.
        let mut elsewhere = module.names.iter().filter(|(name, _)| name == first || name == "*").filter_map(|(name, path)| {
            let behind = if name == "*" { rest } else { others };
            let full = [path.as_slice(), behind].concat();
            (steps > 0 && full != rest).then(|| defining(modules, &at, &full, steps - 1)).flatten()
        });
        return elsewhere.next();
    }
    None
}

/// For each file the files that it uses something of.
fn edges(sources: &Path) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let mut modules = Modules::new();
    read_folder(sources, "crate", &mut modules);
    let mut edges = BTreeMap::<_, BTreeSet<_>>::new();
    for (name, module) in &modules {
        let used = module.used.iter().filter_map(|path| defining(&modules, name, path, 16)).filter(|file| *file != module.file);
        let short = |file: &Path| file.strip_prefix(sources).unwrap().to_owned();
        edges.entry(short(&module.file)).or_default().extend(used.map(short));
    }
    edges
}

/// The shortest way from a file back to itself.
fn circle(edges: &BTreeMap<PathBuf, BTreeSet<PathBuf>>, file: &PathBuf) -> Option<Vec<PathBuf>> {
    let mut ways = vec![vec![file.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in edges.get(way.last()?).into_iter().flatten() {
                let further = [way.as_slice(), std::slice::from_ref(next)].concat();
                if next == file {
                    return Some(further);
                }
                if seen.insert(next.clone()) {
                    longer.push(further);
                }
            }
        }
        ways = longer;
    }
    None
}

#[test]
fn no_file_uses_one_that_uses_it() {
    let edges = edges(&project().join("src"));
    assert!(edges.len() > 150 && edges.values().map(BTreeSet::len).sum::<usize>() > 500, "the sources are not read");
    let circles: BTreeSet<_> = edges.keys().filter_map(|file| circle(&edges, file)).map(|way| format!("{way:?}")).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_circle_is_found_behind_re_exports_and_not_in_tests() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod one; mod two; mod three; pub use two::Two;");
    write("one.rs", "use crate::Two; pub struct One(Two);");
    write("two.rs", "use super::three::Three; pub struct Two(Three);");
    write("three.rs", "pub struct Three; #[cfg(test)] mod tests { use crate::one::One; }");
    let straight = edges(folder.path());
    assert_eq!(straight[Path::new("one.rs")], BTreeSet::from([PathBuf::from("two.rs")]));
    assert!(straight.keys().all(|file| circle(&straight, file).is_none()), "{straight:?}");
    write("three.rs", "use crate::one::{One as Other}; pub struct Three(Other);");
    let round = edges(folder.path());
    assert_eq!(circle(&round, &PathBuf::from("one.rs")).unwrap(), ["one.rs", "two.rs", "three.rs", "one.rs"].map(PathBuf::from));
}
