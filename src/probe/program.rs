//! Identifies the resolver of a program on this machine: [`crate::image::contents`] gets its files, as if they were those of an
//! image. Must not know what is queried.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use super::own_resolvers;
use super::system::is_in_pod;

use crate::image::contents::{Config, Elf, Entry, FileScan, ImageFacts, Invocation, LayerBuilder, Node, Script, Tree};
use crate::image::{Evidence, Fingerprint, SecondResolver};
use crate::os;
use crate::resolver::go::{Netdns, netdns};
use crate::resolver::{Cgo, Family};
use crate::verdicts::observations::{OwnResolver, Program};

/// The number of links on one path, as in the kernel.
const LINKS_MAX: usize = 40;
/// The number of files that start one another: a script, its interpreter, that program's loader.
const PROGRAMS_MAX: usize = 8;
/// Memory for the facts of a few files, in bytes.
const FACTS_MAX_BYTES: usize = 1 << 20;
/// Files in which a distribution states its release of musl.
const RELEASE_FILES: [&str; 5] = [
    "/lib/apk/db/installed",
    "/usr/lib/apk/db/installed",
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/alpine-release",
];

/// Folders with libraries, besides that of the loader (glibc: `ld.so(8)`; musl: `ldso/dynlink.c`).
const LIBRARY_FOLDERS: [&str; 5] = ["/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64"];

/// A program whose resolver is to be identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramSource {
    /// A file of this machine.
    File(PathBuf),
    /// A process, in its own root and with its own environment.
    Process(u32),
}

/// The reason why a program's resolver is unknown.
#[derive(Debug, Error)]
pub(super) enum ProgramError {
    #[error("cannot read the process's {part}: {error}")]
    Process { part: &'static str, error: io::Error },
    #[error("cannot read {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Unknown(String),
}

/// Environment variables by name.
type Variables = BTreeMap<String, String>;

// === impl ProgramSource ===

impl ProgramSource {
    /// Returns the first process of this pod, if this pod's processes can be seen and muslin is not the first: that of the container
    /// beside which `kubectl debug --target` starts muslin.
    pub fn first_of_pod() -> Option<Self> {
        let exe = fs::read_link("/proc/1/exe").ok()?;
        // The sandbox's own process resolves nothing.
        let is_sandbox = exe.file_name().is_some_and(|name| name == "pause");
        let is_own = std::process::id() == 1 || std::env::current_exe().is_ok_and(|own| own == exe);
        (is_in_pod() && !is_sandbox && !is_own).then_some(Self::Process(1))
    }

    /// Identifies the program's resolver; `asked_through` marks the program that lookups are made through.
    pub fn identify(&self, asked_through: bool) -> Program {
        let (name, inspected) = match self {
            Self::File(path) => {
                let variables = std::env::vars().collect();
                let inspected = inspect_program(Path::new("/"), path, &variables);
                (path.display().to_string(), inspected.map(|fingerprint| (fingerprint, variables)))
            }
            Self::Process(id) => (format!("process {id}"), inspect_process(*id)),
        };
        match inspected {
            Ok((Fingerprint { resolver, reason, beside, .. }, variables)) => {
                let wants_cgo = variables.get("GODEBUG").and_then(|value| netdns(value)) == Some(Netdns::Cgo);
                let netdns_without_effect = wants_cgo && resolver.family == Family::Go && resolver.cgo == Cgo::Absent;
                let own_resolvers = self.own_resolvers(asked_through, beside);
                Program {
                    name,
                    resolver,
                    because: reason.to_string(),
                    netdns_without_effect,
                    asked_through,
                    own_resolvers,
                }
            }
            Err(error) => {
                let own_resolvers = self.own_resolvers(asked_through, None);
                Program { asked_through, own_resolvers, ..unidentified(name, error.to_string()) }
            }
        }
    }

