//! Finds the C libraries that can be asked: the loaders of this container, of processes and of program files. A loader starts muslin's
//! lookup program (`ask_libc.c`), which is built into releases, with its own library. Without that program, or without any loader, only
//! the library that muslin itself uses is asked. Must not know what is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lookup::LookupProgram;
use super::program::{ProgramSource, RootFiles, inspect_loader, process_variables, program_loader};
use crate::image::contents::LibcKind;
use crate::os;
use crate::resolver::Family;
use crate::verdicts::observations::{Program, UnaskedLibrary};

/// The program that was built in; empty if there is none.
const BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lookup-program"));
/// Where a process finds its own standard input as a file.
const STANDARD_INPUT: &str = "/proc/self/fd/0";
/// Folders in which loaders are: that of musl and of most, and that of glibc on x86-64.
const LOADER_FOLDERS: [&str; 2] = ["/lib", "/lib64"];
/// Folders in which glibc's libraries are, besides the folder of its loader.
const GLIBC_FOLDERS: [&str; 8] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];
/// The variables by which a C library's resolver is configured (resolv.conf(5)).
const RESOLVER_VARIABLES: [&str; 2] = ["RES_OPTIONS", "LOCALDOMAIN"];
/// The most libraries that are asked. Each starts one process for each spelling of a name, all at once.
const LIBRARIES_MAX: usize = 16;
/// The part of an ELF file's header that names its class and its machine, in bytes.
const HEADER_BYTES: usize = 20;

/// The C libraries that can be asked, and those that cannot.
#[derive(Clone, Debug, Default)]
pub struct Libraries {
    /// The libraries that can be asked.
    pub asked: Vec<LookupProgram>,
    /// The others.
    pub unasked: Vec<UnaskedLibrary>,
}

/// The lookup program, in a file that a loader can map.
struct Executable {
    file: Arc<File>,
    architecture: Architecture,
}

/// The class, the byte order and the machine in an ELF header.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Architecture {
    class: u8,
    order: u8,
    machine: [u8; 2],
}

/// A root folder: that of this container, or of a process.
struct Root {
    folder: PathBuf,
    /// `None` for this container.
    process: Option<u32>,
    /// The environment of its programs.
    variables: BTreeMap<String, String>,
    /// The programs whose loaders count too.
    programs: Vec<PathBuf>,
}

// === impl Libraries ===

impl Libraries {
    /// Finds the C libraries of this container, of these processes' roots, and those that these program files ask for. `program` takes
    /// the place of the lookup program that was built in.
    ///
    /// # Errors
    /// `program` cannot be read.
    pub fn find(program: Option<&Path>, processes: &[u32], files: &[PathBuf]) -> io::Result<Self> {
        let bytes = program.map(fs::read).transpose()?;
        let executable = Executable::new(bytes.as_deref().unwrap_or(BUILT_IN));
        Ok(Self::find_with(&executable, processes, files))
    }

    fn find_with(executable: &Result<Option<Executable>, String>, processes: &[u32], files: &[PathBuf]) -> Self {
        let (mut libraries, mut known) = (Self::default(), BTreeSet::new());
        if !matches!(executable, Ok(Some(_))) {
            libraries.add_own(&mut known);
        }
        let own = Root {
            folder: "/".into(),
            process: None,
            variables: std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
            programs: files.iter().cloned().chain(std::env::current_exe()).collect(),
        };
        libraries.add_root(&own, executable, &mut known);
        for process in processes {
            match Root::of_process(*process) {
                Ok(root) => libraries.add_root(&root, executable, &mut known),
                Err(because) => libraries.add_unasked(&format!("the library of process {process}"), because),
            }
        }
        // A static muslin may be alone in its image.
        if libraries.asked.is_empty() {
            libraries.add_own(&mut known);
        }
        libraries.add_missing(processes.is_empty());
        libraries
    }

