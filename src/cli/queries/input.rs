//! Reads queries from a file, standard input or sockets. Must not know what they show.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow};
use tokio::net::{TcpListener, UnixListener};

use crate::cli::outcome::{Failure, Outcome};
use crate::cli::terminal;
use crate::queries::{
    Analysis, DNSTAP_CONTENT_TYPE, Frame, FrameError, FrameReader, LogLine, read_dnstap_frame, read_log_line,
};
use crate::text::Line;

/// The longest line that is read as one: a name has 255 bytes, and four times that with escapes.
const LINE_MAX: u64 = 16 * 1024;

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;

/// An open source of queries.
pub(super) enum Source {
    Log(Box<dyn Read + Send>),
    DnstapFile(File),
    DnstapUnix(UnixListener, PathBuf),
    DnstapTcp(TcpListener),
}

type Shared = Arc<Mutex<Analysis>>;

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
                let read = tokio::task::spawn_blocking(move || read_frames(file, None::<io::Sink>, &analysis)).await;
                let read = read.context("reading the frames failed").map_err(Failure::Outside)?;
                read.map_err(|error| Failure::Input(error.into()))
            }
            Self::DnstapUnix(listener, path) => {
                let _removed = RemovedSocket(path);
                loop {
                    let (stream, _) = listener.accept().await.context("cannot accept").map_err(Failure::Outside)?;
                    if let Ok(stream) = stream.into_std() {
                        let prepared = stream.set_nonblocking(false).and_then(|()| stream.try_clone());
                        spawn_reader(prepared.map(|answers| (stream, answers)), &analysis);
                    }
                }
            }
            Self::DnstapTcp(listener) => loop {
                let (stream, _) = listener.accept().await.context("cannot accept").map_err(Failure::Outside)?;
                if let Ok(stream) = stream.into_std() {
                    let prepared = stream.set_nonblocking(false).and_then(|()| stream.try_clone());
                    spawn_reader(prepared.map(|answers| (stream, answers)), &analysis);
                }
            },
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

/// Reads one connection on a thread of its own. A connection that fails is reported, and others go on.
fn spawn_reader<S: Read + Write + Send + 'static>(stream: io::Result<(S, S)>, analysis: &Shared) {
    let analysis = Arc::clone(analysis);
    tokio::task::spawn_blocking(move || {
        let read = stream.map_err(FrameError::from);
        let read = read.and_then(|(input, answers)| read_frames(input, Some(answers), &analysis));
        if let Err(error) = read {
            terminal::note(&Line::new(format!("a dnstap connection ended: {error}")));
        }
    });
}

fn read_log(input: impl Read, analysis: &Mutex<Analysis>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let read = read_log_line(text.trim_end());
        let Ok(mut analysis) = analysis.lock() else { return Ok(()) };
        match read {
            LogLine::Query(query) => analysis.add(&query),
            LogLine::Other => analysis.add_other_line(),
        }
    }
}

fn read_frames(input: impl Read, answers: Option<impl Write>, analysis: &Mutex<Analysis>) -> Result<(), FrameError> {
    let mut frames = FrameReader::new(BufReader::with_capacity(BUFFER, input), answers, DNSTAP_CONTENT_TYPE);
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
