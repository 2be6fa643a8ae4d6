//! Finds and reads manifest files: named files, and the manifests in folders. Knows git's ignore files, the files that git tracks, and
//! Helm's charts; must not know the content of manifests.

use std::collections::HashSet;
use std::fs::{self, FileType};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use ignore::gitignore::Gitignore;
use ignore::{DirEntry, Walk, WalkBuilder};

use crate::manifest::{Lines, Position};
use crate::os;

use super::replacement::{self, Replaced};
use super::tracked_files::TrackedFiles;

/// The path that means standard input.
pub(super) const STDIN: &str = "-";

/// The file name extensions of manifests.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A file to read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The path, as named or as found in a named folder.
    pub(super) path: PathBuf,
    /// The named folder in which the file was found; `None` if the file itself was named.
    pub(super) folder: Option<Arc<Path>>,
    /// The path that `--stdin-filename` gives to standard input.
    pub(super) stdin_filename: Option<PathBuf>,
}

/// A file that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct ReadError {
    pub(super) file: String,
    /// The place of the first byte that is not UTF-8.
    pub(super) at: Option<Position>,
    pub(super) message: String,
    pub(super) kind: ReadErrorKind,
}

/// The kinds of errors that matter in folders, where not every file has to be readable.
#[derive(Clone, Debug)]
pub(super) enum ReadErrorKind {
    /// A link to a file that does not exist.
    BrokenLink,
    /// Bytes that are not UTF-8, and the text with replacements for them.
    NotText(String),
    Other,
}

/// The arguments that say which files to read.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) arguments: Vec<PathBuf>,
    /// The files to skip in folders, by absolute path.
    pub(super) exclude: Gitignore,
    /// Further files to skip in folders.
    pub(super) skipped: Vec<PathBuf>,
    pub(super) stdin_filename: Option<PathBuf>,
}

/// The manifest files of a folder, sorted by path. Merges the files that are not ignored with those that git tracks.
struct FolderFiles {
    folder: Arc<Path>,
    walk: Walk,
    /// The next entry of the walk, if it was taken already.
    next: Option<Result<DirEntry, ignore::Error>>,
    tracked: TrackedFiles,
    filter: Arc<Filter>,
}

/// The files and folders to skip in a folder.
struct Filter {
    /// Absolute paths that are read on their own, or not at all.
    seen: HashSet<PathBuf>,
    exclude: Gitignore,
}

// === impl Sources ===

impl Sources {
    /// Returns the files to read: the arguments in order, the files of a folder sorted by name. An argument inside another argument's
    /// folder is read once.
    pub(super) fn find(self) -> impl Iterator<Item = Result<Source, ReadError>> + Send {
        let Self { mut arguments, exclude, skipped, stdin_filename } = self;
        let mut seen = HashSet::new();
        arguments.retain(|path| seen.insert(absolute_path(path)));
        seen.extend(skipped.iter().map(|path| absolute_path(path)));
        let filter = Arc::new(Filter { seen, exclude });
        arguments.into_iter().flat_map(move |path| -> Box<dyn Iterator<Item = _> + Send> {
            if path.as_os_str() == STDIN {
                let stdin_filename = stdin_filename.clone();
                return Box::new([Ok(Source { path, folder: None, stdin_filename })].into_iter());
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => Box::new(FolderFiles::new(&path, &filter)),
                Ok(_) => Box::new([Ok(Source::named(path))].into_iter()),
                Err(error) => Box::new([Err(ReadError::of(&path, &error))].into_iter()),
            }
        })
    }
}

// === impl FolderFiles ===

