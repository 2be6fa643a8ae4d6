//! Limits on everything that is read from a registry, an archive or an image. The author of an image chose every byte of it, and a
//! registry may send anything, so each size, count and time has a limit here, with its reason.

use std::time::Duration;

/// Limits on one inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a manifest, an index or a configuration. Registries accept manifests of 4 MiB (OCI distribution-spec v1.1
    /// "Pushing Manifests"); a configuration grows with its history.
    pub document_bytes: u64,
    /// Entries of an index, or images of an archive. The largest official index has some 30, with attestations.
    pub index_entries: usize,
    /// Depth of nested indexes. Tools write one, or one inside that of an archive.
    pub index_depth: usize,
    /// Layers of an image. Overlayfs takes no more than 128 on one mount (containerd, Docker `MaxLayers`: 127).
    pub layers: usize,
    /// Bytes of one layer as it is stored. The largest layers of public images (CUDA, models) have some 10 GiB.
    pub layer_bytes: u64,
    /// Bytes of one layer after decompression.
    pub unpacked_bytes: u64,
    /// Ratio of a layer's size after decompression to its stored size, from one GiB (`RATIO_FROM_BYTES`) on. Text compresses to a
    /// tenth; gzip can reach 1032, which only a bomb does over a whole gigabyte.
    pub ratio: u64,
    /// Entries of one layer. Linux kernel sources with all modules have 100 000 files.
    pub entries: usize,
    /// Memory for the facts of one layer, in bytes.
    pub facts_bytes: usize,
    /// Memory for the facts of all layers of an image, in bytes. Debian's base takes 0.4 MB.
    pub image_facts_bytes: usize,
    /// Memory for the file system that the layers make, in bytes.
    pub tree_bytes: usize,
    /// Bytes of an entry's header, as in Go's archive/tar (`maxSpecialFileSize`), with which containerd and Docker read.
    pub header_bytes: u64,
    /// Bytes of the window of zstd (RFC 8878 3.1.1.1.2 recommends decoders to take 8 MiB; higher levels than 19 write more).
    pub window_bytes: u64,
    /// Time to connect to a host, with TLS.
    pub connect: Duration,
    /// Time until an answer begins, and between two parts of it.
    pub stall: Duration,
    /// Least rate of a body, in bytes a second, after the time of [`Limits::stall`].
    pub rate: u64,
    /// Time for a whole inspection.
    pub total: Duration,
    /// Redirects in a row. Registries send one, to their blob store.
    pub redirects: usize,
    /// Attempts of a request that fails for a reason that may pass.
    pub attempts: u32,
    /// Longest `Retry-After` of a registry that is waited for; a longer one is reported at once.
    pub retry_after: Duration,
    /// Bytes of the head of an answer.
    pub head_bytes: usize,
    /// Bytes of a token server's answer; tokens have some 3 KiB.
    pub token_bytes: u64,
}

// === impl Limits ===

impl Limits {
    /// Size after decompression from which [`Limits::ratio`] applies.
    pub(super) const RATIO_FROM_BYTES: u64 = 1 << 30;

    /// Returns the limits on most images. Larger ones are rare, and inspected one at a time.
    pub(super) fn small(all: &Self) -> Self {
        Self {
            facts_bytes: all.facts_bytes.min(3 << 19),
            image_facts_bytes: all.image_facts_bytes.min(5 << 19),
            tree_bytes: all.tree_bytes.min(2 << 20),
            ..*all
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 4 << 20,
            index_entries: 1024,
            index_depth: 3,
            layers: 128,
            layer_bytes: 20 << 30,
            unpacked_bytes: 64 << 30,
            ratio: 200,
            entries: 1_000_000,
            facts_bytes: 8 << 20,
            image_facts_bytes: 10 << 20,
            tree_bytes: 8 << 20,
            header_bytes: 1 << 20,
            window_bytes: 8 << 20,
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            rate: 8 << 10,
            total: Duration::from_secs(600),
            redirects: 4,
            attempts: 4,
            retry_after: Duration::from_secs(30),
            head_bytes: 64 << 10,
            token_bytes: 64 << 10,
        }
    }
}
