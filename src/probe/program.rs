//! Which resolver a program of this machine has: its files are given to [`crate::image::contents`], as those of an image would be.
//! Must not know what is asked of whom.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use crate::image::contents::{
    Config, Entry, FileScan, ImageFacts, Invocation, LayerBuilder, Node, Process, Script, Tree,
};
use crate::resolver::go::{Netdns, netdns};
use crate::resolver::{Cgo, Family};
use crate::verdicts::observations::Program;

/// How many links one path may lead through, as many as the kernel follows.
const LINKS_MAX: usize = 40;
/// How many programs may start one another: a script, its interpreter, the loader of that.
const PROGRAMS_MAX: usize = 8;
/// How much memory the facts of a few files take at most.
const FACTS_MAX_BYTES: usize = 1 << 20;
/// Where a distribution says which musl it has.
const DOCUMENTS: [&str; 5] = [
    "/lib/apk/db/installed",
    "/usr/lib/apk/db/installed",
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/alpine-release",
];

/// A program to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A file of this machine.
    File(PathBuf),
    /// A process, in its own root and with its own environment.
    Process(u32),
}

// === impl Subject ===

impl Subject {
    /// Which resolver it has; with `asked_through`, lookups are made by it.
    pub fn identify(&self, asked_through: bool) -> Program {
        let (name, told) = match self {
            Self::File(path) => {
                let env = std::env::vars().collect();
                (path.display().to_string(), told(Path::new("/"), path, &env).map(|process| (process, env)))
            }
            Self::Process(id) => (format!("process {id}"), of_process(*id)),
        };
        match told {
            Ok((Process { resolver, reason: because }, env)) => {
                let wants_cgo = env.get("GODEBUG").and_then(|value| netdns(value)) == Some(Netdns::Cgo);
                let netdns_without_effect = wants_cgo && resolver.family == Family::Go && resolver.cgo == Cgo::Absent;
                Program { name, resolver, because, netdns_without_effect, asked_through }
            }
            Err(because) => {
                let resolver = Family::Unknown.unversioned();
                Program { name, resolver, because, netdns_without_effect: false, asked_through }
            }
        }
    }
}

type Environment = BTreeMap<String, String>;

fn of_process(id: u32) -> Result<(Process, Environment), String> {
    let folder = PathBuf::from(format!("/proc/{id}"));
    let cannot = |what: &str, error: &io::Error| format!("its {what} cannot be read: {error}");
    let exe = fs::read_link(folder.join("exe")).map_err(|error| cannot("program", &error))?;
    let environ = fs::read(folder.join("environ")).map_err(|error| cannot("environment", &error))?;
    let env: Environment = environ
        .split(|byte| *byte == 0)
        .filter_map(|variable| {
            String::from_utf8_lossy(variable).split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))
        })
        .collect();
    told(&folder.join("root"), &exe, &env).map(|process| (process, env))
}

fn told(root: &Path, program: &Path, env: &Environment) -> Result<Process, String> {
    let program =
        if program.is_absolute() { program.to_owned() } else { std::path::absolute(program).unwrap_or_default() };
    let mut files = Files { root, builder: LayerBuilder::new(FACTS_MAX_BYTES) };
    let mut waiting = vec![program.clone()];
    for _ in 0..PROGRAMS_MAX {
        let Some(path) = waiting.pop() else { break };
        let is_the_program = path == program;
        match files.take_in(&path) {
            Ok(Some(Node::Program(elf))) => {
                if let Some(loader) = &elf.loader {
                    let loader = PathBuf::from(&**loader);
                    // glibc before 2.33 says its release only in the library beside its loader.
                    let real = files.resolve(&loader).unwrap_or_else(|_| loader.clone());
                    waiting.extend(real.parent().map(|folder| folder.join("libc.so.6")));
                    waiting.push(loader);
                }
            }
            Ok(Some(Node::Script(Script { interpreter, .. }))) => waiting.push(PathBuf::from(&*interpreter)),
            Ok(_) => {}
            Err(error) if is_the_program => return Err(format!("{} cannot be read: {error}", path.display())),
            Err(_) => {} // a loader that is not there is for the facts to miss
        }
    }
    for document in DOCUMENTS {
        // Most of them are not there.
        let _ = files.take_in(Path::new(document));
    }
    let mut tree = Tree::default();
    tree.lay(&files.builder.finish());
    let config = Config { entrypoint: vec![program.display().to_string()], ..Config::default() };
    let variable = |name: &str| env.get(name).map(String::as_str);
    let invocation = Invocation { command: None, args: None, working_dir: None, env: &variable };
    ImageFacts::new(&tree, config, false).process(&invocation).map_err(|unknown| unknown.to_string())
}

/// The files of a root that matter.
struct Files<'r> {
    root: &'r Path,
    builder: LayerBuilder,
}

// === impl Files ===

impl Files<'_> {
    /// Reads the file at a path of this root, and says what it is.
    fn take_in(&mut self, path: &Path) -> io::Result<Option<Node>> {
        let real = self.resolve(path)?;
        let mut file = File::open(self.inside(&real))?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let executable = about.permissions().mode() & 0o111 != 0;
        let mut scan = FileScan::new(real.to_string_lossy().trim_start_matches('/'), about.len(), executable);
        let mut buffer = vec![0; 64 << 10];
        while !scan.is_indifferent() {
            match file.read(&mut buffer)? {
                0 => break,
                length => scan.feed(&buffer[..length]),
            }
        }
        let Some(node) = scan.finish() else { return Ok(None) };
        if real != path {
            self.add(path, Node::Symlink(real.to_string_lossy().into()))?;
        }
        self.add(&real, node.clone())?;
        Ok(Some(node))
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<()> {
        self.builder.add(&path.to_string_lossy(), Entry::Node(node)).map_err(io::Error::other)
    }

    /// A path of this root as a path of ours.
    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The path with all its links followed, none of which leads out of the root.
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
                Component::Normal(name) => match fs::read_link(self.inside(&real.join(name))) {
                    Ok(target) if links < LINKS_MAX => {
                        links += 1;
                        left.push(target);
                    }
                    Ok(_) => return Err(io::Error::other("too many links")),
                    // It is no link; whether it is there at all shows when it is opened.
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
        let files = Files { root, builder: LayerBuilder::new(1000) };
        let real = |path: &str| files.resolve(Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(real("/lib/./x/../ld.so").unwrap(), "/usr/lib/ld.so");
        assert_eq!(real("/lib/up").unwrap(), "/etc/passwd");
        assert!(real("/loop").is_err());
    }

    #[test]
    fn the_program_that_runs_these_tests_has_this_machines_libc() {
        let own = Subject::File(std::env::current_exe().unwrap()).identify(false);
        assert_eq!(own.resolver.family, Family::Glibc, "{}", own.because);
        assert!(own.resolver.version.is_some(), "{}", own.because);
        let process = Subject::Process(std::process::id()).identify(true);
        assert_eq!((process.resolver, process.asked_through), (own.resolver, true));
    }

    #[test]
    fn what_is_no_program_is_unknown_and_says_why() {
        let missing = Subject::File(PathBuf::from("/no/such/program")).identify(false);
        assert_eq!(missing.resolver.family, Family::Unknown);
        assert!(missing.because.contains("/no/such/program cannot be read"), "{}", missing.because);
    }
}
