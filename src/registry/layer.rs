//! One layer, from its stored bytes to its facts, in one pass: the stored digest and size are checked, it is decompressed as it
//! comes, the digest of what that gives is made, and its entries are told to [`LayerBuilder`]. Nothing is written, and of no
//! file more is kept than matters. Blocking, over any [`Read`]; must not know where the bytes come from.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::digest::{Digest, Digester};
use super::error::{Error, Subject};
use super::limits::Limits;
use super::manifest::{Descriptor, Packing};
use super::tar::{self, Kind};
use crate::image::contents::{Entry, FileScan, LayerBuilder, LayerFacts, Node};

/// What a layer says, and its digest once decompressed.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it says.
    pub facts: Arc<LayerFacts>,
    /// The digest of what it is once decompressed.
    pub diff_id: Digest,
}

/// Reads the layer that `descriptor` points to.
///
/// # Errors
/// It is not what the descriptor says, is damaged, or exceeds a limit.
pub fn read(stored: impl Read + Send, descriptor: &Descriptor, limits: &Limits) -> Result<Layer, Error> {
    if descriptor.size > limits.layer_bytes {
        return Err(Error::TooLarge { subject: Subject::Layer, limit_bytes: limits.layer_bytes });
    }
    let mut stored = Stored::new(stored, descriptor);
    let mut start = Vec::new();
    (&mut stored).take(4).read_to_end(&mut start).map_err(|error| tar::unwrap(error, Subject::Layer))?;
    let packing = Descriptor::packing(&start);
    let count = Arc::clone(&stored.count);
    let whole = BufReader::with_capacity(32 << 10, io::Cursor::new(start).chain(&mut stored));
    let layer = match packing {
        Packing::Plain => unpacked(whole, count, limits),
        Packing::Gzip => unpacked(MultiGzDecoder::new(whole), count, limits),
        Packing::Zstd => unpacked(Zstd::new(whole, limits.window_bytes), count, limits),
    };
    // What went wrong below is told rather than what the decompression made of it.
    if let Some(failure) = stored.failure.take() {
        return Err(failure);
    }
    if !matches!(layer, Ok(_) | Err(Error::Malformed { .. })) {
        return layer;
    }
    // Damage is told by the digest: only the whole of a layer tells whether it came as it was pushed.
    io::copy(&mut stored, &mut io::sink()).map_err(|error| tar::unwrap(error, Subject::Layer))?;
    stored.check()?;
    layer
}

fn unpacked(unpacked: impl Read, stored: Arc<AtomicU64>, limits: &Limits) -> Result<Layer, Error> {
    let mut unpacked = Unpacked { inner: unpacked, digester: Digester::sha256(), count: 0, stored, limits: *limits };
    let mut reader = tar::Reader::new(&mut unpacked, *limits);
    let mut builder = LayerBuilder::new(limits.facts_bytes);
    while let Some(tar::Found { path, kind }) = reader.next()? {
        let entry = match kind {
            Kind::Folder => Entry::Folder,
            Kind::Symlink(target) => Entry::Node(Node::Symlink(target.into())),
            Kind::Hardlink(target) => Entry::Node(Node::Hardlink(target.into())),
            Kind::Sparse => Entry::Node(Node::Unreadable("it is stored with holes in it".into())),
            Kind::Other => Entry::Other,
            Kind::File { size, executable } => {
                let mut scan = FileScan::new(path.trim_start_matches(['.', '/']), size, executable);
                reader.content(|part| {
                    scan.feed(part);
                    !scan.is_indifferent()
                })?;
                scan.finish().map_or(Entry::Other, Entry::Node)
            }
        };
        builder.add(&path, entry)?;
    }
    // What follows the end of a tar counts for the digest.
    let rest = reader.into_inner();
    io::copy(rest, &mut io::sink()).map_err(|error| tar::unwrap(error, Subject::UnpackedLayer))?;
    Ok(Layer { facts: Arc::new(builder.finish()), diff_id: unpacked.digester.finish() })
}

/// The bytes of a layer as they are stored, no more of them than there should be.
struct Stored<'a, R> {
    inner: R,
    descriptor: &'a Descriptor,
    digester: Digester,
    count: Arc<AtomicU64>,
    /// What went wrong, in case that those above lose it.
    failure: Option<Error>,
}

/// The bytes of a layer once decompressed, bounded.
struct Unpacked<R> {
    inner: R,
    digester: Digester,
    count: u64,
    stored: Arc<AtomicU64>,
    limits: Limits,
}

/// zstd frames, one after the other; those that are to be skipped are.
struct Zstd<R> {
    inner: R,
    decoder: FrameDecoder,
    /// A frame has begun, and not all of it was given out.
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
            return Err(Error::WrongSize { subject: Subject::Layer, expected, actual });
        }
        let actual = digester.finish();
        if actual == descriptor.digest {
            Ok(())
        } else {
            Err(Error::WrongDigest { subject: Subject::Layer, expected: descriptor.digest.clone(), actual })
        }
    }
}

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).map_err(|error| self.fail(tar::unwrap(error, Subject::Layer)))?;
        self.digester.update(&buffer[..read]);
        let count = self.count.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        let expected = self.descriptor.size;
        if count > expected {
            return Err(self.fail(Error::WrongSize { subject: Subject::Layer, expected, actual: count }));
        }
        Ok(read)
    }
}

// === impl Unpacked ===

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Limits { unpacked_bytes, ratio, .. } = self.limits;
        let read = self.inner.read(buffer)?;
        self.digester.update(&buffer[..read]);
        self.count += read as u64;
        if self.count > unpacked_bytes {
            return Err(Error::TooLarge { subject: Subject::UnpackedLayer, limit_bytes: unpacked_bytes }.into());
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

    /// Begins the next frame; `false` at the end of the stream.
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
