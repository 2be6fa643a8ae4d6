//! The entries of a tar stream, in order, as Go's archive/tar understands them, with which containerd and Docker unpack: ustar, GNU
//! and PAX. The `tar` crate reads the fields; the iteration is here, because each extension needs a limit before it is in memory.
//! Must not know what the entries mean.

use std::io::{Read, Seek};

use tar::{EntryType, Header};

use super::error::{Error, ErrorSubject};
use super::limits::Limits;
use crate::budget::count_turns;

const BLOCK: usize = 512;
/// Bytes of a file that are read at once.
const PART: usize = 64 << 10;

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TarEntry {
    /// The path, as it is written. Bytes that are not UTF-8 are replaced.
    pub(super) path: String,
    pub(super) kind: TarEntryKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum TarEntryKind {
    /// A file, whose content follows.
    File {
        size: u64,
        executable: bool,
    },
    /// A sparse file, whose content is not read.
    Sparse,
    Folder,
    Symlink(String),
    Hardlink(String),
    /// A device or a pipe.
    Other,
}

/// Reads a tar stream.
pub(super) struct TarReader<R> {
    inner: R,
    limits: Limits,
    entries: usize,
    /// Bytes of the current entry that were not read, and of the padding after it.
    left: u64,
    padding: u64,
    part: Vec<u8>,
}

/// The extensions for the next entry.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    sparse: bool,
}

// === impl TarReader ===

impl<R: Read> TarReader<R> {
    pub(super) fn new(inner: R, limits: Limits) -> Self {
        Self { inner, limits, entries: 0, left: 0, padding: 0, part: vec![0; PART] }
    }