impl FolderFiles {
    fn new(folder: &Path, filter: &Arc<Filter>) -> Self {
        let for_walk = Arc::clone(filter);
        // `.gitignore` also applies outside a repository, such as in a copy that CI makes.
        let walk = WalkBuilder::new(folder)
            .ignore(false)
            .require_git(false)
            .sort_by_file_name(Ord::cmp)
            .filter_entry(move |entry| {
                let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
                entry.depth() == 0 || for_walk.keeps(entry.path(), is_folder)
            })
            .build();
        Self {
            folder: Arc::from(folder),
            walk,
            next: None,
            tracked: TrackedFiles::new(folder, is_manifest),
            filter: Arc::clone(filter),
        }
    }

    fn source(&self, path: PathBuf) -> Source {
        Source { path, folder: Some(Arc::clone(&self.folder)), stdin_filename: None }
    }

    /// Returns a file of the walk, if it is a manifest.
    fn walked(&mut self, entry: DirEntry) -> Option<Result<Source, ReadError>> {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            self.tracked.enter(entry.path());
            return None;
        }
        self.tracked.remove(entry.path());
        self.file(entry.into_path(), kind)
    }

    /// Returns a file that git both ignores and tracks.
    fn ignored(&self, path: PathBuf) -> Option<Result<Source, ReadError>> {
        let inside = path.ancestors().take_while(|ancestor| *ancestor != &*self.folder);
        let mut folders = inside.skip(1);
        // The walk follows no links to folders.
        let is_plain = |folder: &Path| fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir());
        if !self.filter.keeps(&path, false)
            || !folders.all(|folder| is_plain(folder) && self.filter.keeps(folder, true))
        {
            return None;
        }
        let kind = fs::symlink_metadata(&path).ok()?.file_type();
        self.file(path, kind)
    }

    /// Returns a file, or a link to one. What else a folder can hold, such as pipes and devices, is no manifest.
    fn file(&self, path: PathBuf, kind: FileType) -> Option<Result<Source, ReadError>> {
        if !is_manifest(&path) {
            return None;
        }
        if kind.is_symlink() {
            return match fs::metadata(&path) {
                Ok(metadata) => metadata.is_file().then(|| Ok(self.source(path))),
                Err(error) => {
                    let broken = error.kind() == io::ErrorKind::NotFound || os::is_link_loop(&error);
                    let kind = if broken { ReadErrorKind::BrokenLink } else { ReadErrorKind::Other };
                    Some(Err(ReadError { kind, ..ReadError::of(&path, &error) }))
                }
            };
        }
        kind.is_file().then(|| Ok(self.source(path)))
    }
}

