//! Reads queries from a file, standard input or sockets. Must not know what they show.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cli::outcome::{Failure, Outcome};
use crate::cli::terminal;
use crate::os::UnixListener;
use crate::queries::{
    Analysis, DNSTAP_CONTENT_TYPE, Frame, FrameError, FrameReader, LogLine, read_dnstap_frame, read_log_line,
};
use crate::text::Line;

/// The longest line that is read as one: a name has 255 bytes, and four times that with escapes.
const LINE_MAX: u64 = 16 * 1024;

/// Bytes that are read at once from a file or standard input, and from a connection.
const BUFFER: usize = 256 * 1024;
const CONNECTION_BUFFER: usize = 16 * 1024;

/// The most connections at once: each replica of CoreDNS has one. Each has a thread, of which tokio has 512 at most.
const CONNECTIONS_MAX: usize = 256;

/// The longest wait for the start of a stream. A sender starts it at once, and may then have nothing to send for long.
const START_MAX: Duration = Duration::from_secs(10);

/// An open source of queries.
pub(super) enum Source {
    Log(Box<dyn Read + Send>),
    DnstapFile(File),
    DnstapUnix(UnixListener, PathBuf),
    DnstapTcp(TcpListener),
}

type Shared = Arc<Mutex<Analysis>>;

/// A connection of a sender of dnstap.
trait Connection: Send + 'static {
    /// Makes reads and writes wait, reads at most for a time.
    fn set_wait(&self, longest: Option<Duration>) -> io::Result<()>;
}

/// The connections that are read, each by a thread.
struct Connections {
    analysis: Shared,
    free: Arc<Semaphore>,
    /// A connection was refused.
    is_full: bool,
}

// === impl Source ===

impl Source {
    /// Opens a log file, standard input, or a source of dnstap.
    pub(super) async fn open(file: Option<&Path>, dnstap: Option<&str>) -> Result<Self, Failure> {
        let open = |path: &Path| {
            File::open(path).with_context(|| format!("cannot read {}", path.display())).map_err(Failure::Input)
        };
        match (dnstap, file.filter(|file| *file != Path::new("-"))) {
            (Some(dnstap), _) => {
                if let Some(path) = dnstap.strip_prefix("unix:") {
                    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on {path}"));
                    return Ok(Self::DnstapUnix(listener.map_err(Failure::Input)?, PathBuf::from(path)));
                }
                if let Some(address) = dnstap.strip_prefix("tcp:") {
                    let address: SocketAddr = address
                        .parse()
                        .map_err(|_| Failure::Input(anyhow!("`{address}` is not an address such as 0.0.0.0:6000")))?;
                    let listener = TcpListener::bind(address).await;
                    let listener = listener.with_context(|| format!("cannot listen on {address}"));
                    return Ok(Self::DnstapTcp(listener.map_err(Failure::Input)?));
                }
                open(Path::new(dnstap)).map(Self::DnstapFile)
            }
            (None, Some(file)) => open(file).map(|file| Self::Log(Box::new(file))),
            (None, None) => Ok(Self::Log(Box::new(io::stdin()))),
        }
    }

    /// Reads until the source ends; a socket does not.
    pub(super) async fn read(self, analysis: Shared) -> Outcome {
        match self {
            Self::Log(input) => {
                let read = tokio::task::spawn_blocking(move || read_log(input, &analysis)).await;
                let read = read.context("reading the log failed").map_err(Failure::Outside)?;
                read.context("cannot read the log").map_err(Failure::Outside)
            }
            Self::DnstapFile(file) => {
                let read = tokio::task::spawn_blocking(move || read_frame_file(file, &analysis)).await;
                let read = read.context("reading the frames failed").map_err(Failure::Outside)?;
                read.map_err(|error| Failure::Input(error.into()))
            }
            Self::DnstapUnix(listener, path) => {
                let _removed = RemovedSocket(path);
                let mut connections = Connections::new(analysis);
                loop {
                    let accepted = listener.accept().await;
                    connections.read(accepted.and_then(|(stream, _)| stream.into_std())).await;
                }
            }
            Self::DnstapTcp(listener) => {
                let mut connections = Connections::new(analysis);
                loop {
                    let accepted = listener.accept().await;
                    connections.read(accepted.and_then(|(stream, _)| stream.into_std())).await;
                }
            }
        }
    }
}

/// The path of a socket, which is removed at the end.
struct RemovedSocket(PathBuf);

