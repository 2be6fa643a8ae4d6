//! The operations that Unix and Windows do in different ways, and those that only Linux has. muslin serves and probes on Linux; the rest
//! of the command line also runs elsewhere. Must not know what they are for. The pure floors do without them.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    Signals, UnixListener, copy_attributes, create_private_file, create_private_folder, file_identity,
    in_own_process_group, is_executable, is_link_loop, is_pipe, is_without_ipv6, memory_file, open_at_once,
    open_without_link, text_from_bytes,
};
#[cfg(windows)]
pub(crate) use windows::{
    Signals, UnixListener, copy_attributes, create_private_file, create_private_folder, file_identity,
    in_own_process_group, is_executable, is_link_loop, is_pipe, is_without_ipv6, memory_file, open_at_once,
    open_without_link, text_from_bytes,
};

/// True where muslin runs as a server, and where there are network namespaces, loaders and `/proc`.
pub(crate) const IS_LINUX: bool = cfg!(target_os = "linux");
