//! The words in names that mean the same for every publisher: `20-alpine3.18`, `bookworm-slim`, `ubi9`, `nanoserver`. To add a word,
//! add a line to `WORDS`. Must not know any publisher.

use std::cmp::Ordering;

use super::tag::alpine_release;
use super::words::{Token, tokens};
use crate::image::fingerprint::Fingerprint;
use crate::image::reason::{Part, Reason};
use crate::image::reference::Reference;
use crate::resolver::alpine::Release;
use crate::resolver::{Family, Resolver};

/// A word that says what an image is built on.
#[derive(Debug)]
pub(crate) struct Word {
    /// The word, in lower case.
    pub(crate) text: &'static str,
    pub(crate) meaning: Meaning,
    place: Place,
}

/// The meaning of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Alpine Linux, so musl; a number after it is the release.
    Alpine,
    /// A C library.
    Libc(Family),
    /// A distribution, all of whose releases have glibc.
    Glibc(&'static str),
    /// An image with nothing but the program.
    Scratch,
    /// Either glibc or no C library: other words say which.
    Distroless,
    /// A library that lets glibc programs run on musl: the resolver stays musl's.
    Gcompat,
    /// Windows.
    Windows,
}

/// The names in which a word is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Tags and names of repositories.
    Anywhere,
    /// Tags only: in names of repositories the word has another meaning too often.
    Tag,
    /// Tags, with a number directly after the word.
    TagNumbered,
}

/// Shorter words are trusted only if they stand alone: `deb12` may be part of a commit, `2201ubuntu18.04` is the version of a package.
const STANDS_ALONE_BELOW: usize = 5;

const fn word(text: &'static str, meaning: Meaning, place: Place) -> Word {
    Word { text, meaning, place }
}

/// The words, sorted. Debian's and Ubuntu's code names: debian.org/releases, wiki.ubuntu.com/Releases.
pub(crate) const WORDS: &[Word] = {
    use Meaning::{Alpine, Distroless, Gcompat, Glibc, Libc, Scratch, Windows};
    use Place::{Anywhere, Tag, TagNumbered};
    &[
        word("al", Glibc("Amazon Linux"), TagNumbered),
        word("almalinux", Glibc("AlmaLinux"), Anywhere),
        word("alpine", Alpine, Anywhere),
        word("alpinelinux", Alpine, Anywhere),
        word("amazonlinux", Glibc("Amazon Linux"), Anywhere),
        word("amzn", Glibc("Amazon Linux"), TagNumbered),
        word("archlinux", Glibc("Arch Linux"), Anywhere),
        word("azurelinux", Glibc("Azure Linux"), Anywhere),
        word("bci", Glibc("SUSE Linux"), Tag),
        word("bionic", Glibc("Ubuntu"), Tag),
        word("bookworm", Glibc("Debian"), Tag),
        word("bullseye", Glibc("Debian"), Tag),
        word("buster", Glibc("Debian"), Tag),
        word("centos", Glibc("CentOS"), Anywhere),
        word("chiseled", Glibc("Ubuntu"), Tag),
        word("deb", Glibc("Debian"), TagNumbered),
        word("debian", Glibc("Debian"), Anywhere),
        word("distroless", Distroless, Anywhere),
        word("el", Glibc("Enterprise Linux"), TagNumbered),
        word("fedora", Glibc("Fedora"), Tag),
        word("focal", Glibc("Ubuntu"), Tag),
        word("forky", Glibc("Debian"), Tag),
        word("gcompat", Gcompat, Anywhere),
        word("glibc", Libc(Family::Glibc), Anywhere),
        word("jammy", Glibc("Ubuntu"), Tag),
        word("jessie", Glibc("Debian"), Tag),
        word("leap", Glibc("openSUSE"), TagNumbered),
        word("ltsc", Windows, TagNumbered),
        word("mariner", Glibc("CBL-Mariner"), Anywhere),
        word("musl", Libc(Family::Musl), Tag),
        word("nanoserver", Windows, Anywhere),
        word("noble", Glibc("Ubuntu"), Tag),
        word("opensuse", Glibc("openSUSE"), Anywhere),
        word("oraclelinux", Glibc("Oracle Linux"), Anywhere),
        word("photon", Glibc("Photon OS"), Tag),
        word("redhat", Glibc("Red Hat"), Tag),
        word("resolute", Glibc("Ubuntu"), Tag),
        word("rhel", Glibc("Red Hat Enterprise Linux"), Tag),
        word("rocky", Glibc("Rocky Linux"), TagNumbered),
        word("rockylinux", Glibc("Rocky Linux"), Anywhere),
        word("scratch", Scratch, Tag),
        word("servercore", Windows, Anywhere),
        word("sid", Glibc("Debian"), Tag),
        word("sles", Glibc("SUSE Linux"), Tag),
        word("stretch", Glibc("Debian"), Tag),
        word("trixie", Glibc("Debian"), Tag),
        word("trusty", Glibc("Ubuntu"), Tag),
        word("tumbleweed", Glibc("openSUSE"), Tag),
        word("ubi", Glibc("Red Hat UBI"), Anywhere),
        word("ubuntu", Glibc("Ubuntu"), Anywhere),
        word("uclibc", Libc(Family::Uclibc), Anywhere),
        word("wheezy", Glibc("Debian"), Tag),
        word("windows", Windows, Anywhere),
        word("windowsservercore", Windows, Anywhere),
        word("wolfi", Glibc("Wolfi"), Anywhere),
        word("xenial", Glibc("Ubuntu"), Tag),
    ]
};