    /// Returns the program's resolvers besides the C library's: the ones that the process has loaded, and `beside`, which the file holds.
    fn own_resolvers(&self, asked_through: bool, beside: Option<SecondResolver>) -> Vec<OwnResolver> {
        let mut own = match self {
            // A library through which names are looked up is not the pod's program.
            Self::File(_) if asked_through => return Vec::new(),
            Self::File(_) => Vec::new(),
            Self::Process(id) => own_resolvers::of_process(*id),
        };
        if let Some(SecondResolver { resolver, reason, .. }) = beside.filter(|second| second.in_program) {
            let name = resolver.family.name();
            if !own.iter().any(|known| known.name == name) {
                own.push(OwnResolver { name, evidence: reason.to_string() });
            }
        }
        own
    }

    /// Returns the program with its resolver unknown, as reading its file took too long.
    pub(super) fn unread(&self) -> Program {
        let name = match self {
            Self::File(path) => path.display().to_string(),
            Self::Process(id) => format!("process {id}"),
        };
        unidentified(name, "its file was not read in time".to_owned())
    }
}

/// Returns a program with an unknown resolver.
fn unidentified(name: String, because: String) -> Program {
    let resolver = Family::Unknown.unversioned();
    Program { name, resolver, because, netdns_without_effect: false, asked_through: false, own_resolvers: Vec::new() }
}

fn inspect_process(id: u32) -> Result<(Fingerprint, Variables), ProgramError> {
    let folder = PathBuf::from(format!("/proc/{id}"));
    let unreadable = |part| move |error| ProgramError::Process { part, error };
    let exe = fs::read_link(folder.join("exe")).map_err(unreadable("program"))?;
    let variables = process_variables(id).map_err(unreadable("environment"))?;
    inspect_program(&folder.join("root"), &exe, &variables).map(|fingerprint| (fingerprint, variables))
}

/// Returns the environment of a process.
pub(super) fn process_variables(id: u32) -> io::Result<Variables> {
    let environ = fs::read(format!("/proc/{id}/environ"))?;
    let variables = environ.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    Ok(variables.filter_map(|text| text.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))).collect())
}

/// Returns the loader that a program below a root asks for.
pub(super) fn program_loader(root: &Path, program: &Path) -> Option<PathBuf> {
    match RootFiles::new(root).add_file(program).ok()?? {
        Node::Program(Elf { loader: Some(loader), .. }) => Some(PathBuf::from(&*loader)),
        _ => None,
    }
}

/// Identifies the C library behind a loader below a root, as that of a program which asks for this loader.
pub(super) fn inspect_loader(root: &Path, loader: &Path) -> Result<Fingerprint, ProgramError> {
    let mut files = RootFiles::new(root);
    files.add_loader(loader);
    let program = Path::new("/lookup-program");
    let elf = Elf { loader: Some(loader.to_string_lossy().into()), getaddrinfo: true, ..Elf::default() };
    files.add_node(program, Node::Program(elf)).map_err(|error| ProgramError::File { path: program.into(), error })?;
    let found = files.finish(program, &Variables::new());
    if found.evidence == Evidence::None { Err(ProgramError::Unknown(found.reason.to_string())) } else { Ok(found) }
}

/// Inspects a program below a root: its file, and those that it is started with.
fn inspect_program(root: &Path, program: &Path, variables: &Variables) -> Result<Fingerprint, ProgramError> {
    let program =
        if program.is_absolute() { program.to_owned() } else { std::path::absolute(program).unwrap_or_default() };
    let mut files = RootFiles::new(root);
    let mut waiting = vec![program.clone()];
    for _ in 0..PROGRAMS_MAX {
        let Some(path) = waiting.pop() else { break };
        let is_the_program = path == program;
        match files.add_file(&path) {
            Ok(Some(Node::Program(elf))) => {
                if let Some(loader) = &elf.loader {
                    files.add_loader(Path::new(&**loader));
                    files.add_libraries(Path::new(&**loader), &elf.carriers);
                }
            }
            Ok(Some(Node::Script(Script { interpreter, .. }))) => waiting.push(PathBuf::from(&*interpreter)),
            Ok(_) => {}
            Err(error) if is_the_program => return Err(ProgramError::File { path, error }),
            Err(_) => {} // the facts report a missing interpreter
        }
    }
    Ok(files.finish(&program, variables))
}

