//! How much of a registry, an archive or an image is believed. Whoever pushed an image chose every byte of it, and a registry may
//! send anything, so that each size, count and time has a bound here, with its reason.

use std::time::Duration;

/// Bounds on one inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a manifest, an index and a configuration each. Registries accept manifests of 4 MiB (OCI distribution-spec v1.1
    /// "Pushing Manifests"); a configuration is as large as its history.
    pub document_bytes: u64,
    /// Of an index, and of archives' lists of images. The largest official one has some 30, with attestations.
    pub index_entries: usize,
    /// How deep indexes may lie in one another; tools write one, or one in an archive's own.
    pub index_depth: usize,
    /// Of an image. Overlayfs takes no more than 128 on one mount (containerd, Docker `MaxLayers`: 127).
    pub layers: usize,
    /// Of one layer as it is stored. The largest layers of public images (CUDA, models) have some 10 GiB.
    pub layer_bytes: u64,
    /// Of one layer once decompressed.
    pub unpacked_bytes: u64,
    /// How many times as large as it is stored a layer may become, once it is over [`Limits::RATIO_FROM_BYTES`]. Texts compress
    /// to a tenth; gzip can reach 1032, which only a bomb does over a whole gigabyte.
    pub ratio: u64,
    /// Of one layer. Linux kernel sources with all modules have 100 000 files.
    pub entries: usize,
    /// What the facts of one layer may take, in memory.
    pub facts_bytes: usize,
    /// What the facts of all layers of an image may take together, in memory. Debian's base takes 0.4 MB.
    pub image_facts_bytes: usize,
    /// Of what describes one entry, as Go's archive/tar has it (`maxSpecialFileSize`), by which containerd and Docker read.
    pub header_bytes: u64,
    /// Of what zstd remembers (RFC 8878 3.1.1.1.2 recommends decoders to take 8 MiB; higher levels than 19 write more).
    pub window_bytes: u64,
    /// To reach a host, TLS included.
    pub connect: Duration,
    /// Until an answer begins, and between two parts of it.
    pub stall: Duration,
    /// A body must come at this rate, in bytes a second, once it has been coming for as long as [`Limits::stall`].
    pub rate: u64,
    /// For all of an inspection.
    pub total: Duration,
    /// Redirects in a row. Registries send one, to where they store blobs.
    pub redirects: usize,
    /// How often a request is tried in all, if the answer is that another time may be better.
    pub attempts: u32,
    /// The longest that a registry's `Retry-After` is waited for; a longer one is reported at once.
    pub retry_after: Duration,
    /// Of the head of an answer.
    pub head_bytes: usize,
    /// Of a token's answer; tokens have some 3 KiB.
    pub token_bytes: u64,
}

// === impl Limits ===

impl Limits {
    /// Below this a layer may compress as well as it likes.
    pub const RATIO_FROM_BYTES: u64 = 1 << 30;
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
            image_facts_bytes: 16 << 20,
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