// === impl RemovedSocket ===

impl Drop for RemovedSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

// === impl Connection ===

#[cfg(unix)]
impl Connection for std::os::unix::net::UnixStream {
    fn set_wait(&self, longest: Option<Duration>) -> io::Result<()> {
        self.set_nonblocking(false)?;
        self.set_write_timeout(Some(START_MAX))?;
        self.set_read_timeout(longest)
    }
}

impl Connection for TcpStream {
    fn set_wait(&self, longest: Option<Duration>) -> io::Result<()> {
        self.set_nonblocking(false)?;
        self.set_write_timeout(Some(START_MAX))?;
        self.set_read_timeout(longest)
    }
}

// === impl Connections ===

impl Connections {
    fn new(analysis: Shared) -> Self {
        Self { analysis, free: Arc::new(Semaphore::new(CONNECTIONS_MAX)), is_full: false }
    }

    /// Reads a connection on a thread of its own. One that fails is reported, and others go on; one too many is closed.
    async fn read<C: Connection>(&mut self, accepted: io::Result<C>)
    where
        for<'c> &'c C: Read + Write,
    {
        let connection = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                // As when all descriptors are taken: it does not help to try again at once.
                terminal::note(&Line::new(format!("cannot accept a dnstap connection: {error}")));
                return tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            if !std::mem::replace(&mut self.is_full, true) {
                terminal::note(&Line::new(format!(
                    "more than {CONNECTIONS_MAX} dnstap connections at once: closed one"
                )));
            }
            return;
        };
        let analysis = Arc::clone(&self.analysis);
        tokio::task::spawn_blocking(move || read_connection(&connection, &analysis, permit));
    }
}

fn read_connection<C: Connection>(connection: &C, analysis: &Mutex<Analysis>, _permit: OwnedSemaphorePermit)
where
    for<'c> &'c C: Read + Write,
{
    let read = || -> Result<(), FrameError> {
        connection.set_wait(Some(START_MAX))?;
        let input = BufReader::with_capacity(CONNECTION_BUFFER, connection);
        let mut frames = FrameReader::new(input, Some(connection), DNSTAP_CONTENT_TYPE);
        if frames.start()? {
            connection.set_wait(None)?;
            read_frames(&mut frames, analysis)?;
        }
        Ok(())
    };
    if let Err(error) = read() {
        terminal::note(&Line::new(format!("a dnstap connection ended: {error}")));
    }
}

fn read_log(input: impl Read, analysis: &Mutex<Analysis>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let is_cut = line.len() as u64 == LINE_MAX && !line.ends_with(b"\n");
        let text = String::from_utf8_lossy(&line);
        let read = if is_cut { LogLine::Other } else { read_log_line(text.trim_end()) };
        {
            let Ok(mut analysis) = analysis.lock() else { return Ok(()) };
            match read {
                LogLine::Query(query) => analysis.add(&query),
                LogLine::Other => analysis.add_other_line(),
            }
        }
        if is_cut {
            // Memory holds nothing of the rest.
            input.skip_until(b'\n')?;
        }
    }
}

/// Reads the frames of a file. A cut file counts as far as it goes.
fn read_frame_file(input: File, analysis: &Mutex<Analysis>) -> Result<(), FrameError> {
    let input = BufReader::with_capacity(BUFFER, input);
    let mut frames = FrameReader::new(input, None::<io::Sink>, DNSTAP_CONTENT_TYPE);
    if !frames.start()? {
        return Ok(());
    }
    if let Err(error) = read_frames(&mut frames, analysis) {
        terminal::note(&Line::new(format!("the rest of the dnstap file is not read: {error}")));
    }
    Ok(())
}

fn read_frames(frames: &mut FrameReader<impl Read, impl Write>, analysis: &Mutex<Analysis>) -> Result<(), FrameError> {
    let mut is_noted = false;
    while let Some(frame) = frames.next_frame()? {
        let read = read_dnstap_frame(frame);
        let Ok(mut analysis) = analysis.lock() else { return Ok(()) };
        match read {
            Frame::Query(query) => analysis.add(&query),
            Frame::Other => {}
            Frame::WithoutMessage => {
                analysis.add_other_line();
                if !std::mem::replace(&mut is_noted, true) {
                    terminal::note(&Line::new("dnstap without DNS messages: CoreDNS needs `dnstap SOCKET full`"));
                }
            }
        }
    }
    Ok(())
}
