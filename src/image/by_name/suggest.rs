//! The resolver that a reference alone suggests. Only this file knows the order of trust; `conventions.rs` and `publishers` have the
//! knowledge. Runs for each container of each review, so it allocates and formats nothing. Must not guess: without a hint, or with two
//! that differ, the answer is unknown.

use super::conventions::{NameHints, alpine_resolver, last_component};
use super::publishers::lookup::{self, RepositoryRows};
use super::publishers::row::{Base, Build, Program, Row};
use super::tag::{TagVersion, alpine_release};
use crate::image::fingerprint::{Fingerprint, SecondResolver};
use crate::image::reason::Reason;
use crate::image::reference::Reference;
use crate::resolver::alpine::Release;
use crate::resolver::{Cgo, Family};

/// Programs that only start others, also in an image with nothing but its own programs: the `debug` variants of distroless have them.
const SHELLS: &[&str] = &["ash", "bash", "busybox", "sh"];

/// The first Alpine whose curl asks by c-ares (alpinelinux/docker-alpine#366, c-ares/c-ares#683, curl/curl#12558). The curl of
/// curlimages/curl is built without c-ares (curl/curl-container@068ec09 Makefile `build_opts`, curl/curl-container#59).
const CURL_HAS_C_ARES_SINCE: Release = Release::new(3, 19);
/// The programs of such an Alpine that ask by c-ares.
pub(crate) const ALPINE_PROGRAMS_WITH_C_ARES: [&str; 1] = ["curl"];
/// The reason for c-ares in such an Alpine.
const CURL_OF_ALPINE: Reason = Reason::Fixed("curl of Alpine asks by c-ares since Alpine 3.19");

/// Returns what an image name, as written in a pod, suggests for the image's own program. A text that is no reference suggests nothing.
pub fn assume(image: &str) -> Fingerprint {
    assume_started(image, None)
}

/// Returns what an image name suggests for a container whose `command` begins with this word; `None` for the image's own program.
pub fn assume_started(image: &str, command: Option<&str>) -> Fingerprint {
    match Reference::parse(image) {
        Ok(reference) => suggest_started(&reference, command),
        Err(_) => Fingerprint::unknown(Reason::Fixed("it is not an image name")),
    }
}

/// Returns the resolver that a reference suggests for the image's own program.
pub fn suggest(reference: &Reference<'_>) -> Fingerprint {
    suggest_started(reference, None)
}

/// Returns the resolver that a reference suggests, with evidence `assumed`, or `none` if it is unknown.
///
/// In order of trust: a publisher's row for exactly this repository and tag; the words of the tag; the publisher's row for the
/// repository; the words of the repository's name. A tag is trusted also beside a digest. A digest alone suggests something only if
/// all images of the repository are alike.
///
/// A program with its own resolver, which only publishers' rows know, outranks the base, unless `command` starts another program.
fn suggest_started(reference: &Reference<'_>, command: Option<&str>) -> Fingerprint {
    let version = TagVersion::new(reference);
    let known = lookup::find(reference);
    let base = suggest_base(reference, version, known);
    match known.and_then(|known| Some((known, known.program(version, reference.tag())?))) {
        Some((known, row)) if !base.is_windows() && command.is_none_or(|command| is_own(command, reference, row)) => {
            program_fingerprint(known, row, &base)
        }
        _ => with_curl_of_alpine(base, command),
    }
}

/// Returns what the base suggests, with c-ares in place of the base's library or beside it if a program of Alpine uses that.
fn with_curl_of_alpine(base: Fingerprint, command: Option<&str>) -> Fingerprint {
    let release = base.reason.alpine_release().filter(|_| base.resolver.family == Family::Musl);
    if release.is_none_or(|release| release < CURL_HAS_C_ARES_SINCE) {
        return base;
    }
    let resolver = Family::CAres.unversioned();
    if command.is_some_and(|command| ALPINE_PROGRAMS_WITH_C_ARES.contains(&program_of(command))) {
        return Fingerprint::assumed(resolver, CURL_OF_ALPINE);
    }
    let second = SecondResolver { resolver, in_program: false, reason: CURL_OF_ALPINE };
    Fingerprint { beside: Some(second), ..base }
}

