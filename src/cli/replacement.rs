//! Replaces the text of files atomically, so that a reader, an interrupt or a full disk never meets half a file.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::hash::Hasher as _;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::thread;

use fnv::FnvHasher;

use crate::os::{self, Signals};

/// Is held while a temporary file exists. A signal waits for its end.
static REPLACING: RwLock<()> = RwLock::new(());

/// Makes SIGINT, SIGTERM and SIGHUP end the process between two replacements, with the shell's exit code for the signal.
#[expect(clippy::disallowed_methods, reason = "no other thread has anything to clean up, and some may wait for files")]
pub(super) fn outlive_signals() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let code = runtime.block_on(signals.next());
        let _ended = REPLACING.write().unwrap_or_else(PoisonError::into_inner);
        std::process::exit(code);
    })?;
    Ok(())
}

/// The end of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    Done,
    /// The text is not `before` any more, so nothing was replaced.
    Changed,
}

/// Replaces the text of a file if that is still `before`. Owner, permissions and extended attributes stay, and a link stays a link. A
/// process that is killed at the worst time leaves a file `.muslin-fix-…`, which the next replacement removes.
pub(super) fn replace(path: &Path, before: &str, after: &str) -> io::Result<Replaced> {
    let target = fs::canonicalize(path)?;
    // A pipe may have taken the file's place.
    let mut old = os::open_at_once(&target)?;
    let metadata = old.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file is read-only"));
    }
    // The lock is on the old file: its holder alone uses the temporary name. Not every file system has locks.
    let _ = old.lock();
    let _replacing = REPLACING.read().unwrap_or_else(PoisonError::into_inner);
    let mut current = Vec::new();
    old.read_to_end(&mut current)?;
    let is_same = os::file_identity(&fs::metadata(&target)?) == os::file_identity(&metadata);
    let is_same = is_same && current == before.as_bytes();
    if !is_same {
        return Ok(Replaced::Changed);
    }
    let temporary = temporary_of(&target);
    remove_if_exists(&temporary)?;
    let written = write(&temporary, after, &old, &metadata).and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| Replaced::Done)
}

/// Removes what a killed process left beside a file.
pub(super) fn remove_leftover(path: &Path) {
    let Ok(target) = fs::canonicalize(path) else { return };
    let temporary = temporary_of(&target);
    let is_leftover = || File::open(&target).is_ok_and(|file| file.try_lock().is_ok());
    if fs::symlink_metadata(&temporary).is_ok() && is_leftover() {
        let _ = fs::remove_file(&temporary);
    }
}

/// Returns the name of the temporary file: always the same for a file, so that a leftover is found, and short, so that it fits.
fn temporary_of(target: &Path) -> PathBuf {
    let mut hasher = FnvHasher::default();
    hasher.write(target.file_name().map(|name| name.as_encoded_bytes()).unwrap_or_default());
    target.with_file_name(OsString::from(format!(".muslin-fix-{:016x}", hasher.finish())))
}

/// Writes the new file with the attributes of the old one.
fn write(path: &Path, text: &str, old: &File, metadata: &Metadata) -> io::Result<()> {
    let mut new = os::create_private_file(path)?;
    new.write_all(text.as_bytes())?;
    os::copy_attributes(old, metadata, &new)?;
    new.sync_all()
}

fn remove_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
