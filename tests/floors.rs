//! The floors of the house (`ARCHITECTURE.md`): a lower floor must not name a higher one, a pure floor must do no I/O, and inside a
//! floor no files may import each other in a circle. Reads the source as Rust tokens, so that `use crate::{a, b}` is understood.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a source tree that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// From the ground up.
const FLOORS: [&str; 23] = [
    "resolver",
    "pod",
    "image",
    "policy",
    "rules",
    "plan",
    "compilation",
    "verdicts",
    "watching",
    "explain",
    "manifest",
    "installation",
    "doctor",
    "status",
    "origins",
    "queries",
    "report",
    "os",
    "registry",
    "probe",
    "cluster",
    "admission",
    "cli",
];

/// Do no I/O, and know neither the cluster nor a runtime.
const PURE: [&str; 17] = [
    "resolver",
    "pod",
    "image",
    "policy",
    "rules",
    "plan",
    "compilation",
    "verdicts",
    "watching",
    "explain",
    "manifest",
    "installation",
    "doctor",
    "status",
    "origins",
    "queries",
    "report",
];

/// Paths that a pure floor must not name, and the floor where such code belongs.
const FOREIGN: [(&[&str], &str); 6] = [
    (&["kube"], "code that talks to the Kubernetes API belongs in src/cluster"),
    (&["k8s_openapi"], "code that talks to the Kubernetes API belongs in src/cluster"),
    (&["axum"], "code that speaks HTTP belongs in src/admission"),
    (&["tokio"], "code that waits belongs in src/registry, src/probe, src/cluster or src/admission"),
    (&["std", "fs"], "code that reads files belongs in src/registry, src/probe or src/cli"),
    (&["std", "net", "TcpStream"], "code that opens sockets belongs in src/registry, src/probe or src/admission"),
];

/// Ways to print, and to make a text that may be printed without a look at it; and the files that may name them.
const PRINTING: [(&[&str], &[&str]); 5] = [
    (&["std", "io", "stdout"], &["src/cli/terminal.rs"]),
    (&["std", "io", "stderr"], &["src/cli/terminal.rs", "src/cli/log.rs"]),
    (&["anstream", "stdout"], &["src/cli/terminal.rs"]),
    (&["anstream", "stderr"], &["src/cli/terminal.rs"]),
    (
        &["crate", "text", "Block", "rendered"],
        &[
            "src/cli/explain.rs",
            "src/report/compiler_style.rs",
            "src/report/github.rs",
            "src/report/junit.rs",
            "src/report/markup.rs",
        ],
    ),
];

/// A module path from the crate's root: `["rules", "zero_value"]`.
type Module = Vec<String>;

/// One source file.
struct File {
    module: Module,
    path: String,
    /// Every path that its code names, outside of tests; `self` and `super` resolved, relative paths as they stand.
    named: Vec<Named>,
    /// Names that it imports or re-exports, and the paths behind them.
    aliases: BTreeMap<String, Vec<String>>,
}

/// A path in the code.
struct Named {
    path: Vec<String>,
    /// In a `pub use`, which only passes a name on.
    is_reexport: bool,
}

/// Walks over the tokens of one file.
struct Reader {
    module: Module,
    named: Vec<Named>,
    aliases: BTreeMap<String, Vec<String>>,
}

// === impl Reader ===

impl Reader {
    fn read_file(path: &Path, module: Module) -> File {
        let text = fs::read_to_string(path).unwrap();
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = Self { module: module.clone(), named: Vec::new(), aliases: BTreeMap::new() };
        reader.read_items(tokens);
        let root = env!("CARGO_MANIFEST_DIR");
        let path = path.strip_prefix(root).unwrap().display().to_string();
        File { module, path, named: reader.named, aliases: reader.aliases }
    }

