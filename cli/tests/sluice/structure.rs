//! The files of each crate use each other in one direction.
//!
//! A file uses each file that its paths name (`use crate::commit::...`, `super::...`, `crate::delta::log::now()`), and each
//! file that it declares (`mod ...;`). So a file stands above its folder: nothing in `commit/` may use `commit.rs`. What both
//! need stands in a file of the folder, or beside it. A path counts for the file that it names, wherever the item comes from:
//! an item of `commit/prepared.rs` is taken from there, not from a re-export in `commit.rs` or in the crate's root.
//! Modules of tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Circles that are left, by their numbers of files. This only shrinks.
const LEFT: [(&str, &[usize]); 4] = [("shared", &[]), ("splitter", &[]), ("worker", &[]), ("cli", &[])];

#[test]
fn files_use_each_other_in_one_direction() {
    let mut found = String::new();
    for (name, left) in LEFT {
        let circles = circles(&uses(name));
        let is_left =
            |(index, circle): (usize, &Vec<String>)| left.get(index).is_some_and(|left| circle.len() <= *left);
        if !circles.iter().enumerate().all(is_left) {
            for circle in &circles {
                found += &format!("{name}: {} files use each other in a circle: {}\n", circle.len(), circle.join(", "));
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "our files have names in lower case")]
fn files_that_documents_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for name in ["shared", "splitter", "worker", "cli"] {
        all_files(&root.join(name), &mut files);
    }
    let mut documents = files.iter().filter(|file| file.ends_with(".md")).cloned().collect::<Vec<_>>();
    documents.extend(["ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name).display().to_string()));
    all_files(&root.join("docs"), &mut documents);
    let mut missing = String::new();
    for document in documents.iter().filter(|document| document.ends_with(".md")) {
        let text = fs::read_to_string(document).unwrap();
        for name in text
            .split(['`', '(', ')', ' '])
            .filter(|name| name.ends_with(".rs") && !name.contains("..") && !name.contains("://"))
        {
            if !files.iter().any(|file| file.ends_with(&format!("/{name}"))) {
                missing += &format!("{document} names {name}, which is not there\n");
            }
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

fn all_files(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_files(&path, files);
        } else {
            files.push(path.display().to_string());
        }
    }
}

#[test]
fn circles_are_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = Uses::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert!(circles(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    assert_eq!(circles(&graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")])), [["b", "c"]]);
    let modules = ["", "a", "a::b", "c"].map(str::to_owned).into_iter().collect();
    let named = |module: &str, text: &str| used(module, text, &modules).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(named("c", "use crate::a::{self, b::{X, Y}};"), "a a::b");
    assert_eq!(named("c", "fn f() { crate::a::Z } // crate::c"), "a");
    assert_eq!(named("a::b", "use super::Z;"), "a");
    assert_eq!(named("a", "mod b;\nuse b::X;"), "a::b");
    assert_eq!(named("a", "use crate::a::Z;"), "");
    assert_eq!(named("c", "use crate::Root;\n#[cfg(test)]\nmod tests {\n    use crate::a::Z;\n}"), "");
    assert_eq!(named("c", "#[cfg(test)]\nmod tests;\nuse crate::a::Z;"), "a");
}

/// Files by module path, each with those that it uses. The crate's root is the empty path.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// Which file of a crate uses which.
fn uses(name: &str) -> Uses {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
    let mut texts = BTreeMap::new();
    let root = if source.join("lib.rs").exists() { "lib.rs" } else { "main.rs" };
    read(&source, "", root, &mut texts);
    let modules: BTreeSet<String> = texts.keys().cloned().collect();
    texts.iter().map(|(module, text)| (module.clone(), used(module, text, &modules))).collect()
}

/// Reads a module's file and those of the modules that it declares.
fn read(source: &Path, module: &str, file: &str, texts: &mut BTreeMap<String, String>) {
    let path = source.join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for child in declared(&without_tests(&text)) {
        let child = joined(module, &child);
        read(source, &child, &format!("{}.rs", child.replace("::", "/")), texts);
    }
    texts.insert(module.to_owned(), text);
}

fn joined(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

/// A file without comments and without its tests: files of their own, or what stands at its end.
fn without_tests(text: &str) -> String {
    let mut code = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        match lines.peek().filter(|_| line == "#[cfg(test)]" || line.starts_with("#[cfg(all(test,")) {
            Some(next) if next.contains("mod ") && next.ends_with(';') => drop(lines.next()),
            Some(next) if next.contains("mod ") => break,
            _ => code.push(line.find("//").map_or(line, |at| &line[..at])),
        }
    }
    code.join("\n")
}

/// Modules that a file declares as files of their own.
fn declared(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let (visibility, name) = line.strip_suffix(';')?.split_once("mod ")?;
        (visibility.is_empty() || visibility.starts_with("pub")).then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

/// The modules that a file names, without itself.
fn used(module: &str, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let text = without_tests(text);
    let mut used: BTreeSet<String> = declared(&text).iter().map(|child| joined(module, child)).collect();
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    for (word, base) in [("crate::", ""), ("super::", parent), ("self::", module)] {
        for (at, _) in text.match_indices(word) {
            let before = text[..at].chars().next_back();
            if before.is_none_or(|before| !before.is_alphanumeric() && !"_:$".contains(before)) {
                named(base, &mut tokens(&text[at + word.len()..]).into_iter().peekable(), modules, &mut used);
            }
        }
    }
    used.retain(|other| other != module && modules.contains(other));
    used
}

/// Words and marks of a path, as far as they may belong to it.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut is_word = false;
    for char in text.chars().take_while(|char| char.is_alphanumeric() || "_:{},* \n".contains(*char)) {
        let continues = is_word && (char.is_alphanumeric() || char == '_');
        is_word = char.is_alphanumeric() || char == '_';
        match tokens.last_mut() {
            Some(last) if continues => last.push(char),
            _ if char.is_whitespace() => {}
            _ => tokens.push(char.to_string()),
        }
    }
    tokens
}

/// Takes one path, with what stands in its braces, from the tokens, and notes the module that each name of it is in.
fn named(
    base: &str,
    tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>,
    modules: &BTreeSet<String>,
    used: &mut BTreeSet<String>,
) {
    match tokens.next().as_deref() {
        Some("{") => {
            while tokens.peek().is_some_and(|token| token != "}") {
                named(base, tokens, modules, used);
                if tokens.next_if(|token| token == ",").is_none() {
                    // What is renamed: `a as b`.
                    while tokens.next_if(|token| token != "," && token != "}").is_some() {}
                    tokens.next_if(|token| token == ",");
                }
            }
            tokens.next();
        }
        Some("super") => {
            let parent = base.rsplit_once("::").map_or("", |(parent, _)| parent);
            tokens.next();
            tokens.next();
            named(parent, tokens, modules, used);
        }
        Some(name) => {
            let inner = joined(base, name);
            if !modules.contains(&inner) {
                used.insert(base.to_owned());
            } else if tokens.peek().is_some_and(|token| token == ":") {
                tokens.next();
                tokens.next();
                named(&inner, tokens, modules, used);
            } else {
                used.insert(inner);
            }
        }
        None => {}
    }
}

/// Files that can be reached from each other, the largest circle first.
fn circles(uses: &Uses) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(uses.get(file).into_iter().flatten().filter(|other| reached.insert((*other).clone())));
        }
        reached
    };
    let all: BTreeMap<&String, BTreeSet<String>> = uses.keys().map(|file| (file, reached(file))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, reached) in &all {
        if reached.contains(*file) {
            let both = |other: &&String| all.get(other).is_some_and(|back| back.contains(*file));
            circles.insert(reached.iter().filter(both).cloned().collect());
        }
    }
    let mut circles: Vec<_> = circles.into_iter().collect();
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}
