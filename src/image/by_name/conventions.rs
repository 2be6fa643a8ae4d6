//! What the words in a name tell, whoever publishes it: `20-alpine3.18`, `bookworm-slim`, `ubi9`, `nanoserver`. Adding a word is adding
//! a line to `WORDS`. Must not know any publisher.

use std::cmp::Ordering;

use super::tag::alpine_release;
use super::words::{Piece, pieces};
use crate::image::fingerprint::Fingerprint;
use crate::image::reason::{Part, Reason};
use crate::image::reference::Reference;
use crate::resolver::alpine::Release;
use crate::resolver::{Family, Resolver};

/// A word that tells what an image is built on.
#[derive(Debug)]
pub(crate) struct Word {
    /// The word, in lower case.
    pub(crate) text: &'static str,
    pub(crate) meaning: Meaning,
    place: Place,
}

/// What a word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Alpine Linux, so musl; a number behind it is the release.
    Alpine,
    /// The C library itself.
    Libc(Family),
    /// A distribution, all of whose releases have glibc.
    Glibc(&'static str),
    /// Nothing but the program.
    Scratch,
    /// Either glibc or nothing: other words tell which.
    Distroless,
    /// A layer that lets glibc programs run on musl: the resolver stays musl's.
    Gcompat,
    /// Windows.
    Windows,
}

/// Where a word is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In tags and in names of repositories.
    Anywhere,
    /// In tags only: as the name of a repository it means something else too often.
    Tag,
    /// In tags, with a number directly behind it.
    TagNumbered,
}

/// Words shorter than this are trusted only where they stand alone: `deb12` may be part of a commit, `2201ubuntu18.04` is a package's version.
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

/// Names of repositories that hold Alpine itself, whose tags are Alpine's releases.
const ALPINE_ITSELF: &[&str] = &["alpine", "baseimage-alpine"];

/// In a repository's name: it is about the distribution, or builds for it, and need not be built on it.
const ABOUT: &[&str] = &["builder", "cross", "mirror"];