/// Returns the resolver of the base that a reference suggests.
fn suggest_base(reference: &Reference<'_>, version: TagVersion, known: Option<RepositoryRows>) -> Fingerprint {
    let row = |overrides_tag: bool| {
        let fits = |row: &&Row| row.overrides_tag_words() == overrides_tag && row.fits(version, reference.tag());
        known.and_then(|known| Some((known, known.rows.iter().find(fits)?)))
    };
    if let Some((known, row)) = row(true) {
        return base_fingerprint(known, row, reference);
    }
    let tag = reference.tag().map(NameHints::in_tag).unwrap_or_default();
    if tag.has_any()
        && let Some(fingerprint) = tag.with(&NameHints::in_repository(reference)).fingerprint()
    {
        return fingerprint;
    }
    if let Some((known, row)) = row(false) {
        return base_fingerprint(known, row, reference);
    }
    match NameHints::in_repository(reference).fingerprint() {
        Some(fingerprint) => fingerprint,
        None if known.is_some() && version == TagVersion::None => Fingerprint::unknown(Reason::DigestOnly),
        None => Fingerprint::unknown(Reason::NoHint),
    }
}

fn base_fingerprint(known: RepositoryRows, row: &'static Row, reference: &Reference<'_>) -> Fingerprint {
    let reason = |release| Reason::Publisher { registry: known.registry, row, release };
    let assumed = |family: Family| Fingerprint::assumed(family.unversioned(), reason(None));
    match row.base {
        Base::AlpineItself => {
            let (resolver, release) = alpine_resolver(reference.tag().and_then(alpine_release));
            Fingerprint::assumed(resolver, reason(release))
        }
        Base::Alpine => assumed(Family::Musl),
        Base::Glibc(_) => assumed(Family::Glibc),
        Base::Uclibc(_) => assumed(Family::Uclibc),
        Base::Bare(_) => assumed(Family::Static),
        Base::GlibcBesideMusl | Base::Several | Base::Windows => Fingerprint::unknown(reason(None)),
    }
}

fn program_fingerprint(known: RepositoryRows, row: &'static Row, base: &Fingerprint) -> Fingerprint {
    let resolver = match row.program {
        Program::Go(build) => Family::Go.unversioned().with_cgo(match (build, base.resolver.family) {
            (Build::WithoutCgo, _) => Cgo::Absent,
            (Build::WithCgo, libc @ (Family::Glibc | Family::Musl)) => Cgo::Linked { libc, version: None },
            (Build::WithCgo | Build::Unknown, _) => Cgo::Unknown,
        }),
        Program::CAres => Family::CAres.unversioned(),
        Program::Glibc => Family::Glibc.unversioned(),
        Program::OfBase => return base.clone(),
    };
    Fingerprint::assumed(resolver, Reason::Program { registry: known.registry, row })
}

/// Returns true if a pod's command seems to start the image's own program. An image without a C library has no others, except shells.
fn is_own(command: &str, reference: &Reference<'_>, row: &Row) -> bool {
    let program = program_of(command);
    match row.base {
        Base::Bare(_) => !SHELLS.contains(&program),
        _ => is_named_like(program, last_component(reference)) || is_named_like(last_component(reference), program),
    }
}

/// Returns the name of a command's program, without folders.
fn program_of(command: &str) -> &str {
    command.rsplit_once('/').map_or(command, |(_, program)| program)
}

/// Returns true if a name has another one as its first or last words, as `argocd-server` has `argocd`. `_` is as good as `-`.
fn is_named_like(name: &str, part: &str) -> bool {
    let is_same = |(one, other): (u8, u8)| one == other || (matches!(one, b'-' | b'_') && matches!(other, b'-' | b'_'));
    let (longer, part) = (name.as_bytes(), part.as_bytes());
    let Some(rest) = longer.len().checked_sub(part.len()).filter(|_| !part.is_empty()) else { return false };
    let separates = |at: usize| longer.get(at).is_some_and(|byte| matches!(byte, b'-' | b'_'));
    let begins = longer.iter().copied().zip(part.iter().copied()).all(is_same);
    let ends = longer.iter().copied().skip(rest).zip(part.iter().copied()).all(is_same);
    (begins && (rest == 0 || separates(part.len()))) || (ends && separates(rest.wrapping_sub(1)))
}
