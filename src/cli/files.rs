//! Finds, reads and replaces manifest files: named files, and the manifests in folders. Knows git's ignore files and Helm's charts;
//! must not know the content of manifests.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use ignore::gitignore::Gitignore;
use ignore::{DirEntry, WalkBuilder};

use crate::manifest::Lines;

/// The path that means standard input.
pub(super) const STDIN: &str = "-";

/// The file name extensions of manifests.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A file to read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The path, as named or as found in a named folder.
    pub(super) path: PathBuf,
    /// True if the file itself was named; false if it was found in a folder.
    pub(super) named: bool,
}

/// Returns the files to read: the arguments in order, the files of a folder sorted by name. An argument inside another argument's
/// folder is read once.
pub(super) fn sources(
    arguments: &[PathBuf],
    exclude: Gitignore,
) -> impl Iterator<Item = Result<Source, anyhow::Error>> + Send {
    let mut seen = HashSet::new();
    let arguments: Vec<PathBuf> = arguments.iter().filter(|path| seen.insert(absolute_path(path))).cloned().collect();
    let (seen, exclude) = (Arc::new(seen), Arc::new(exclude));
    arguments.into_iter().flat_map(move |path| -> Box<dyn Iterator<Item = _> + Send> {
        match fs::metadata(&path) {
            _ if path.as_os_str() == STDIN => Box::new([Ok(Source { path, named: true })].into_iter()),
            Ok(metadata) if metadata.is_dir() => Box::new(folder_files(&path, &seen, &exclude)),
            Ok(_) => Box::new([Ok(Source { path, named: true })].into_iter()),
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot read {}", path.display()));
                Box::new([Err(error)].into_iter())
            }
        }
    })
}

/// Returns the manifest files of a folder, sorted by name, without hidden, git-ignored and excluded ones.
fn folder_files(
    path: &Path,
    seen: &Arc<HashSet<PathBuf>>,
    exclude: &Arc<Gitignore>,
) -> impl Iterator<Item = Result<Source, anyhow::Error>> + Send + use<> {
    let (seen, exclude) = (Arc::clone(seen), Arc::clone(exclude));
    let is_wanted = move |entry: &DirEntry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        let path = absolute_path(entry.path());
        entry.depth() == 0 || !(seen.contains(&path) || exclude.matched(&path, is_folder).is_ignore())
    };
    // `.gitignore` also applies outside a repository, such as in a copy that CI makes.
    let walk = WalkBuilder::new(path)
        .ignore(false)
        .require_git(false)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(is_wanted)
        .build();
    walk.filter_map(|entry| match entry {
        Ok(entry) => {
            let is_file = entry.file_type().is_some_and(|kind| !kind.is_dir());
            let extension = entry.path().extension().and_then(|extension| extension.to_str());
            let is_manifest = is_file && extension.is_some_and(|extension| EXTENSIONS.contains(&extension));
            is_manifest.then(|| Ok(Source { path: entry.into_path(), named: false }))
        }
        Err(error) => Some(Err(anyhow::Error::new(error).context("cannot search for manifests"))),
    })
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

// === impl Source ===

impl Source {
    /// Returns the name for reports.
    pub(super) fn name(&self) -> String {
        display_path(&self.path)
    }

    /// Returns true for standard input.
    pub(super) fn is_stdin(&self) -> bool {
        self.path.as_os_str() == STDIN
    }

    /// Reads the text. An error about invalid UTF-8 has the place of the first invalid byte.
    pub(super) fn read(&self) -> anyhow::Result<String> {
        let name = self.name();
        let mut bytes = Vec::new();
        if self.is_stdin() {
            io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        } else {
            bytes = fs::read(&self.path).with_context(|| format!("cannot read {name}"))?;
        }
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]);
            anyhow!("{name}:{}: the text is not UTF-8", Lines::new(&text).position(valid))
        })
    }

    /// Replaces the text atomically. Permissions stay, and a link stays a link.
    pub(super) fn replace(&self, text: &str) -> anyhow::Result<()> {
        let put = || -> io::Result<()> {
            let target = fs::canonicalize(&self.path)?;
            let permissions = fs::metadata(&target)?.permissions();
            if permissions.readonly() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file is read-only"));
            }
            // Only a rename within the same folder is atomic.
            let mut file = tempfile::NamedTempFile::new_in(target.parent().unwrap_or(&target))?;
            file.write_all(text.as_bytes())?;
            file.as_file().set_permissions(permissions)?;
            file.as_file().sync_all()?;
            file.persist(&target).map_err(|error| error.error)?;
            Ok(())
        };
        put().with_context(|| format!("cannot write {}", self.name()))
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