/// The files below a root that matter.
pub(super) struct RootFiles<'r> {
    root: &'r Path,
    builder: LayerBuilder,
}

// === impl RootFiles ===

impl<'r> RootFiles<'r> {
    pub(super) fn new(root: &'r Path) -> Self {
        Self { root, builder: LayerBuilder::new(FACTS_MAX_BYTES) }
    }

    /// Adds a loader and, as glibc before 2.33 states its release only there, the library beside it. The facts report a missing loader.
    fn add_loader(&mut self, loader: &Path) {
        let real = self.resolve(loader).unwrap_or_else(|_| loader.to_owned());
        let library = real.parent().map(|folder| folder.join("libc.so.6"));
        for path in library.iter().map(PathBuf::as_path).chain([loader]) {
            let _ = self.add_file(path);
        }
    }

    /// Adds the libraries of these names that a program with this loader finds. Some of them have or need c-ares.
    fn add_libraries(&mut self, loader: &Path, names: &[Box<str>]) {
        let real = self.resolve(loader).unwrap_or_else(|_| loader.to_owned());
        let folders = real.parent().into_iter().chain(LIBRARY_FOLDERS.into_iter().map(Path::new));
        for path in folders.flat_map(|folder| names.iter().map(|name| folder.join(&**name))) {
            // Most of them do not exist.
            let _ = self.add_file(&path);
        }
    }

    /// Returns the fingerprint of a program of this root, by the files that were added.
    fn finish(mut self, program: &Path, variables: &Variables) -> Fingerprint {
        for path in RELEASE_FILES {
            // Most of them do not exist.
            let _ = self.add_file(Path::new(path));
        }
        let mut tree = Tree::default();
        tree.add_layer(&self.builder.finish());
        let config = Config { entrypoint: vec![program.display().to_string()], ..Config::default() };
        let variable = |name: &str| variables.get(name).map(String::as_str);
        let invocation = Invocation { command: None, args: None, working_dir: None, env: &variable };
        ImageFacts::new(&tree, config, false).fingerprint(&invocation)
    }