/// Names of repositories with Alpine itself, whose tags are Alpine's releases.
const ALPINE_ITSELF: &[&str] = &["alpine", "baseimage-alpine"];

/// Words in names of repositories whose programs are built for glibc alone, so that their images add it to Alpine: Deno
/// (denoland/deno_docker@b7864b7 alpine.dockerfile), Conda (ContinuumIO/docker-images@dc64b23), ClickHouse (ClickHouse/ClickHouse@00003f7
/// docker/server/Dockerfile.alpine), the JDKs of Oracle and AdoptOpenJDK (AdoptOpenJDK/openjdk-docker@e499808
/// 11/jdk/alpine/Dockerfile.hotspot.releases.full), and what is named after them.
const GLIBC_PROGRAMS: &[&str] =
    &["adoptopenjdk", "anaconda", "clickhouse", "conda", "deno", "mambaforge", "miniconda", "miniforge", "oraclejdk"];

/// Words in names of repositories that serve a distribution or build for it, but need not be built on it.
const TOOL_WORDS: &[&str] = &["builder", "cross", "mirror"];

/// The hints in the words of one name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NameHints {
    /// The first word that names a resolver, and its part of the reference.
    first: Option<(&'static Word, Part)>,
    /// The first word that names another resolver.
    other: Option<&'static Word>,
    release: Option<Release>,
    windows: Option<(&'static Word, Part)>,
    distroless: bool,
    /// The word `static`, which counts beside `distroless` only.
    without_libc: bool,
    /// The words `libc`, `cc` or `base`, which count beside `distroless` only.
    with_libc: bool,
    /// The word `rust`: `rust-musl` is the target of a compiler, not what the image has.
    rust: bool,
    /// One of [`TOOL_WORDS`].
    tool: bool,
    /// One of [`GLIBC_PROGRAMS`].
    glibc_program: bool,
}

// === impl Word ===

impl Word {
    fn find(letters: &str) -> Option<&'static Self> {
        let lower = |text: &str, at: usize| text.as_bytes().get(at).map(u8::to_ascii_lowercase);
        let order = |word: &Self| {
            let differing =
                (0..word.text.len().max(letters.len())).find(|at| lower(word.text, *at) != lower(letters, *at));
            differing.map_or(Ordering::Equal, |at| lower(word.text, at).cmp(&lower(letters, at)))
        };
        WORDS.binary_search_by(order).ok().and_then(|at| WORDS.get(at))
    }

    fn is_trusted(&self, token: &Token<'_>, part: Part) -> bool {
        let is_separate = token.alone || self.text.len() >= STANDS_ALONE_BELOW;
        is_separate
            && match self.place {
                Place::Anywhere => true,
                Place::Tag => part == Part::Tag,
                Place::TagNumbered => part == Part::Tag && !token.number.is_empty(),
            }
    }

    /// Returns the reason that names this word.
    const fn reason(&self, part: Part) -> Reason {
        let distribution = match self.meaning {
            Meaning::Glibc(distribution) => Some(distribution),
            _ => None,
        };
        Reason::Word { part, word: self.text, distribution }
    }

    /// Returns the family that this word alone means.
    pub(crate) const fn family(&self) -> Family {
        match self.meaning {
            Meaning::Alpine | Meaning::Gcompat => Family::Musl,
            Meaning::Libc(family) => family,
            Meaning::Glibc(_) => Family::Glibc,
            Meaning::Scratch => Family::Static,
            Meaning::Distroless | Meaning::Windows => Family::Unknown,
        }
    }
}

// === impl NameHints ===

impl NameHints {
    /// Returns the hints in a tag.
    pub(crate) fn in_tag(tag: &str) -> Self {
        Self::default().read_name(tag, Part::Tag)
    }

    /// Returns the hints in the last component of a reference's path. The components before it are owners and projects, without
    /// conventions; only the project `distroless` is known, also in copies.
    pub(crate) fn in_repository(reference: &Reference<'_>) -> Self {
        let name = last_component(reference);
        let mut hints = Self::default().read_name(name, Part::Repository);
        // A copy of `gcr.io/distroless/static-debian12`.
        hints.distroless |= name.starts_with("static-debian");
        hints.distroless |= reference.path().rsplit('/').nth(1) == Some("distroless");
        if let Some(tag) = reference.tag()
            && ALPINE_ITSELF.contains(&name)
        {
            hints.release = alpine_release(tag);
        }
        hints
    }

    /// Returns true if any word is a hint.
    pub(crate) const fn has_any(&self) -> bool {
        self.first.is_some() || self.windows.is_some() || self.distroless
    }

