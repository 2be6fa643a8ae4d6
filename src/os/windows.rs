//! Operations of Windows, and stand-ins for what it lacks.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Command;
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlShutdown, ctrl_break, ctrl_c, ctrl_shutdown};

/// The exit code by which shells show Ctrl-C.
const INTERRUPTED: i32 = 130;

/// The events that stop the process.
pub(crate) struct Signals {
    interrupt: CtrlC,
    break_key: CtrlBreak,
    shutdown: CtrlShutdown,
}

/// No socket: Windows has none with a path that programs share.
pub(crate) struct UnixListener(Infallible);

// === impl Signals ===

impl Signals {
    /// Listens for the events, which do not end the process from here on.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()?, break_key: ctrl_break()?, shutdown: ctrl_shutdown()? })
    }

    /// Waits for an event, and returns the exit code by which a shell shows it.
    pub(crate) async fn next(&mut self) -> i32 {
        let Self { interrupt, break_key, shutdown } = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = break_key.recv() => {}
            _ = shutdown.recv() => {}
        }
        INTERRUPTED
    }
}

// === impl UnixListener ===

impl UnixListener {
    pub(crate) fn bind(_path: impl AsRef<Path>) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "there are no such sockets on this system; use tcp:ADDRESS"))
    }

    pub(crate) async fn accept(&self) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
        match self.0 {}
    }
}

/// Opens a file to read.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Opens a file to read, unless it is a link.
pub(crate) fn open_without_link(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("it is a link"));
    }
    File::open(path)
}

/// Creates a file; the folder decides who can read it.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Creates a folder and those above it; the user's own folder above them decides who can read it.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Returns a file in memory; `None` as Windows has none.
pub(crate) fn memory_file(_name: &str) -> Option<File> {
    None
}

/// Returns bytes as the system's text; `None` if they cannot be one.
pub(crate) fn text_from_bytes(bytes: &[u8]) -> Option<&OsStr> {
    std::str::from_utf8(bytes).ok().map(OsStr::new)
}

pub(crate) fn is_pipe(_kind: FileType) -> bool {
    false
}

pub(crate) fn is_executable(_metadata: &Metadata) -> bool {
    true
}

/// Returns the number of a file on its device; `None` as the standard library does not show it.
pub(crate) fn file_identity(_metadata: &Metadata) -> Option<(u64, u64)> {
    None
}

/// Returns true if links led in a circle.
pub(crate) fn is_link_loop(_error: &io::Error) -> bool {
    false
}

/// Returns whether the system lacks IPv6.
pub(crate) fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

/// Does nothing: a program has no group of its own here.
pub(crate) fn in_own_process_group(_command: &mut Command) {}

/// Gives a new file the permissions of an old one.
pub(crate) fn copy_attributes(_old: &File, metadata: &Metadata, new: &File) -> io::Result<()> {
    new.set_permissions(metadata.permissions())
}
