//! Operations of Unix.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use rustix::fs::{Mode, OFlags, XattrFlags, fgetxattr, flistxattr, fsetxattr};
use rustix::io::Errno;
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use tokio::net::UnixListener;

/// The most bytes of an extended attribute, and of the list of their names (xattr(7)).
const ATTRIBUTE_MAX: usize = 64 * 1024;

/// Extended attributes that the kernel derives from the content.
const DERIVED: [&[u8]; 2] = [b"security.ima", b"security.evm"];

/// The signals that stop the process: the kubelet's SIGTERM, a person's Ctrl-C, the end of a terminal.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

// === impl Signals ===

impl Signals {
    /// Listens for the signals, which do not end the process from here on.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal, and returns the exit code by which a shell shows it.
    pub(crate) async fn next(&mut self) -> i32 {
        let Self { terminate, interrupt, hangup } = self;
        let signal = tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = hangup.recv() => SignalKind::hangup(),
        };
        128 + signal.as_raw_value()
    }
}

/// Opens a file to read. A pipe in its place does not block.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Opens a file to read, unless it is a link. A pipe in its place does not block.
pub(crate) fn open_without_link(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Creates a file that only its owner can read.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Creates a folder and those above it, for their owner alone.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Returns a file in memory; `None` where the system has none.
#[cfg(target_os = "linux")]
pub(crate) fn memory_file(name: &str) -> Option<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    // The first flag exists since Linux 6.3. With the sysctl vm.memfd_noexec=2 no file can be made without it.
    let flags = [MemfdFlags::NOEXEC_SEAL | MemfdFlags::CLOEXEC, MemfdFlags::CLOEXEC];
    flags.into_iter().find_map(|flags| memfd_create(name, flags).ok()).map(File::from)
}

/// Returns a file in memory; `None` where the system has none.
#[cfg(not(target_os = "linux"))]
pub(crate) fn memory_file(_name: &str) -> Option<File> {
    None
}

/// Returns bytes as the system's text; `None` if they cannot be one.
#[expect(clippy::unnecessary_wraps, reason = "not all systems have a text for all bytes")]
pub(crate) fn text_from_bytes(bytes: &[u8]) -> Option<&OsStr> {
    Some(OsStr::from_bytes(bytes))
}

pub(crate) fn is_pipe(kind: FileType) -> bool {
    kind.is_fifo()
}

pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    metadata.mode() & 0o111 != 0
}

/// Returns the number of a file on its device, by which a file that has several names is known.
#[expect(clippy::unnecessary_wraps, reason = "not all systems number their files")]
pub(crate) fn file_identity(metadata: &Metadata) -> Option<(u64, u64)> {
    Some((metadata.dev(), metadata.ino()))
}

/// Returns true if links led in a circle.
pub(crate) fn is_link_loop(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// Returns whether the kernel lacks IPv6: without the module there are no such sockets, and with `ipv6.disable=1` or in some
/// sandboxes no such address or option.
pub(crate) fn is_without_ipv6(error: &io::Error) -> bool {
    let errors = [Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT, Errno::ADDRNOTAVAIL, Errno::NOPROTOOPT, Errno::OPNOTSUPP];
    Errno::from_io_error(error).is_some_and(|error| errors.contains(&error))
}

/// Keeps signals of the terminal from a program.
pub(crate) fn in_own_process_group(command: &mut Command) {
    command.process_group(0);
}

/// Gives a new file the owner, the permissions and the extended attributes of an old one.
pub(crate) fn copy_attributes(old: &File, metadata: &Metadata, new: &File) -> io::Result<()> {
    let created = new.metadata()?;
    if (created.uid(), created.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(new, Some(metadata.uid()), Some(metadata.gid())).map_err(|error| {
            let owner = format!("{}:{}", metadata.uid(), metadata.gid());
            io::Error::new(error.kind(), format!("cannot keep the owner {owner}: {error}"))
        })?;
    }
    // A change of the owner resets some permissions, and the mode is part of an access control list, which is an attribute.
    new.set_permissions(metadata.permissions())?;
    copy_extended_attributes(old, new)
}

fn copy_extended_attributes(old: &File, new: &File) -> io::Result<()> {
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