/// What the words of one name tell, taken together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signs {
    /// The first word that decides, and where it stands.
    first: Option<(&'static Word, Part)>,
    /// The first word that says otherwise.
    other: Option<&'static Word>,
    release: Option<Release>,
    windows: Option<&'static Word>,
    distroless: bool,
    gcompat: bool,
    /// The word `static`, which helps `distroless` only.
    bare: bool,
    /// The words `libc`, `cc` or `base`, likewise.
    with_libc: bool,
    /// The word `rust`: `rust-musl` is what a compiler builds for, not what the image holds.
    rust: bool,
    about: bool,
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

    fn is_trusted(&self, piece: &Piece<'_>, part: Part) -> bool {
        let stands = piece.alone || self.text.len() >= STANDS_ALONE_BELOW;
        stands
            && match self.place {
                Place::Anywhere => true,
                Place::Tag => part == Part::Tag,
                Place::TagNumbered => part == Part::Tag && !piece.number.is_empty(),
            }
    }

    /// The reason that names this word.
    const fn reason(&self, part: Part) -> Reason {
        let names = match self.meaning {
            Meaning::Glibc(distribution) => Some(distribution),
            _ => None,
        };
        Reason::Word { part, word: self.text, names }
    }

    /// The family that this word alone means.
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

// === impl Signs ===

impl Signs {
    /// The words of a reference's tag.
    pub(crate) fn in_tag(tag: &str) -> Self {
        Self::default().read(tag, Part::Tag)
    }

    /// The words of the last component of a reference's path. What stands before it is an owner or a project, and no convention.
    pub(crate) fn in_repository(reference: &Reference<'_>) -> Self {
        let name = last_component(reference);
        let mut signs = Self::default().read(name, Part::Repository);
        if let Some(tag) = reference.tag()
            && ALPINE_ITSELF.contains(&name)
        {
            signs.release = alpine_release(tag);
        }
        signs
    }

    /// Whether any word told anything.
    pub(crate) const fn any(&self) -> bool {
        self.first.is_some() || self.windows.is_some() || self.distroless
    }

    fn read(mut self, name: &str, part: Part) -> Self {
        for piece in pieces(name) {
            match piece.letters {
                "static" => self.bare = true,
                "base" | "cc" | "libc" => self.with_libc = true,
                "rust" => self.rust = true,
                letters if part == Part::Repository && ABOUT.contains(&letters) => self.about = true,
                _ => {}
            }
            if let Some(word) = Word::find(piece.letters).filter(|word| word.is_trusted(&piece, part)) {
                self.take(word, part, &piece);
            }
        }
        self
    }

    fn take(&mut self, word: &'static Word, part: Part, piece: &Piece<'_>) {
        match word.meaning {
            Meaning::Windows => self.windows = self.windows.or(Some(word)),
            Meaning::Distroless => self.distroless = true,
            Meaning::Gcompat => self.gcompat = true,
            Meaning::Alpine => {
                self.release = self.release.or_else(|| piece.alpine_release());
                self.decide(word, part);
            }
            Meaning::Libc(_) | Meaning::Glibc(_) | Meaning::Scratch => self.decide(word, part),
        }
    }

    fn decide(&mut self, word: &'static Word, part: Part) {
        match self.first {
            None => self.first = Some((word, part)),
            Some((first, _)) if first.family() != word.family() => self.other = self.other.or(Some(word)),
            // `alpine` says more than `musl`.
            Some((first, _)) if word.meaning == Meaning::Alpine && first.meaning != Meaning::Alpine => {
                self.first = Some((word, part));
            }
            Some(_) => {}
        }
    }

    /// Adds what another name of the same image tells; what `self` says comes first.
    pub(crate) fn and(mut self, also: &Self) -> Self {
        if let Some((word, part)) = also.first {
            self.decide(word, part);
        }
        self.other = self.other.or(also.other);
        self.release = self.release.or(also.release);
        self.windows = self.windows.or(also.windows);
        self.distroless |= also.distroless;
        self.gcompat |= also.gcompat;
        self.bare |= also.bare;
        self.with_libc |= also.with_libc;
        self.rust |= also.rust;
        self.about |= also.about;
        self
    }

    /// What the words amount to; `None` where they tell nothing.
    pub(crate) fn verdict(&self) -> Option<Fingerprint> {
        if let Some(word) = self.windows {
            return Some(Fingerprint::unknown(Reason::Windows { word: word.text }));
        }
        match (self.first, self.other) {
            (Some((first, _)), Some(other)) => Some(self.conflict(first, other)),
            (Some((word, part)), None) => self.single(word, part),
            (None, _) => self.distroless.then(|| self.distroless()),
        }
    }

    fn single(&self, word: &'static Word, part: Part) -> Option<Fingerprint> {
        // A toolchain is named for what it builds, a mirror for what it serves.
        let builds_for_musl = word.meaning == Meaning::Libc(Family::Musl) && (self.rust || self.about);
        if builds_for_musl || (self.about && part == Part::Repository) {
            return None;
        }
        Some(match word.meaning {
            Meaning::Alpine => {
                let (resolver, release) = alpine(self.release);
                Fingerprint::assumed(resolver, Reason::Alpine { part, release })
            }
            _ => Fingerprint::assumed(word.family().unversioned(), word.reason(part)),
        })
    }

    fn conflict(&self, first: &'static Word, other: &'static Word) -> Fingerprint {
        let has = |family: Family| first.family() == family || other.family() == family;
        let names_libc = |word: &Word| word.meaning == Meaning::Libc(Family::Glibc);
        Fingerprint::unknown(if has(Family::Musl) && (names_libc(first) || names_libc(other)) {
            Reason::GlibcBesideMusl
        } else {
            Reason::Conflict { one: first.text, other: other.text }
        })
    }

    fn distroless(&self) -> Fingerprint {
        match (self.bare, self.with_libc) {
            (true, false) => {
                Fingerprint::assumed(Family::Static.unversioned(), Reason::Distroless { libc: Some(false) })
            }
            (false, true) => Fingerprint::assumed(Family::Glibc.unversioned(), Reason::Distroless { libc: Some(true) }),
            _ => Fingerprint::unknown(Reason::Distroless { libc: None }),
        }
    }
}

/// The resolver of an Alpine release, and the release if its musl is known.
pub(crate) fn alpine(release: Option<Release>) -> (Resolver, Option<Release>) {
    match release.and_then(|release| Some((release, release.musl()?))) {
        Some((release, musl)) => (Family::Musl.at(musl), Some(release)),
        None => (Family::Musl.unversioned(), None),
    }
}

fn last_component<'a>(reference: &Reference<'a>) -> &'a str {
    let path = reference.path();
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
