//! Which resolver a program of one kind uses. Must not know how the program was started.

use super::facts::ImageFacts;
use super::files::c_ares::CAres;
use super::files::go_build::GoBuild;
use super::files::libc::{Libc, LibcKind};
use super::loader::VersionSource;
use super::program_kind::ProgramKind;
use crate::resolver::go::{Netdns, netdns};
use crate::resolver::{Cgo, Family, Resolver};

/// The process of a container, as far as it resolves names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The resolver; for a Go program with cgo, also the C library that it may call.
    pub resolver: Resolver,
    /// The reason, as the end of a sentence.
    pub reason: String,
}

/// The reason why the resolver of a process is unknown, as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unknown {
    pub(crate) reason: String,
}

/// The answer to the question which resolver a process uses.
pub(crate) type Answer = Result<Process, Unknown>;

/// A program whose kind is known.
pub(crate) struct Program<'a> {
    pub(crate) facts: &'a ImageFacts,
    /// The subject of the sentence that says why: the program's path.
    pub(crate) subject: &'a str,
    /// The pod's `GODEBUG`, if the pod sets it.
    pub(crate) godebug: Option<&'a str>,
}

pub(crate) fn known(resolver: Resolver, reason: String) -> Answer {
    Ok(Process { resolver, reason })
}

pub(crate) fn unknown<T>(reason: impl Into<String>) -> Result<T, Unknown> {
    Err(Unknown { reason: reason.into() })
}

/// Returns the answer that all have in common; `None` if one is unknown or two are of different kinds. Asks for no answer after such a one.
pub(crate) fn common_answer(answers: impl IntoIterator<Item = Answer>) -> Option<Process> {
    let mut answers = answers.into_iter();
    let first = answers.next()?.ok()?;
    answers.try_fold(first, |one, other| one.in_common(&other.ok()?))
}

// === impl Process ===

impl Process {
    /// Returns what two processes have in common; `None` if their resolvers are of different kinds.
    pub(crate) fn in_common(self, other: &Self) -> Option<Self> {
        let Self { resolver: Resolver { family, version, cgo }, reason } = self;
        let same_cgo = if cgo == other.resolver.cgo { cgo } else { Cgo::Unknown };
        let version = version.filter(|_| version == other.resolver.version);
        (family == other.resolver.family)
            .then_some(Self { resolver: Resolver { family, version, cgo: same_cgo }, reason })
    }
}

// === impl Program ===

impl Program<'_> {
    /// Returns the resolver of a program of this kind.
    pub(crate) fn resolver(&self, kind: &ProgramKind) -> Answer {
        let Self { subject, .. } = self;
        match kind {
            kind if kind.c_ares() == Some(CAres::Envoy) => known(
                Family::CAres.unversioned(),
                format!("{subject} is Envoy, which resolves names by the c-ares in it"),
            ),
            ProgramKind::Dynamic { loader, go, getaddrinfo, c_ares: _ } => {
                self.dynamic(loader, go.as_ref(), *getaddrinfo)
            }
            ProgramKind::Static { libc, go: Some(build), c_ares: _ } => self.go(build, *libc, libc.is_some()),
            ProgramKind::Static { libc: Some(libc), go: None, c_ares: _ } => {
                known(libc.resolver(), format!("{subject} is static and contains {libc}"))
            }
            ProgramKind::Static { libc: None, go: None, c_ares: _ } => known(
                Family::Static.unversioned(),
                format!("{subject} is static and contains no C library that muslin knows"),
            ),
            ProgramKind::Loader(libc) => known(libc.resolver(), format!("{subject} is {libc} itself")),
            ProgramKind::Unreadable(reason) => unknown(format!("{subject} cannot be read: {reason}")),
            ProgramKind::Script(_) | ProgramKind::ShellScript => unknown(format!("{subject} is a script")),
            ProgramKind::LeftOut => unknown(format!("{subject} is not among the programs that muslin keeps")),
        }
    }

    fn dynamic(&self, loader: &str, go: Option<&GoBuild>, getaddrinfo: bool) -> Answer {
        let Self { facts, subject, .. } = self;
        let libc = facts.libc_of_loader(loader);
        // A layer that was not read may hold the loader or state its release. It cannot outrank a loader that states its release.
        let may_change = facts.partial && libc.is_none_or(|(libc, _)| libc.version.is_none());
        if may_change && go.and_then(GoBuild::is_pure) != Some(true) {
            return unknown("not all of the image was read");
        }
        match (go, libc) {
            (Some(build), libc) => self.go(build, libc.map(|(libc, _)| libc), getaddrinfo),
            (None, Some((libc, source))) => {
                let source = source.map_or("", VersionSource::phrase);
                known(libc.resolver(), format!("{subject} is loaded by `{loader}`, which is {libc}{source}"))
            }
            (None, None) => unknown(match LibcKind::of_loader_name(loader) {
                Some(kind) => format!(
                    "{subject} asks for the loader `{loader}`, whose name means {}, but the image has no loader there \
                     that muslin knows",
                    kind.family().name()
                ),
                None => format!("{subject} asks for the loader `{loader}`, which is not a known C library"),
            }),
        }
    }

    /// Returns the resolver of a Go program. With cgo, Go's resolver comes first on Linux; the C library's is used if a setting says
    /// so, or if Go's cannot do what resolv.conf or nsswitch.conf ask for (go1.26.8 `src/net/conf.go`).
    pub(crate) fn go(&self, build: &GoBuild, libc: Option<Libc>, getaddrinfo: bool) -> Answer {
        let Self { facts, subject, godebug } = self;
        let go = Resolver { family: Family::Go, version: build.version, cgo: Cgo::Unknown };
        let builder = if build.version.is_some() { go.to_string() } else { "Go".to_owned() };
        let pure = go.with_cgo(Cgo::Absent);
        let because = |rest: &str| format!("{subject} was built by {builder}{rest}");
        if build.is_pure() == Some(true) {
            return known(pure, because(if build.netgo { " with the tag netgo" } else { " without cgo" }));
        }
        let Some(libc) = libc else {
            return if getaddrinfo {
                unknown(because(" with cgo, and its C library is unknown"))
            } else {
                known(pure, because(", and has no C library to call"))
            };
        };
        if !getaddrinfo {
            return known(pure, because(&format!(", and does not call getaddrinfo of {libc}")));
        }
        let of_container = godebug.or_else(|| facts.config.env.get("GODEBUG").map(String::as_str));
        let of_program = || build.netdns.as_deref().and_then(|value| netdns(&format!("netdns={value}")));
        match of_container.and_then(netdns).or_else(of_program) {
            Some(Netdns::Cgo) => known(libc.resolver(), because(" with cgo, and netdns=cgo is set")),
            Some(Netdns::Go) => known(pure, because(" with cgo, and netdns=go is set")),
            None if build.netcgo => known(libc.resolver(), because(" with the tag netcgo")),
            None => known(
                go.with_cgo(Cgo::Linked { libc: libc.kind.family(), version: libc.version }),
                because(&format!(" with cgo, and calls {libc} where its own resolver is not enough")),
            ),
        }
    }
}
