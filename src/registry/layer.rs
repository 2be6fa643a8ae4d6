//! One layer, from its stored bytes to its facts, in one pass: the stored digest and size are checked, the bytes are decompressed as
//! they arrive and digested again, and the entries go to [`LayerBuilder`]. Nothing is written, and no more of a file is kept than
//! matters. Blocking, over any [`Read`]; must not know where the bytes come from.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::digest::{Digest, Digester};
use super::error::{Error, ErrorSubject};
use super::limits::Limits;
use super::manifest::{Compression, Descriptor};
use super::tar::{TarEntry, TarEntryKind, TarReader, unwrap_error};
use crate::budget::Budget;
use crate::image::contents::{Entry, FileScan, LayerBuilder, LayerFacts, Node};

/// The work of reading the shell scripts of one layer, in steps of the budget: 64 MiB of text. Nothing is known of scripts beyond it.
const LAYER_STEPS: u32 = 1_000_000;

/// The facts of a layer, and its digest after decompression.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The facts.
    pub facts: Arc<LayerFacts>,
    /// The digest after decompression.
    pub diff_id: Digest,
}

/// Reads the layer that `descriptor` points to.
///
/// # Errors
/// The content differs from the descriptor, is damaged, or exceeds a limit.
pub fn read_layer(stored: impl Read + Send, descriptor: &Descriptor, limits: &Limits) -> Result<Layer, Error> {
    read_layer_unless(&AtomicBool::new(false), stored, descriptor, limits)
}

/// Reads the layer that `descriptor` points to, until the flag is set.
///
/// # Errors
/// As [`read_layer`]; [`Error::Cancelled`] if the flag was set.
pub(super) fn read_layer_unless(
    is_cancelled: &AtomicBool,
    stored: impl Read + Send,
    descriptor: &Descriptor,
    limits: &Limits,
) -> Result<Layer, Error> {
    if descriptor.size > limits.layer_bytes {
        return Err(Error::TooLarge { subject: ErrorSubject::Layer, limit_bytes: limits.layer_bytes });
    }
    let mut stored = Stored::new(stored, descriptor);
    let mut start = Vec::new();
    (&mut stored).take(4).read_to_end(&mut start).map_err(|error| unwrap_error(error, ErrorSubject::Layer))?;
    let compression = Descriptor::compression(&start);
    let count = Arc::clone(&stored.count);
    let whole = BufReader::with_capacity(32 << 10, io::Cursor::new(start).chain(&mut stored));
    let layer = Budget::new(LAYER_STEPS).run(|| match compression {
        Compression::None => read_unpacked(whole, count, limits, is_cancelled),
        Compression::Gzip => read_unpacked(MultiGzDecoder::new(whole), count, limits, is_cancelled),
        Compression::Zstd => read_unpacked(Zstd::new(whole, limits.window_bytes), count, limits, is_cancelled),
    });
    // An error of the stored bytes is reported rather than the decompression error that it caused.
    if let Some(failure) = stored.failure.take() {
        return Err(failure);
    }
    if !matches!(layer, Ok(_) | Err(Error::Malformed { .. })) {
        return layer;
    }
    // The digest detects damage, and only the whole layer shows whether it arrived as it was pushed.
    io::copy(&mut stored, &mut io::sink()).map_err(|error| unwrap_error(error, ErrorSubject::Layer))?;
    stored.check()?;
    layer
}

/// Reads a decompressed layer; `stored` counts its stored bytes.
fn read_unpacked(
    unpacked: impl Read,
    stored: Arc<AtomicU64>,
    limits: &Limits,
    is_cancelled: &AtomicBool,
) -> Result<Layer, Error> {
    let digester = Digester::sha256();
    let mut unpacked = Unpacked { inner: unpacked, digester, count: 0, stored, limits: *limits, is_cancelled };
    let mut reader = TarReader::new(&mut unpacked, *limits);
    let mut builder = LayerBuilder::new(limits.facts_bytes);
    while let Some(TarEntry { path, kind }) = reader.next_entry()? {
        let entry = match kind {
            TarEntryKind::Folder => Entry::Folder,
            TarEntryKind::Symlink(target) => Entry::Node(Node::Symlink(target.into())),
            TarEntryKind::Hardlink(target) => Entry::Node(Node::Hardlink(target.into())),
            TarEntryKind::Sparse => Entry::Node(Node::Unreadable("it is stored as a sparse file".into())),
            TarEntryKind::Other => Entry::Other,
            TarEntryKind::File { size, executable } => {
                let mut scan = FileScan::new(path.trim_start_matches(['.', '/']), size, executable);
                reader.read_content(|part| {
                    scan.feed(part);
                    !scan.is_indifferent()
                })?;
                scan.finish().map_or(Entry::Other, Entry::Node)
            }
        };
        builder.add(&path, entry)?;
    }
    // Bytes after the end of the tar count for the digest.
    let rest = reader.into_inner();
    io::copy(rest, &mut io::sink()).map_err(|error| unwrap_error(error, ErrorSubject::UnpackedLayer))?;
    Ok(Layer { facts: Arc::new(builder.finish()), diff_id: unpacked.digester.finish() })
}

