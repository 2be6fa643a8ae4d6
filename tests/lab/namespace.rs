//! A network namespace that lives exactly as long as its value: only a file descriptor holds it, so the kernel removes it, with all
//! links and rules in it, however this process ends. Must not know what it is used for.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{setsockopt, sockopt};

/// Bytes of queries that may wait for a server. The kernel's default of some 200 kB overflows when hundreds of lookups begin in the
/// same millisecond, and the laboratory must lose no other packets than those of the test.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// A network namespace.
pub(crate) struct Namespace(File);

// === impl Namespace ===

impl Namespace {
    /// Creates a namespace that has only a loopback interface, which is down.
    pub(crate) fn new() -> Result<Self> {
        let made = on_a_thread_of_its_own(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace (the laboratory needs root)")?;
            Ok(File::open("/proc/thread-self/ns/net")?)
        });
        Ok(Self(made?))
    }

    /// Returns the path for `ip link … netns`.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs a function inside the namespace. Sockets opened and programs started there stay there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread_of_its_own(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET).context("entering a network namespace")?;
            work()
        })
    }

    /// Runs a program inside the namespace, with `input`, and returns its output.
    pub(crate) fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<String> {
        let call = || format!("running {program} {}", arguments.join(" "));
        let output = self.enter(|| feed(Command::new(program).args(arguments), input)).with_context(call)?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {} {error}\n{input}", call(), output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Sets a value below `/proc/sys`.
    pub(crate) fn set(&self, key: &str, value: &str) -> Result<()> {
        self.enter(|| std::fs::write(format!("/proc/sys/{key}"), value).with_context(|| format!("setting {key}")))
    }

    /// Opens UDP port 53 of an address.
    pub(crate) fn udp(&self, address: IpAddr) -> Result<UdpSocket> {
        self.enter(|| {
            let socket = UdpSocket::bind((address, 53)).with_context(|| format!("listening on UDP {address}:53"))?;
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
    }

    /// Opens TCP port 53 of an address.
    pub(crate) fn tcp(&self, address: IpAddr) -> Result<TcpListener> {
        self.enter(|| {
            let socket = TcpListener::bind((address, 53)).with_context(|| format!("listening on TCP {address}:53"))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
    }
}

/// Runs a program to its end with this input, which must fit in a pipe.
fn feed(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input.as_bytes())?;
    }
    Ok(child.wait_with_output()?)
}

/// Runs a function on a thread of its own, as a thread that changed its namespace cannot be used for anything else.
fn on_a_thread_of_its_own<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow!("panicked in a network namespace"))?
}