    /// Adds the library that muslin itself uses. `std` calls its `getaddrinfo` without flags, as most programs do.
    fn add_own(&mut self, known: &mut BTreeSet<(u64, u64)>) {
        let Ok(path) = std::env::current_exe() else { return };
        let library = ProgramSource::File(path.clone()).identify(true);
        let loader = program_loader(Path::new("/"), &path);
        known.extend(loader.and_then(|loader| identity(&loader)));
        let arguments = ["probe", "--look-up"].map(OsString::from).to_vec();
        self.asked.push(LookupProgram { library, path, arguments, variables: None, input: None });
    }

    /// Adds each loader of a root that is not known yet.
    fn add_root(
        &mut self,
        root: &Root,
        executable: &Result<Option<Executable>, String>,
        known: &mut BTreeSet<(u64, u64)>,
    ) {
        for loader in root.loaders() {
            let real = root.files().real_path(&loader);
            if identity(&real).is_some_and(|identity| !known.insert(identity)) {
                continue;
            }
            let kind = LibcKind::of_loader_name(&loader.to_string_lossy());
            let library = kind.map_or("an unknown library", |kind| kind.family().name());
            let program = match executable {
                Ok(Some(executable)) => root.lookup_program(&loader, kind, executable),
                Ok(None) => Err("this build of muslin has no lookup program; that of a release has".to_owned()),
                Err(because) => Err(because.clone()),
            };
            match program {
                Ok(_) if self.asked.len() == LIBRARIES_MAX => {
                    self.add_unasked(library, format!("{}: only {LIBRARIES_MAX} are asked", root.name(&loader)));
                }
                Ok(program) => self.asked.push(program),
                Err(because) => self.add_unasked(library, format!("{}: {because}", root.name(&loader))),
            }
        }
    }

    /// Adds musl and glibc to the others if nothing was found of them.
    fn add_missing(&mut self, only_own_root: bool) {
        for family in [Family::Glibc, Family::Musl] {
            let is_asked = self.asked.iter().any(|program| program.library.resolver.family == family);
            if !is_asked && !self.unasked.iter().any(|unasked| unasked.library == family.name()) {
                let hint = if only_own_root { "; --pid adds those of another container's process" } else { "" };
                self.add_unasked(family.name(), format!("no loader of it is here{hint}"));
            }
        }
    }

    fn add_unasked(&mut self, library: &str, because: String) {
        self.unasked.push(UnaskedLibrary { library: library.to_owned(), because });
    }
}

// === impl Root ===

impl Root {
    fn of_process(id: u32) -> Result<Self, String> {
        let folder = PathBuf::from(format!("/proc/{id}"));
        let unreadable =
            |error| format!("cannot read /proc/{id}: {error}; muslin must run as the same user, or as root");
        let variables = process_variables(id).map_err(unreadable)?;
        let program = fs::read_link(folder.join("exe")).map_err(unreadable)?;
        let root = folder.join("root");
        fs::read_dir(&root).map_err(unreadable)?;
        Ok(Self { folder: root, process: Some(id), variables, programs: vec![program] })
    }