/// The stored bytes of a layer, limited to the announced size.
struct Stored<'a, R> {
    inner: R,
    descriptor: &'a Descriptor,
    digester: Digester,
    count: Arc<AtomicU64>,
    /// The first error, in case that a reader above loses it.
    failure: Option<Error>,
}

/// The decompressed bytes of a layer, limited in size and ratio.
struct Unpacked<'c, R> {
    inner: R,
    digester: Digester,
    count: u64,
    stored: Arc<AtomicU64>,
    limits: Limits,
    is_cancelled: &'c AtomicBool,
}

/// A decoder of consecutive zstd frames that skips skippable ones.
struct Zstd<R> {
    inner: R,
    decoder: FrameDecoder,
    /// Is true while a frame has begun and was not read to its end.
    inside: bool,
}

// === impl Stored ===

impl<'a, R: Read> Stored<'a, R> {
    fn new(inner: R, descriptor: &'a Descriptor) -> Self {
        Self { inner, descriptor, digester: descriptor.digest.digester(), count: Arc::default(), failure: None }
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.failure.get_or_insert(error.clone());
        error.into()
    }

    fn check(self) -> Result<(), Error> {
        let Self { inner: _, descriptor, digester, count, failure: _ } = self;
        let (expected, actual) = (descriptor.size, count.load(Ordering::Relaxed));
        if expected != actual {
            return Err(Error::WrongSize { subject: ErrorSubject::Layer, expected, actual });
        }
        let actual = digester.finish();
        if actual == descriptor.digest {
            Ok(())
        } else {
            Err(Error::WrongDigest { subject: ErrorSubject::Layer, expected: descriptor.digest.clone(), actual })
        }
    }
}

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).map_err(|error| self.fail(unwrap_error(error, ErrorSubject::Layer)))?;
        self.digester.update(&buffer[..read]);
        let count = self.count.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        let expected = self.descriptor.size;
        if count > expected {
            return Err(self.fail(Error::WrongSize { subject: ErrorSubject::Layer, expected, actual: count }));
        }
        Ok(read)
    }
}

// === impl Unpacked ===

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Limits { unpacked_bytes, ratio, .. } = self.limits;
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled.into());
        }
        let read = self.inner.read(buffer)?;
        self.digester.update(&buffer[..read]);
        self.count += read as u64;
        if self.count > unpacked_bytes {
            return Err(Error::TooLarge { subject: ErrorSubject::UnpackedLayer, limit_bytes: unpacked_bytes }.into());
        }
        if self.count > Limits::RATIO_FROM_BYTES && self.count / ratio > self.stored.load(Ordering::Relaxed) {
            return Err(Error::Bomb { ratio }.into());
        }
        Ok(read)
    }
}

// === impl Zstd ===

impl<R: Read> Zstd<R> {
    fn new(inner: R, window_bytes: u64) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(window_bytes);
        Self { inner, decoder, inside: false }
    }

    /// Begins the next frame; returns `false` at the end of the stream.
    fn begin(&mut self) -> io::Result<bool> {
        let Self { inner, decoder, inside } = self;
        loop {
            let mut first = [0];
            if inner.read(&mut first)? == 0 {
                return Ok(false);
            }
            match decoder.init(first.as_slice().chain(&mut *inner)) {
                Ok(()) => {
                    *inside = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    if io::copy(&mut (&mut *inner).take(length.into()), &mut io::sink())? < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside && !self.begin()? {
                return Ok(0);
            }
            let Self { inner, decoder, inside } = self;
            while decoder.can_collect() == 0 && !decoder.is_finished() {
                decoder.decode_blocks(&mut *inner, BlockDecodingStrategy::UptoBlocks(1)).map_err(io::Error::other)?;
            }
            match decoder.read(buffer)? {
                0 if !buffer.is_empty() => *inside = false,
                read => return Ok(read),
            }
        }
    }
}
