//! The entries of a tar stream, one after the other, as Go's archive/tar understands them, by which containerd and Docker unpack:
//! ustar, GNU and PAX. The `tar` crate reads the fields; the iteration is here, because each extension needs a bound before it is
//! in memory. Must not know what the entries mean.

use std::io::{Read, Seek};

use tar::{EntryType, Header};

use super::error::{Error, Subject};
use super::limits::Limits;

const BLOCK: usize = 512;
/// How much of a file is read at once.
const PART: usize = 64 << 10;

/// What one entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path, as it is written. What is not UTF-8 in it is replaced.
    pub(super) path: String,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file of this size, whose content follows.
    File {
        size: u64,
        executable: bool,
    },
    /// A file with holes, whose content is not understood.
    Sparse,
    Folder,
    Symlink(String),
    Hardlink(String),
    /// A device, a pipe.
    Other,
}

/// Reads a tar stream.
pub(super) struct Reader<R> {
    inner: R,
    limits: Limits,
    entries: usize,
    /// Of the present entry: what was not read of its content, and the padding after it.
    left: u64,
    padding: u64,
    part: Vec<u8>,
}

/// What extensions say of the entry after them.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    sparse: bool,
}

// === impl Reader ===

impl<R: Read> Reader<R> {
    pub(super) fn new(inner: R, limits: Limits) -> Self {
        Self { inner, limits, entries: 0, left: 0, padding: 0, part: vec![0; PART] }
    }

    /// The next entry; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Found>, Error> {
        self.pass_over()?;
        let mut extension = Extension::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(Error::too_many("entries in the layer", self.limits.entries));
            }
            let size = header.entry_size().map_err(bad)?;
            match header.entry_type() {
                EntryType::XHeader => extension.read_pax(&self.extension(size)?)?,
                // What holds for all entries (a commit's id, by git) says nothing of any.
                EntryType::XGlobalHeader => drop(self.extension(size)?),
                EntryType::GNULongName => extension.path = Some(text(&self.extension(size)?)),
                EntryType::GNULongLink => extension.link = Some(text(&self.extension(size)?)),
                kind => return self.entry(&header, kind, size, extension).map(Some),
            }
        }
    }

    /// Feeds the content of the present entry to `visit`, part by part, until it says that it has enough.
    pub(super) fn content(&mut self, mut visit: impl FnMut(&[u8]) -> bool) -> Result<(), Error> {
        let mut part = std::mem::take(&mut self.part);
        while self.left > 0 {
            let wanted = usize::try_from(self.left).map_or(PART, |left| left.min(PART));
            let read = self.inner.read(&mut part[..wanted]).map_err(|error| unwrap(error, Subject::UnpackedLayer))?;
            if read == 0 {
                return Err(truncated());
            }
            self.left -= read as u64;
            if !visit(&part[..read]) {
                break;
            }
        }
        self.part = part;
        Ok(())
    }

    /// Passes over the present entry without reading it, and gives where its content began.
    pub(super) fn seek_past(&mut self) -> std::io::Result<u64>
    where
        R: Seek,
    {
        let begun = self.inner.stream_position()?;
        let length = i64::try_from(std::mem::take(&mut self.left) + std::mem::take(&mut self.padding));
        self.inner.seek_relative(length.map_err(|_| std::io::ErrorKind::InvalidData)?)?;
        Ok(begun)
    }

    /// The stream, to be read to its end.
    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    fn entry(&mut self, header: &Header, kind: EntryType, size: u64, extension: Extension) -> Result<Found, Error> {
        let Extension { path, link, size: pax_size, sparse } = extension;
        let path = path.unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
        let link = || {
            let written = || header.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
            link.or_else(written).unwrap_or_default()
        };
        let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
        let size = pax_size.unwrap_or(size);
        // As Go, which has none above 2^63; and what is added to it below is less.
        if size > u64::MAX / 2 {
            return Err(Error::malformed(Subject::EntryHeader, "its size is absurd"));
        }
        let mut content = |size: u64| {
            self.left = size;
            self.padding = size.next_multiple_of(BLOCK as u64) - size;
        };
        let kind = match kind {
            EntryType::GNUSparse => {
                content(size);
                self.pass_over_sparse_headers(header)?;
                Kind::Sparse
            }
            // Go takes a file whose name ends in a slash for a folder (V7 has no other).
            EntryType::Regular | EntryType::Continuous if path.ends_with('/') => {
                content(size);
                Kind::Folder
            }
            EntryType::Regular | EntryType::Continuous => {
                content(size);
                if sparse { Kind::Sparse } else { Kind::File { size, executable } }
            }
            // These have no content, whatever they say (Go: `isHeaderOnlyType`).
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Symlink(link()),
            EntryType::Link => Kind::Hardlink(link()),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Other,
            _ => {
                content(size);
                Kind::Other
            }
        };
        Ok(Found { path, kind })
    }

    /// The headers of old GNU sparse files go on in further blocks, each with a flag at byte 504.
    fn pass_over_sparse_headers(&mut self, header: &Header) -> Result<(), Error> {
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        let mut read = 0;
        while more {
            let block = self.block()?.ok_or_else(truncated)?;
            more = block[504] == 1;
            read += BLOCK as u64;
            if read > self.limits.header_bytes {
                return Err(Error::TooLarge { subject: Subject::EntryHeader, limit_bytes: self.limits.header_bytes });
            }
        }
        Ok(())
    }

    fn header(&mut self) -> Result<Option<Header>, Error> {
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().all(|byte| *byte == 0) {
            return match self.block()? {
                Some(second) if second.iter().any(|byte| *byte != 0) => {
                    Err(Error::malformed(Subject::Layer, "its tar ends in one block of zeros, and goes on"))
                }
                _ => Ok(None),
            };
        }
        let header = Header::from_byte_slice(&block).clone();
        // The checksum is made with blanks in its own place.
        let sum = |from: usize, to: usize| block[from..to].iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let expected = sum(0, 148) + 8 * u32::from(b' ') + sum(156, BLOCK);
        match header.cksum() {
            Ok(found) if found == expected => Ok(Some(header)),
            _ => Err(Error::malformed(Subject::Layer, "it is no tar, or a damaged one: a header has a wrong checksum")),
        }
    }

    /// The next block; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]).map_err(|error| unwrap(error, Subject::UnpackedLayer))? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(truncated()),
                read => filled += read,
            }
        }
        Ok(Some(block))
    }

    /// The content of an extension.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        let limit_bytes = self.limits.header_bytes;
        if size > limit_bytes {
            return Err(Error::TooLarge { subject: Subject::EntryHeader, limit_bytes });
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        let mut bytes = Vec::new();
        self.content(|part| {
            bytes.extend_from_slice(part);
            true
        })?;
        self.pass_over()?;
        Ok(bytes)
    }

    fn pass_over(&mut self) -> Result<(), Error> {
        self.content(|_| true)?;
        self.left = std::mem::take(&mut self.padding);
        self.content(|_| true)
    }
}