    fn read_items(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if is_test_attribute(&tokens[at..]) {
                at = end_of_item(&tokens, at + 2);
            } else if is_word(&tokens, at, "mod") && is_group(&tokens, at + 2, Delimiter::Brace) {
                self.read_inline_module(&tokens[at + 1..=at + 2]);
                at += 3;
            } else if is_word(&tokens, at, "use") {
                let end = (at..tokens.len()).find(|end| is_punct(&tokens, *end, ';')).unwrap_or(tokens.len());
                let is_reexport =
                    at > 0 && (is_word(&tokens, at - 1, "pub") || is_group(&tokens, at - 1, Delimiter::Parenthesis));
                self.read_use(&tokens[at + 1..end], &[], is_reexport);
                at = end + 1;
            } else if let TokenTree::Group(group) = &tokens[at] {
                self.read_items(group.stream());
                at += 1;
            } else {
                let (path, length) = path_at(&tokens[at..]);
                if path.len() > 1 {
                    self.add(path, false);
                }
                at += length.max(1);
            }
        }
    }

    fn read_inline_module(&mut self, name_and_body: &[TokenTree]) {
        let [name, TokenTree::Group(body)] = name_and_body else { return };
        self.module.push(name.to_string());
        self.read_items(body.stream());
        self.module.pop();
    }

    /// Reads what stands between `use` and `;`: a path, an alias, or a tree in braces.
    fn read_use(&mut self, tokens: &[TokenTree], prefix: &[String], is_reexport: bool) {
        for part in tokens.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')) {
            let (path, length) = path_at(part);
            let path: Vec<String> = prefix.iter().cloned().chain(path).collect();
            match part.get(length) {
                Some(TokenTree::Group(group)) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    self.read_use(&inner, &path, is_reexport);
                }
                Some(_) | None if path.is_empty() => {}
                next => {
                    let alias = match next {
                        Some(TokenTree::Ident(word)) if word == "as" => part.last().map(ToString::to_string),
                        _ => path.iter().rfind(|segment| *segment != "self").cloned(),
                    };
                    let path = self.add(path, is_reexport);
                    self.aliases.extend(alias.map(|alias| (alias, path)));
                }
            }
        }
    }

    /// Notes a path, and returns it from the crate's root where it starts with `crate`, `self` or `super`.
    fn add(&mut self, mut path: Vec<String>, is_reexport: bool) -> Vec<String> {
        let mut base = match path[0].as_str() {
            "crate" => Some(Vec::new()),
            "self" => Some(self.module.clone()),
            "super" => Some(self.module[..self.module.len().saturating_sub(1)].to_vec()),
            _ => None,
        };
        if let Some(base) = &mut base {
            let mut rest = path.drain(1..).peekable();
            while rest.next_if(|segment| segment == "super").is_some() {
                base.pop();
            }
            path = ["crate".to_owned()]
                .into_iter()
                .chain(base.drain(..))
                .chain(rest)
                .filter(|part| part != "self")
                .collect();
        }
        self.named.push(Named { path: path.clone(), is_reexport });
        path
    }
}

fn is_word(tokens: &[TokenTree], at: usize, word: &str) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if ident == word)
}

fn is_punct(tokens: &[TokenTree], at: usize, character: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_group(tokens: &[TokenTree], at: usize, delimiter: Delimiter) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Group(group)) if group.delimiter() == delimiter)
}

/// Returns whether `#[cfg(test)]` or `#[test]` stands here.
fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let attribute = tokens.get(1).map(|token| token.to_string().replace(' ', ""));
    is_punct(tokens, 0, '#') && attribute.is_some_and(|text| text == "[cfg(test)]" || text == "[test]")
}

/// Returns the index after the item that begins here: after its body in braces, or its semicolon.
fn end_of_item(tokens: &[TokenTree], start: usize) -> usize {
    let end = (start..tokens.len()).find(|at| is_punct(tokens, *at, ';') || is_group(tokens, *at, Delimiter::Brace));
    end.map_or(tokens.len(), |end| end + 1)
}