    fn read_name(mut self, name: &str, part: Part) -> Self {
        for token in tokens(name) {
            match token.letters {
                "static" => self.without_libc = true,
                "base" | "cc" | "libc" => self.with_libc = true,
                "rust" => self.rust = true,
                letters if part == Part::Repository && TOOL_WORDS.contains(&letters) => self.tool = true,
                letters if part == Part::Repository && GLIBC_PROGRAMS.contains(&letters) => self.glibc_program = true,
                _ => {}
            }
            if let Some(word) = Word::find(token.letters).filter(|word| word.is_trusted(&token, part)) {
                self.read_word(word, part, &token);
            }
        }
        self
    }

    fn read_word(&mut self, word: &'static Word, part: Part, token: &Token<'_>) {
        match word.meaning {
            Meaning::Windows => self.windows = self.windows.or(Some((word, part))),
            Meaning::Distroless => self.distroless = true,
            // gcompat does not change the resolver.
            Meaning::Gcompat => {}
            Meaning::Alpine => {
                self.release = self.release.or_else(|| token.alpine_release());
                self.decide(word, part);
            }
            Meaning::Libc(_) | Meaning::Glibc(_) | Meaning::Scratch => self.decide(word, part),
        }
    }

    fn decide(&mut self, word: &'static Word, part: Part) {
        match self.first {
            None => self.first = Some((word, part)),
            Some((first, _)) if first.family() != word.family() => self.other = self.other.or(Some(word)),
            // `alpine` is more precise than `musl`.
            Some((first, _)) if word.meaning == Meaning::Alpine && first.meaning != Meaning::Alpine => {
                self.first = Some((word, part));
            }
            Some(_) => {}
        }
    }

    /// Adds the hints in another name of the same image, which rank below those of `self`.
    pub(crate) fn with(mut self, also: &Self) -> Self {
        if let Some((word, part)) = also.first {
            self.decide(word, part);
        }
        self.other = self.other.or(also.other);
        self.release = self.release.or(also.release);
        self.windows = self.windows.or(also.windows);
        self.distroless |= also.distroless;
        self.without_libc |= also.without_libc;
        self.with_libc |= also.with_libc;
        self.rust |= also.rust;
        self.tool |= also.tool;
        self.glibc_program |= also.glibc_program;
        self
    }

    /// Returns the fingerprint that the hints suggest; `None` if they suggest nothing.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        if let Some((word, part)) = self.windows {
            return Some(Fingerprint::unknown(Reason::Windows { part, word: word.text }));
        }
        // `static-debian12` is distroless, and Debian only in its package lists.
        if self.distroless && self.without_libc && !self.with_libc {
            return Some(self.distroless());
        }
        match (self.first, self.other) {
            (Some((first, _)), Some(other)) => Some(conflict(first, other)),
            (Some((word, part)), None) => self.single(word, part),
            (None, _) => self.distroless.then(|| self.distroless()),
        }
    }

    fn single(&self, word: &'static Word, part: Part) -> Option<Fingerprint> {
        // The name of a toolchain says what it builds, the name of a mirror what it serves.
        let builds_for_musl = word.meaning == Meaning::Libc(Family::Musl) && (self.rust || self.tool);
        if builds_for_musl || (self.tool && part == Part::Repository) {
            return None;
        }
        Some(match word.meaning {
            Meaning::Alpine if self.glibc_program => Fingerprint::unknown(Reason::GlibcBesideMusl),
            Meaning::Alpine => {
                let (resolver, release) = alpine_resolver(self.release);
                Fingerprint::assumed(resolver, Reason::Alpine { part, release })
            }
            _ => Fingerprint::assumed(word.family().unversioned(), word.reason(part)),
        })
    }

    fn distroless(&self) -> Fingerprint {
        match (self.without_libc, self.with_libc) {
            (true, false) => {
                Fingerprint::assumed(Family::Static.unversioned(), Reason::Distroless { libc: Some(false) })
            }
            (false, true) => Fingerprint::assumed(Family::Glibc.unversioned(), Reason::Distroless { libc: Some(true) }),
            _ => Fingerprint::unknown(Reason::Distroless { libc: None }),
        }
    }
}

/// Returns the fingerprint for two words that name different resolvers.
fn conflict(first: &'static Word, other: &'static Word) -> Fingerprint {
    let has = |family: Family| first.family() == family || other.family() == family;
    let names_libc = |word: &Word| word.meaning == Meaning::Libc(Family::Glibc);
    Fingerprint::unknown(if has(Family::Musl) && (names_libc(first) || names_libc(other)) {
        Reason::GlibcBesideMusl
    } else {
        Reason::Conflict { one: first.text, other: other.text }
    })
}

/// Returns the resolver of an Alpine release, and the release if its musl is known.
pub(crate) fn alpine_resolver(release: Option<Release>) -> (Resolver, Option<Release>) {
    match release.and_then(|release| Some((release, release.musl()?))) {
        Some((release, musl)) => (Family::Musl.at(musl), Some(release)),
        None => (Family::Musl.unversioned(), None),
    }
}

/// Returns the last component of a reference's path.
pub(crate) fn last_component<'a>(reference: &Reference<'a>) -> &'a str {
    let path = reference.path();
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