    fn files(&self) -> RootFiles<'_> {
        RootFiles::new(&self.folder)
    }

    /// Returns the paths of loaders below this root: those of its programs, and those with a loader's name where loaders are.
    fn loaders(&self) -> Vec<PathBuf> {
        let files = self.files();
        let mut loaders: Vec<PathBuf> =
            self.programs.iter().filter_map(|program| program_loader(&self.folder, program)).collect();
        for folder in LOADER_FOLDERS.map(Path::new) {
            let Ok(entries) = fs::read_dir(files.real_path(folder)) else { continue };
            let names = entries.filter_map(|entry| Some(folder.join(entry.ok()?.file_name())));
            let mut named: Vec<PathBuf> =
                names.filter(|path| LibcKind::of_loader_name(&path.to_string_lossy()).is_some()).collect();
            named.sort_unstable();
            loaders.extend(named);
        }
        loaders
    }

    /// Returns a path of this root as messages show it.
    fn name(&self, path: &Path) -> String {
        match self.process {
            Some(id) => format!("{} of process {id}", path.display()),
            None => path.display().to_string(),
        }
    }

    /// Returns how the lookup program is started by a loader, or why it cannot be.
    fn lookup_program(
        &self,
        loader: &Path,
        kind: Option<LibcKind>,
        executable: &Executable,
    ) -> Result<LookupProgram, String> {
        let real = self.files().real_path(loader);
        let architecture = Architecture::read(&real)?;
        if architecture != executable.architecture {
            return Err(format!(
                "it is for {}, the lookup program for {}",
                architecture.name(),
                executable.architecture.name()
            ));
        }
        let found = inspect_loader(&self.folder, loader).map_err(|error| error.to_string())?;
        let family = found.resolver.family;
        if !matches!(family, Family::Musl | Family::Glibc) {
            return Err("the lookup program is for musl and glibc".to_owned());
        }
        if kind.is_some_and(|kind| kind.family() != family) {
            return Err(format!("it is {} under that name", found.resolver));
        }
        let mut arguments = Vec::new();
        // A library of this container is found as every program finds it. glibc of another root would find this container's.
        if self.process.is_some() && family == Family::Glibc {
            arguments.extend(["--library-path".into(), self.glibc_folders(&real)?]);
        }
        arguments.push(STANDARD_INPUT.into());
        let is_resolvers = |name: &str| RESOLVER_VARIABLES.contains(&name);
        let variables = self.variables.iter().filter(|(name, _)| is_resolvers(name));
        let library = Program {
            name: self.name(loader),
            resolver: found.resolver,
            because: found.reason.to_string(),
            netdns_without_effect: false,
            asked_through: true,
            own_resolvers: Vec::new(),
        };
        Ok(LookupProgram {
            library,
            path: real,
            arguments,
            variables: Some(variables.map(|(name, value)| (name.clone(), value.clone())).collect()),
            input: Some(Arc::clone(&executable.file)),
        })
    }

    /// Returns the folders of this root that have glibc's libraries, as a search path.
    fn glibc_folders(&self, loader: &Path) -> Result<OsString, String> {
        let files = self.files();
        let folders = loader.parent().map(Path::to_owned).into_iter();
        let folders = folders.chain(GLIBC_FOLDERS.iter().map(|folder| files.real_path(Path::new(folder))));
        let mut with_libc: Vec<PathBuf> = folders.filter(|folder| folder.join("libc.so.6").exists()).collect();
        with_libc.dedup();
        if with_libc.is_empty() {
            return Err("its library libc.so.6 is not where glibc's libraries are".to_owned());
        }
        std::env::join_paths(with_libc).map_err(|error| error.to_string())
    }
}

/// Returns the number of a file on its device, by which a library that has several names is asked once.
fn identity(path: &Path) -> Option<(u64, u64)> {
    os::file_identity(&fs::metadata(path).ok()?)
}

// === impl Executable ===

impl Executable {
    /// Writes the program to a file; `None` if there is no program.
    fn new(bytes: &[u8]) -> Result<Option<Self>, String> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let architecture = Architecture::parse(bytes).ok_or("the lookup program is not an ELF file")?;
        let file = write_program(bytes).map_err(|error| format!("cannot write the lookup program: {error}"))?;
        Ok(Some(Self { file: Arc::new(file), architecture }))
    }
}

/// Writes a program to memory or, if that is not possible, to a temporary file without a name. Neither needs the right to execute,
/// because a loader maps the program.
fn write_program(bytes: &[u8]) -> io::Result<File> {
    let mut file = os::memory_file("muslin-lookup").map_or_else(tempfile::tempfile, Ok)?;
    file.write_all(bytes)?;
    Ok(file)
}

// === impl Architecture ===