impl Iterator for FolderFiles {
    type Item = Result<Source, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.next.is_none() {
                self.next = self.walk.next();
            }
            let found = match &self.next {
                Some(Ok(entry)) => match self.tracked.take_before(Some(entry.path())) {
                    Some(path) => self.ignored(path),
                    None => match self.next.take() {
                        Some(Ok(entry)) => self.walked(entry),
                        _ => None,
                    },
                },
                Some(Err(error)) => {
                    let message = format!("cannot search for manifests: {error}");
                    let file = display_path(&self.folder);
                    self.next = None;
                    Some(Err(ReadError { file, at: None, message, kind: ReadErrorKind::Other }))
                }
                None => match self.tracked.take_before(None) {
                    Some(path) => self.ignored(path),
                    None => return None,
                },
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

// === impl Filter ===

impl Filter {
    fn keeps(&self, path: &Path, is_folder: bool) -> bool {
        let path = absolute_path(path);
        !(self.seen.contains(&path) || self.exclude.matched(&path, is_folder).is_ignore())
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Returns the absolute path, which identifies a file however it was named; the path itself if the working directory is gone.
fn absolute_path(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns a path for messages: without the leading `./` that comes from a folder named `.`; `.` for an empty path.
fn display_path(path: &Path) -> String {
    match path.strip_prefix("./").unwrap_or(path) {
        path if path.as_os_str().is_empty() => ".".to_owned(),
        path => path.display().to_string(),
    }
}

// === impl ReadError ===

impl ReadError {
    fn of(path: &Path, error: &io::Error) -> Self {
        let file = display_path(path);
        let message = match path.as_os_str() == STDIN {
            true => format!("cannot read standard input: {error}"),
            false => format!("cannot read {file}: {error}"),
        };
        Self { file, at: None, message, kind: ReadErrorKind::Other }
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(f, "{}:{at}: {}", self.file, self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ReadError {}

// === impl Source ===

impl Source {
    /// Returns a file that was named itself.
    pub(super) fn named(path: PathBuf) -> Self {
        Self { path, folder: None, stdin_filename: None }
    }

    /// Returns the name for reports.
    pub(super) fn name(&self) -> String {
        match &self.stdin_filename {
            Some(path) if self.is_stdin() && !path.is_dir() => display_path(path),
            _ => display_path(&self.path),
        }
    }

    /// Returns true for standard input.
    pub(super) fn is_stdin(&self) -> bool {
        self.path.as_os_str() == STDIN
    }

    /// Returns true if the text is a stream that a program writes, not a file with a name of its own.
    pub(super) fn is_stream(&self) -> bool {
        match &self.stdin_filename {
            _ if self.folder.is_some() => false,
            Some(path) if self.is_stdin() => path.is_dir(),
            None if self.is_stdin() => true,
            _ => fs::metadata(&self.path).is_ok_and(|file| os::is_pipe(file.file_type())),
        }
    }

    /// Returns the path of the file inside the named folder; the whole path of a named file.
    pub(super) fn path_in_folder(&self) -> &Path {
        self.folder.as_ref().and_then(|folder| self.path.strip_prefix(folder).ok()).unwrap_or(&self.path)
    }

    /// Reads the text.
    pub(super) fn read(&self) -> Result<String, ReadError> {
        let bytes = self.read_bytes().map_err(|error| ReadError::of(&self.path, &error))?;
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let at = Lines::new(&String::from_utf8_lossy(&bytes[..valid])).position(valid);
            let message = match bytes {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the text is UTF-16; save it as UTF-8",
                _ => "the text is not UTF-8",
            };
            let kind = ReadErrorKind::NotText(String::from_utf8_lossy(bytes).replace('\0', ""));
            ReadError { file: self.name(), at: Some(at), message: message.to_owned(), kind }
        })
    }

    fn read_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.is_stdin() {
            io::stdin().lock().read_to_end(&mut bytes)?;
        } else if self.folder.is_some() {
            // A pipe may have taken the file's place.
            let mut file = os::open_at_once(&self.path)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("no regular file any more"));
            }
            file.read_to_end(&mut bytes)?;
        } else {
            bytes = fs::read(&self.path)?;
        }
        Ok(bytes)
    }

    /// Returns true for a link that leads out of the named folder. A repository of another author must not change files elsewhere.
    pub(super) fn leads_outside(&self) -> bool {
        let Some(folder) = &self.folder else { return false };
        match (fs::canonicalize(folder), fs::canonicalize(&self.path)) {
            (Ok(folder), Ok(target)) => !target.starts_with(folder),
            _ => false,
        }
    }

    /// Replaces the text, if it is still `before`.
    pub(super) fn replace(&self, before: &str, after: &str) -> Result<Replaced, String> {
        replacement::replace(&self.path, before, after)
            .map_err(|error| format!("cannot write {}: {error}", self.name()))
    }

    /// Returns the Helm chart that has this file as a template: a folder with a `Chart.yaml` and this file below `templates/`.
    pub(super) fn chart(&self) -> Option<String> {
        let path = absolute_path(&self.path);
        let chart = path.ancestors().skip(1).find_map(|folder| {
            let chart = folder.parent().filter(|_| folder.file_name().is_some_and(|name| name == "templates"))?;
            chart.join("Chart.yaml").is_file().then_some(chart)
        })?;
        let working = std::env::current_dir().unwrap_or_default();
        Some(display_path(chart.strip_prefix(&working).unwrap_or(chart)))
    }
}