    /// Returns a path of this root as a path of this machine, with all links followed inside the root.
    pub(super) fn real_path(&self, path: &Path) -> PathBuf {
        self.below_root(&self.resolve(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// Reads the file at a path of this root and returns its kind.
    fn add_file(&mut self, path: &Path) -> io::Result<Option<Node>> {
        let real = self.resolve(path)?;
        let mut file = File::open(self.below_root(&real))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let executable = os::is_executable(&metadata);
        let mut scan = FileScan::new(real.to_string_lossy().trim_start_matches('/'), metadata.len(), executable);
        let mut buffer = vec![0; 64 << 10];
        while !scan.is_indifferent() {
            match file.read(&mut buffer)? {
                0 => break,
                length => scan.feed(&buffer[..length]),
            }
        }
        let Some(node) = scan.finish() else { return Ok(None) };
        if real != path {
            self.add_node(path, Node::Symlink(real.to_string_lossy().into()))?;
        }
        self.add_node(&real, node.clone())?;
        Ok(Some(node))
    }

    fn add_node(&mut self, path: &Path, node: Node) -> io::Result<()> {
        self.builder.add(&path.to_string_lossy(), Entry::Node(node)).map_err(io::Error::other)
    }

    /// Returns a path of this root as a path of this machine.
    fn below_root(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Follows all links of a path; none leads out of the root.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut left: Vec<PathBuf> = vec![path.to_owned()];
        let (mut real, mut links) = (PathBuf::from("/"), 0);
        while let Some(next) = left.pop() {
            let mut components = next.components();
            let Some(component) = components.next() else { continue };
            let rest = components.as_path().to_owned();
            if !rest.as_os_str().is_empty() {
                left.push(rest);
            }
            match component {
                Component::RootDir => real = PathBuf::from("/"),
                Component::ParentDir => {
                    real.pop();
                }
                Component::Normal(name) => match fs::read_link(self.below_root(&real.join(name))) {
                    Ok(target) if links < LINKS_MAX => {
                        links += 1;
                        left.push(target);
                    }
                    Ok(_) => return Err(io::Error::other("too many links")),
                    // Not a link; opening it shows whether it exists.
                    Err(_) => real.push(name),
                },
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok(real)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_never_lead_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        symlink("/usr/lib", root.join("lib")).unwrap();
        symlink("../../../../etc/passwd", root.join("usr/lib/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let files = RootFiles::new(root);
        let real = |path: &str| files.resolve(Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(real("/lib/./x/../ld.so").unwrap(), "/usr/lib/ld.so");
        assert_eq!(real("/lib/up").unwrap(), "/etc/passwd");
        assert!(real("/loop").is_err());
    }

    #[test]
    fn identifies_the_libc_of_this_test_program() {
        let own = ProgramSource::File(std::env::current_exe().unwrap()).identify(false);
        assert_eq!(own.resolver.family, Family::Glibc, "{}", own.because);
        assert!(own.resolver.version.is_some(), "{}", own.because);
        let process = ProgramSource::Process(std::process::id()).identify(true);
        assert_eq!((process.resolver, process.asked_through), (own.resolver, true));
    }

    /// Returns a message of c-ares. The words are in another order, as another test inspects this test program.
    fn c_ares_message() -> String {
        "performed yet not initialization library c-ares".split(' ').rev().collect::<Vec<_>>().join(" ")
    }

    /// Writes a copy of a real program that also contains c-ares' message.
    fn copy_with_c_ares(path: &Path) {
        fs::copy("/bin/cat", path).unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "{}", c_ares_message()).unwrap();
    }

    #[test]
    fn finds_c_ares_in_a_program_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        copy_with_c_ares(&path);
        let found = ProgramSource::File(path.clone()).identify(false);
        let c_ares = OwnResolver { name: "c-ares", evidence: format!("`{}` contains c-ares", path.display()) };
        assert_eq!((found.resolver.family, found.own_resolvers), (Family::Glibc, vec![c_ares]));
        assert!(ProgramSource::File(path).identify(true).own_resolvers.is_empty(), "a library for lookups");
        assert!(ProgramSource::File("/bin/cat".into()).identify(false).own_resolvers.is_empty());
    }

    #[test]
    fn finds_c_ares_in_the_program_of_a_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        copy_with_c_ares(&path);
        let mut process = std::process::Command::new(&path).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let found = ProgramSource::Process(process.id()).identify(false);
        drop(process.stdin.take());
        process.wait().unwrap();
        assert_eq!(found.own_resolvers.iter().map(|own| own.name).collect::<Vec<_>>(), ["c-ares"], "{found:?}");
    }

    #[test]
    fn finds_c_ares_in_a_library_of_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        copy_with_c_ares(&root.join("usr/lib/libcurl.so.4.8.0"));
        symlink("libcurl.so.4.8.0", root.join("usr/lib/libcurl.so.4")).unwrap();
        let loader = "/lib/ld-musl-x86_64.so.1";
        let found = |program: &str| {
            let mut files = RootFiles::new(root);
            let elf = Elf { loader: Some(loader.into()), carriers: vec!["libcurl.so.4".into()], ..Elf::default() };
            files.add_libraries(Path::new(loader), &elf.carriers);
            files.add_node(Path::new(program), Node::Program(elf)).unwrap();
            files.finish(Path::new(program), &Variables::new())
        };
        let second = found("/usr/bin/git-remote-http").beside.unwrap();
        assert!(second.in_program);
        assert_eq!(second.reason.to_string(), "`/usr/bin/git-remote-http` links a library that has c-ares");
        assert_eq!(found("/usr/bin/curl").resolver.family, Family::CAres);
    }

    #[test]
    fn a_missing_program_is_unknown_with_a_reason() {
        let missing = ProgramSource::File(PathBuf::from("/no/such/program")).identify(false);
        assert_eq!(missing.resolver.family, Family::Unknown);
        assert!(missing.because.contains("cannot read /no/such/program"), "{}", missing.because);
    }
}
