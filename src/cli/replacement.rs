//! Replaces the text of files atomically, so that a reader, an interrupt or a full disk never meets half a file.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::Hasher as _;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::thread;

use fnv::FnvHasher;
use rustix::fs::{OFlags, XattrFlags, fgetxattr, flistxattr, fsetxattr};
use rustix::io::Errno;

use super::signals::Signals;

/// Is held while a temporary file exists. A signal waits for its end.
static REPLACING: RwLock<()> = RwLock::new(());

/// The most bytes of an extended attribute, and of the list of their names (xattr(7)).
const ATTRIBUTE_MAX: usize = 64 * 1024;

/// Extended attributes that the kernel derives from the content.
const DERIVED: [&[u8]; 2] = [b"security.ima", b"security.evm"];

/// Makes SIGINT, SIGTERM and SIGHUP end the process between two replacements, with the shell's exit code for the signal.
#[expect(clippy::disallowed_methods, reason = "no other thread has anything to clean up, and some may wait for files")]
pub(super) fn outlive_signals() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let signal = runtime.block_on(signals.next());
        let _ended = REPLACING.write().unwrap_or_else(PoisonError::into_inner);
        std::process::exit(128 + signal.as_raw_value());
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
    // A pipe that took the file's place would block.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut old = OpenOptions::new().read(true).custom_flags(flags).open(&target)?;
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
    let is_same = fs::metadata(&target)?.ino() == metadata.ino() && current == before.as_bytes();
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
    hasher.write(target.file_name().map(|name| name.as_bytes()).unwrap_or_default());
    target.with_file_name(OsString::from(format!(".muslin-fix-{:016x}", hasher.finish())))
}

/// Writes the new file with the attributes of the old one.
fn write(path: &Path, text: &str, old: &File, metadata: &Metadata) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    new.write_all(text.as_bytes())?;
    let created = new.metadata()?;
    if (created.uid(), created.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(&new, Some(metadata.uid()), Some(metadata.gid())).map_err(|error| {
            let owner = format!("{}:{}", metadata.uid(), metadata.gid());
            io::Error::new(error.kind(), format!("cannot keep the owner {owner}: {error}"))
        })?;
    }
    // A change of the owner resets some permissions, and the mode is part of an access control list, which is an attribute.
    new.set_permissions(metadata.permissions())?;
    copy_attributes(old, &new)?;
    new.sync_all()
}

fn copy_attributes(old: &File, new: &File) -> io::Result<()> {
    let mut names = vec![0; ATTRIBUTE_MAX];
    let length = match flistxattr(old, &mut names[..]) {
        Err(Errno::NOTSUP) => return Ok(()),
        listed => listed?,
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty() && !DERIVED.contains(name));
    let (mut value, mut present) = (vec![0; ATTRIBUTE_MAX], vec![0; ATTRIBUTE_MAX]);
    for name in names {
        let length = fgetxattr(old, name, &mut value[..])?;
        if fgetxattr(new, name, &mut present[..]).is_ok_and(|there| present[..there] == value[..length]) {
            continue;
        }
        fsetxattr(new, name, &value[..length], XattrFlags::empty()).map_err(|error| {
            let name = String::from_utf8_lossy(name);
            io::Error::new(io::Error::from(error).kind(), format!("cannot keep the extended attribute {name}: {error}"))
        })?;
    }
    Ok(())
}

fn remove_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