/// Returns the segments of the path that begins here, and how many tokens they take, a trailing `::` included.
fn path_at(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let (mut path, mut at) = (Vec::new(), 0);
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        path.push(ident.to_string());
        at += 1;
        if !(is_punct(tokens, at, ':') && is_punct(tokens, at + 1, ':')) {
            break;
        }
        at += 2;
    }
    (path, at)
}

fn source_files(folder: &Path, module: &Module) -> Vec<File> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_test = stem == "tests";
        let child: Module = module.iter().cloned().chain((stem != "mod").then_some(stem)).collect();
        if is_test {
            // Test modules may import what they test and what tests it.
        } else if path.is_dir() {
            files.extend(source_files(&path, &child));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(Reader::read_file(&path, child));
        }
    }
    files
}

fn floor(name: &str) -> Vec<File> {
    source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name), &vec![name.to_owned()])
}

/// Returns the module whose file defines the last name of `path`, following imports and re-exports.
fn target(path: &[String], files: &BTreeMap<&Module, &File>) -> Option<Module> {
    let mut path = path.strip_prefix(&["crate".to_owned()])?.to_vec();
    // Each step follows one re-export; the bound stops at re-exports that name each other.
    for _ in 0..8 {
        let length = (1..=path.len()).rev().find(|length| files.contains_key(&path[..*length].to_vec()))?;
        let module = path[..length].to_vec();
        let Some(name) = path.get(length) else { return Some(module) };
        match files[&module].aliases.get(name) {
            Some(behind) if behind.first().is_some_and(|first| first == "crate") => {
                path = behind[1..].iter().chain(&path[length + 1..]).cloned().collect();
            }
            // `pub use child::Name` in edition 2024 starts at the module itself.
            Some(behind) if files.contains_key(&[&module[..], &behind[..1]].concat()) => {
                path = [&module[..], &behind[..], &path[length + 1..]].concat();
            }
            _ => return Some(module),
        }
    }
    None
}

/// Returns, for each file of a floor, the files of the same floor that it imports.
fn imports(files: &[File]) -> BTreeMap<Module, BTreeSet<Module>> {
    let by_module: BTreeMap<&Module, &File> = files.iter().map(|file| (&file.module, file)).collect();
    let mut imports = BTreeMap::new();
    for file in files {
        let mut imported = BTreeSet::new();
        for named in file.named.iter().filter(|named| !named.is_reexport) {
            // A path that starts at a child module or an imported module starts at this file.
            let is_local = file.aliases.contains_key(&named.path[0])
                || by_module.contains_key(&[&file.module[..], &named.path[..1]].concat());
            let path = match named.path[0].as_str() {
                "crate" => named.path.clone(),
                _ if is_local => [&["crate".to_owned()], &file.module[..], &named.path[..]].concat(),
                _ => continue,
            };
            if let Some(module) = target(&path, &by_module).filter(|module| *module != file.module) {
                imported.insert(module);
            }
        }
        imports.insert(file.module.clone(), imported);
    }
    imports
}

/// Returns a circle of imports through `start`, if there is one: its shortest, without the return to `start`.
fn circle(start: &Module, imports: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    let mut paths = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            for next in &imports[path.last()?] {
                if next == start {
                    return Some(path);
                }
                if seen.insert(next.clone()) {
                    longer.push(path.iter().cloned().chain([next.clone()]).collect::<Vec<_>>());
                }
            }
        }
        paths = longer;
    }
    None
}

#[test]
fn a_lower_floor_knows_nothing_of_a_higher_one() {
    for (height, name) in FLOORS.iter().enumerate() {
        for file in floor(name) {
            for Named { path, .. } in &file.named {
                let higher = FLOORS[height + 1..]
                    .iter()
                    .find(|higher| path[0] == "crate" && path.get(1).is_some_and(|floor| floor == *higher));
                if let Some(higher) = higher {
                    panic!(
                        "{}: `{name}` names `{higher}`, which stands above it: move the code up to `{higher}`, or what it needs down",
                        file.path
                    );
                }
            }
        }
    }
}