// === impl Extension ===

impl Extension {
    /// PAX records: `27 path=…\n`, each with its own length before it.
    fn read_pax(&mut self, mut records: &[u8]) -> Result<(), Error> {
        let malformed = || Error::malformed(Subject::EntryHeader, "a PAX record has a wrong length");
        while !records.is_empty() {
            let blank = records.iter().take(20).position(|byte| *byte == b' ').ok_or_else(malformed)?;
            let length = std::str::from_utf8(&records[..blank]).ok().and_then(|digits| digits.parse::<usize>().ok());
            let length = length.filter(|length| *length > blank + 1).ok_or_else(malformed)?;
            let record = records.get(blank + 1..length - 1).ok_or_else(malformed)?;
            if records.get(length - 1) != Some(&b'\n') {
                return Err(malformed());
            }
            records = &records[length..];
            let Some(equals) = record.iter().position(|byte| *byte == b'=') else { return Err(malformed()) };
            let (key, value) = (&record[..equals], text(&record[equals + 1..]));
            match key {
                b"path" => self.path = Some(value),
                b"linkpath" => self.link = Some(value),
                b"size" => {
                    let size = value
                        .parse()
                        .map_err(|_| Error::malformed(Subject::EntryHeader, "the size in a PAX record is no number"))?;
                    self.size = Some(size);
                }
                b"GNU.sparse.name" => (self.path, self.sparse) = (Some(value), true),
                key => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}

/// Text up to its first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn bad(error: std::io::Error) -> Error {
    Error::malformed(Subject::EntryHeader, error.to_string())
}

fn truncated() -> Error {
    Error::malformed(Subject::Layer, "it is truncated: its tar ends in the middle of an entry")
}

/// The error that crossed a reader of the standard library; another is of the decompression.
pub(super) fn unwrap(error: std::io::Error, subject: Subject) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(own) => own.clone(),
        None => Error::malformed(subject, error.to_string()),
    }
}