impl Architecture {
    /// Reads the architecture of a file.
    fn read(path: &Path) -> Result<Self, String> {
        let mut header = Vec::new();
        let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err("it is not a file".to_owned());
        }
        let read = file.take(HEADER_BYTES as u64).read_to_end(&mut header);
        read.map_err(|error| format!("it cannot be read: {error}"))?;
        Self::parse(&header).ok_or_else(|| "it is not an ELF file".to_owned())
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>().filter(|header| header.starts_with(b"\x7fELF"))?;
        Some(Self { class: header[4], order: header[5], machine: [header[18], header[19]] })
    }

    fn name(self) -> String {
        let Self { class, order, machine } = self;
        let machine = if order == 1 { u16::from_le_bytes(machine) } else { u16::from_be_bytes(machine) };
        match (machine, class) {
            (3, _) => "i386".to_owned(),
            (21, _) => "ppc64".to_owned(),
            (22, _) => "s390x".to_owned(),
            (40, _) => "arm".to_owned(),
            (62, 1) => "x32".to_owned(),
            (62, _) => "x86-64".to_owned(),
            (183, _) => "aarch64".to_owned(),
            (243, _) => "riscv".to_owned(),
            _ => format!("the ELF machine {machine}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of an ELF file for this machine number, little-endian and of 64 bits.
    fn header(machine: u8) -> Vec<u8> {
        let mut header = vec![0; 64];
        header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        header[18] = machine;
        header
    }

    fn executable() -> Executable {
        Executable::new(&header(62)).unwrap().unwrap()
    }

    /// Makes a root with these files, and returns why each of its loaders is not asked.
    fn unasked(files: &[(&str, &[u8])]) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let root =
            Root { folder: folder.path().into(), process: Some(7), variables: BTreeMap::new(), programs: Vec::new() };
        let mut libraries = Libraries::default();
        libraries.add_root(&root, &Ok(Some(executable())), &mut BTreeSet::new());
        assert!(libraries.asked.is_empty(), "{:?}", libraries.asked);
        libraries.unasked.into_iter().map(|unasked| (unasked.library, unasked.because)).collect()
    }

    #[test]
    fn reports_loaders_of_another_architecture() {
        let found = unasked(&[("lib/ld-linux-aarch64.so.1", &header(183)), ("lib/ld-musl-i386.so.1", &header(3))]);
        assert_eq!(found[0].0, "glibc");
        assert_eq!(
            found[0].1,
            "/lib/ld-linux-aarch64.so.1 of process 7: it is for aarch64, the lookup program for x86-64"
        );
        assert_eq!(found[1].0, "musl");
        assert!(found[1].1.contains("it is for i386"), "{found:?}");
    }

    #[test]
    fn reports_files_that_are_no_loaders() {
        let found = unasked(&[
            ("lib/ld-musl-x86_64.so.1", b"#!/bin/sh"),
            ("lib/ld-uClibc.so.1", &header(62)),
            ("lib64/ld-linux-x86-64.so.2/x", b""),
        ]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].1.ends_with("it is not an ELF file"), "{found:?}");
        assert_eq!(found[1].0, "uclibc");
        assert!(found[2].1.ends_with("it is not a file"), "{found:?}");
    }

    #[test]
    fn without_a_program_only_the_own_library_is_asked() {
        let libraries = Libraries::find_with(&Ok(None), &[], &[]);
        let [own] = &libraries.asked[..] else { panic!("{:?}", libraries.asked) };
        assert_eq!(own.library.resolver.family, Family::Glibc);
        let musl = libraries.unasked.iter().find(|unasked| unasked.library == "musl").unwrap();
        assert!(musl.because.contains("has no lookup program") || musl.because.starts_with("no loader"), "{musl:?}");
    }

    #[test]
    fn a_process_that_is_gone_is_reported() {
        let libraries = Libraries::find_with(&Ok(None), &[u32::MAX], &[]);
        let gone = libraries.unasked.iter().find(|unasked| unasked.library.contains("4294967295")).unwrap();
        assert!(gone.because.contains("cannot read /proc/"), "{gone:?}");
    }

    #[test]
    fn with_a_program_that_is_none_only_the_own_library_is_asked() {
        let executable = Executable::new(b"text");
        assert!(executable.as_ref().is_err_and(|because| because.ends_with("is not an ELF file")));
        assert_eq!(Libraries::find_with(&executable, &[], &[]).asked.len(), 1);
    }
}