    /// Returns the next entry, or `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<TarEntry>, Error> {
        self.skip_content()?;
        let mut extension = Extension::default();
        loop {
            count_turns(1);
            let Some(header) = self.read_header()? else { return Ok(None) };
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(Error::too_many("entries in the layer", self.limits.entries));
            }
            let size = header.entry_size().map_err(invalid_header)?;
            match header.entry_type() {
                EntryType::XHeader => extension.read_pax(&self.read_extension(size)?)?,
                // A global header (git writes the commit's id into one) describes no entry.
                EntryType::XGlobalHeader => drop(self.read_extension(size)?),
                EntryType::GNULongName => extension.path = Some(text_before_nul(&self.read_extension(size)?)),
                EntryType::GNULongLink => extension.link = Some(text_before_nul(&self.read_extension(size)?)),
                kind => return self.parse_entry(&header, kind, size, extension).map(Some),
            }
        }
    }

    /// Passes the content of the current entry to `visit`, part by part, until `visit` returns `false`.
    pub(super) fn read_content(&mut self, mut visit: impl FnMut(&[u8]) -> bool) -> Result<(), Error> {
        let mut part = std::mem::take(&mut self.part);
        while self.left > 0 {
            count_turns(1);
            let wanted = usize::try_from(self.left).map_or(PART, |left| left.min(PART));
            let read = self
                .inner
                .read(&mut part[..wanted])
                .map_err(|error| unwrap_error(error, ErrorSubject::UnpackedLayer))?;
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

    /// Skips the current entry by seeking; returns the position of its content.
    pub(super) fn seek_past_content(&mut self) -> std::io::Result<u64>
    where
        R: Seek,
    {
        let begun = self.inner.stream_position()?;
        let length = i64::try_from(std::mem::take(&mut self.left) + std::mem::take(&mut self.padding));
        self.inner.seek_relative(length.map_err(|_| std::io::ErrorKind::InvalidData)?)?;
        Ok(begun)
    }

    /// Returns the stream, so that its rest can be read.
    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    fn parse_entry(
        &mut self,
        header: &Header,
        kind: EntryType,
        size: u64,
        extension: Extension,
    ) -> Result<TarEntry, Error> {
        let Extension { path, link, size: pax_size, sparse } = extension;
        let path = path.unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
        let link = || {
            let written = || header.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
            link.or_else(written).unwrap_or_default()
        };
        let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
        let size = pax_size.unwrap_or(size);
        // Go has no size above 2^63, and the padding below adds less.
        if size > u64::MAX / 2 {
            return Err(Error::malformed(ErrorSubject::EntryHeader, "its size exceeds 2^63 bytes"));
        }
        let mut content = |size: u64| {
            self.left = size;
            self.padding = size.next_multiple_of(BLOCK as u64) - size;
        };
        let kind = match kind {
            EntryType::GNUSparse => {
                content(size);
                self.skip_sparse_headers(header)?;
                TarEntryKind::Sparse
            }
            // Go reads a file whose name ends in a slash as a folder (V7 has no other form).
            EntryType::Regular | EntryType::Continuous if path.ends_with('/') => {
                content(size);
                TarEntryKind::Folder
            }
            EntryType::Regular | EntryType::Continuous => {
                content(size);
                if sparse { TarEntryKind::Sparse } else { TarEntryKind::File { size, executable } }
            }
            // These have no content, whatever their size (Go: `isHeaderOnlyType`).
            EntryType::Directory => TarEntryKind::Folder,
            EntryType::Symlink => TarEntryKind::Symlink(link()),
            EntryType::Link => TarEntryKind::Hardlink(link()),
            EntryType::Char | EntryType::Block | EntryType::Fifo => TarEntryKind::Other,
            _ => {
                content(size);
                TarEntryKind::Other
            }
        };
        Ok(TarEntry { path, kind })
    }

    /// Skips the header blocks of an old GNU sparse file, each with a flag for the next at byte 504.
    fn skip_sparse_headers(&mut self, header: &Header) -> Result<(), Error> {
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        let mut read = 0;
        while more {
            let block = self.read_block()?.ok_or_else(truncated)?;
            more = block[504] == 1;
            read += BLOCK as u64;
            if read > self.limits.header_bytes {
                return Err(Error::TooLarge {
                    subject: ErrorSubject::EntryHeader,
                    limit_bytes: self.limits.header_bytes,
                });
            }
        }
        Ok(())
    }

    fn read_header(&mut self) -> Result<Option<Header>, Error> {
        let Some(block) = self.read_block()? else { return Ok(None) };
        if block.iter().all(|byte| *byte == 0) {
            return match self.read_block()? {
                Some(second) if second.iter().any(|byte| *byte != 0) => {
                    Err(Error::malformed(ErrorSubject::Layer, "its tar continues after a block of zeros"))
                }
                _ => Ok(None),
            };
        }
        let header = Header::from_byte_slice(&block).clone();
        // The checksum counts its own field as blanks.
        let sum = |from: usize, to: usize| block[from..to].iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let expected = sum(0, 148) + 8 * u32::from(b' ') + sum(156, BLOCK);
        match header.cksum() {
            Ok(found) if found == expected => Ok(Some(header)),
            _ => Err(Error::malformed(
                ErrorSubject::Layer,
                "it is no tar, or a damaged one (wrong checksum of a header)",
            )),
        }
    }

    /// Returns the next block, or `None` at the end of the stream.
    fn read_block(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self
                .inner
                .read(&mut block[filled..])
                .map_err(|error| unwrap_error(error, ErrorSubject::UnpackedLayer))?
            {
                0 if filled == 0 => return Ok(None),
                0 => return Err(truncated()),
                read => filled += read,
            }
        }
        Ok(Some(block))
    }

    /// Returns the content of an extension.
    fn read_extension(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        let limit_bytes = self.limits.header_bytes;
        if size > limit_bytes {
            return Err(Error::TooLarge { subject: ErrorSubject::EntryHeader, limit_bytes });
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        let mut bytes = Vec::new();
        self.read_content(|part| {
            bytes.extend_from_slice(part);
            true
        })?;
        self.skip_content()?;
        Ok(bytes)
    }

    /// Skips the rest of the current entry by reading it.
    fn skip_content(&mut self) -> Result<(), Error> {
        self.read_content(|_| true)?;
        self.left = std::mem::take(&mut self.padding);
        self.read_content(|_| true)
    }
}

// === impl Extension ===

impl Extension {
    /// Reads PAX records such as `27 path=…\n`, each preceded by its own length.
    fn read_pax(&mut self, mut records: &[u8]) -> Result<(), Error> {
        let malformed = || Error::malformed(ErrorSubject::EntryHeader, "a PAX record has a wrong length");
        while !records.is_empty() {
            count_turns(1);
            let blank = records.iter().take(20).position(|byte| *byte == b' ').ok_or_else(malformed)?;
            let length = std::str::from_utf8(&records[..blank]).ok().and_then(|digits| digits.parse::<usize>().ok());
            let length = length.filter(|length| *length > blank + 1).ok_or_else(malformed)?;
            let record = records.get(blank + 1..length - 1).ok_or_else(malformed)?;
            if records.get(length - 1) != Some(&b'\n') {
                return Err(malformed());
            }
            records = &records[length..];
            let Some(equals) = record.iter().position(|byte| *byte == b'=') else { return Err(malformed()) };
            let (key, value) = (&record[..equals], text_before_nul(&record[equals + 1..]));
            match key {
                b"path" => self.path = Some(value),
                b"linkpath" => self.link = Some(value),
                b"size" => {
                    let size = value.parse().map_err(|_| {
                        Error::malformed(ErrorSubject::EntryHeader, "the size in a PAX record is no number")
                    })?;
                    self.size = Some(size);
                }
                b"GNU.sparse.name" => (self.path, self.sparse) = (Some(value), true),
                key => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}

/// Returns the text up to the first NUL.
fn text_before_nul(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn invalid_header(error: std::io::Error) -> Error {
    Error::malformed(ErrorSubject::EntryHeader, error.to_string())
}

fn truncated() -> Error {
    Error::malformed(ErrorSubject::Layer, "its tar is truncated in the middle of an entry")
}

/// Returns our own error if the I/O error wraps one; any other is an error of the decompression.
pub(super) fn unwrap_error(error: std::io::Error, subject: ErrorSubject) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(own) => own.clone(),
        None => Error::malformed(subject, error.to_string()),
    }
}