#[test]
fn a_pure_floor_does_no_io() {
    for name in PURE {
        for file in floor(name) {
            for Named { path, .. } in &file.named {
                for (foreign, belongs) in FOREIGN {
                    assert!(
                        !path.iter().map(String::as_str).collect::<Vec<_>>().starts_with(foreign),
                        "{}: `{name}` is pure and names `{}`: {belongs}",
                        file.path,
                        path.join("::"),
                    );
                }
            }
        }
    }
}

#[test]
fn one_file_prints() {
    let mut seen = BTreeSet::new();
    for file in source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &Vec::new()) {
        for Named { path, .. } in &file.named {
            let alias = file.aliases.get(&path[0]).cloned().unwrap_or_else(|| vec![path[0].clone()]);
            let path: Vec<&str> =
                alias.iter().chain(&path[1..]).map(String::as_str).filter(|part| *part != "self").collect();
            for (way, allowed) in PRINTING.iter().filter(|(way, _)| path.starts_with(way)) {
                assert!(
                    allowed.contains(&file.path.as_str()),
                    "{} names `{}`: print lines and blocks through src/cli/terminal.rs",
                    file.path,
                    way.join("::"),
                );
                seen.insert((way, file.path.clone()));
            }
        }
    }
    // A list that names nothing would allow everything.
    assert_eq!(seen.len(), PRINTING.iter().map(|(_, allowed)| allowed.len()).sum::<usize>(), "{seen:?}");
}

#[test]
fn no_files_of_a_floor_import_each_other() {
    let mut circles = BTreeSet::new();
    for name in FLOORS {
        let files = floor(name);
        let imports = imports(&files);
        for start in imports.keys() {
            if let Some(mut circle) = circle(start, &imports) {
                // The same circle is found from each of its files: begin with the least.
                let least = circle.iter().enumerate().min_by_key(|(_, module)| (*module).clone()).unwrap().0;
                circle.rotate_left(least);
                let next = circle.iter().skip(1).chain(circle.first());
                let steps: Vec<String> = circle
                    .iter()
                    .zip(next)
                    .map(|(from, to)| format!("{} imports {}", from.join("/"), to.join("/")))
                    .collect();
                circles.insert(steps.join(", "));
            }
        }
    }
    let circles: Vec<String> = circles.into_iter().collect();
    assert!(circles.is_empty(), "move what they share into a file of its own:\n{}", circles.join("\n"));
}

#[test]
fn every_folder_of_the_source_is_a_floor() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!path.is_dir() || FLOORS.contains(&name), "src/{name} is on no floor: name it in tests/floors.rs");
    }
}

#[test]
fn a_use_tree_names_every_path_in_it() {
    let mut reader =
        Reader { module: vec!["rules".into(), "zero".into()], named: Vec::new(), aliases: BTreeMap::new() };
    reader.read_items(
        "use crate::{policy::Level, plan::{self, Plan as P}}; fn f() { super::x::g(vec![crate::cli::h()]) }"
            .parse()
            .unwrap(),
    );
    let named: Vec<String> = reader.named.iter().map(|named| named.path.join("::")).collect();
    assert_eq!(
        named,
        ["crate::policy::Level", "crate::plan", "crate::plan::Plan", "crate::rules::x::g", "crate::cli::h"]
    );
    assert_eq!(reader.aliases["P"], ["crate", "plan", "Plan"]);
}

/// All tests of the cluster share one API server, where a name is taken once.
#[test]
fn no_two_tests_make_the_same_namespace() {
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let starts = [".namespace(\"", "let namespace = \"", "const NAMESPACE: &str = \""];
            let Some(rest) = starts.iter().find_map(|start| line.split_once(start)) else { continue };
            let name = rest.1.split('"').next().unwrap();
            let place = format!("{}:{}", path.display(), number + 1);
            if let Some(other) = made.insert(name.to_owned(), place.clone()) {
                panic!("{place} makes the namespace {name}, and {other} does too");
            }
        }
    }
    assert!(made.len() > 50, "{made:#?}");
}
