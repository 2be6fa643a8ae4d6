//! Which names a resolver asks for when a program gives it one, in which order, and which answers make it stop. Knows
//! nothing of time, nor of what the names mean. Aliases, `/etc/hosts` and glibc's `no-tld-query` are not modelled.

use std::borrow::Cow;

use super::stubs::{c_ares, glibc, musl, uclibc};
use super::{Family, Resolver, options_line};

/// What a nameserver says to the queries for one name, A and AAAA taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It has an address.
    Address,
    /// There is no such name.
    NxDomain,
    /// There is such a name, but it has no address.
    NoData,
    /// The nameserver failed.
    ServFail,
    /// No answer came.
    Timeout,
}

/// How a lookup went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name that had an address, without a trailing dot; `None` where the lookup failed.
    pub found: Option<String>,
    /// How many queries it took, A and AAAA counted apart; repeated ones are not counted.
    pub queries: u32,
}

/// The names that `resolver` asks for when a program gives it `name`, in order, until one of them ends the lookup. They
/// have no trailing dot, but for the malformed `name..` that musl before 1.2.4 and uClibc ask for where the search list
/// holds a `.`. Empty for a name that no resolver asks for, such as `a..`, and for a resolver that is not known.
pub fn candidates<'a>(resolver: Resolver, name: &'a str, ndots: u32, search: &[&'a str]) -> Vec<Cow<'a, str>> {
    Candidates::of(resolver, name, ndots, search).names
}

/// How a lookup of `name` goes, where `answer` tells what a nameserver says to each name. `None` where the resolver is
/// not known.
pub fn lookup(
    resolver: Resolver,
    name: &str,
    ndots: u32,
    search: &[&str],
    answer: impl Fn(&str) -> Answer,
) -> Option<Lookup> {
    if matches!(resolver.family, Family::Static | Family::Unknown) {
        return None;
    }
    let Candidates { names, literal } = Candidates::of(resolver, name, ndots, search);
    let (mut queries, mut index) = (0, 0);
    while let Some(name) = names.get(index) {
        queries += 2;
        let answer = if name.ends_with("..") { Answer::Timeout } else { answer(name) };
        index = match step(resolver, name, literal == Some(index), answer) {
            Step::Found => return Some(Lookup { found: Some(name.clone().into_owned()), queries }),
            Step::Next => index + 1,
            Step::Literal => literal.filter(|literal| *literal > index).unwrap_or(names.len()),
            Step::Stop => names.len(),
        };
    }
    Some(Lookup { found: None, queries })
}

/// Whether `name` resolves, where `answer` tells what a nameserver says to each name. `None` where the resolver is not
/// known.
pub fn resolves(
    resolver: Resolver,
    name: &str,
    ndots: u32,
    search: &[&str],
    answer: impl Fn(&str) -> Answer,
) -> Option<bool> {
    lookup(resolver, name, ndots, search, answer).map(|lookup| lookup.found.is_some())
}

/// How many of these search domains `resolver` reads whole. Fewer than there are where the list is too long for it;
/// none where it never searches, as musl before 1.1.13.
pub fn search_domains_read(resolver: Resolver, search: &[&str]) -> usize {
    Candidates::domains(resolver, search).zip(search).take_while(|(read, written)| read == *written).count()
}

/// What comes after an answer.
enum Step {
    /// The lookup is done.
    Found,
    /// The next name is tried.
    Next,
    /// The name as it stands is tried, if it was not.
    Literal,
    /// The lookup has failed.
    Stop,
}

/// What `resolver` does after this answer to `name`, which may be the `literal` one, as the program gave it.
fn step(resolver: Resolver, name: &str, literal: bool, answer: Answer) -> Step {
    match (resolver.family, answer) {
        (_, Answer::Address) => Step::Found,
        (_, Answer::NxDomain) => Step::Next,
        // `if (cnt) return cnt`, where only NXDOMAIN gives 0 (src/network/lookup_name.c; measured).
        (Family::Musl, _) => Step::Stop,
        // resolv/res_query.c __res_context_search; measured.
        (Family::Glibc, Answer::Timeout) if !literal => Step::Literal,
        // src/net/dnsclient_unix.go goLookupIPCNAMEOrder; measured.
        (Family::Glibc | Family::Go, _) => Step::Next,
        // libc/inet/resolv.c __dns_lookup; not measured.
        (Family::Uclibc, Answer::ServFail) | (Family::CAres, Answer::NoData) => Step::Next,
        // src/lib/ares_getaddrinfo.c host_callback; not measured.
        (Family::CAres, Answer::ServFail) => {
            let lenient = resolver.version.is_none_or(|release| release >= c_ares::SERVFAIL_LENIENT_SINCE);
            if lenient && !name.contains('.') { Step::Next } else { Step::Stop }
        }
        (Family::Uclibc | Family::CAres | Family::Static | Family::Unknown, _) => Step::Stop,
    }
}

/// The names to ask for, in order.
struct Candidates<'a> {
    names: Vec<Cow<'a, str>>,
    /// Which of them is the name as the program gave it; `None` where a `.` in the search list takes its place.
    literal: Option<usize>,
}

// === impl Candidates ===

impl<'a> Candidates<'a> {
    fn of(resolver: Resolver, name: &'a str, ndots: u32, search: &[&'a str]) -> Self {
        let family = resolver.family;
        let literal = name.strip_suffix('.').unwrap_or(name);
        let asked = !literal.is_empty() && !literal.ends_with('.');
        if !asked || matches!(family, Family::Static | Family::Unknown) {
            return Self { names: Vec::new(), literal: None };
        }
        let ndots = if family == Family::Uclibc { uclibc::ndots(resolver) } else { ndots };
        let enough_dots =
            name.bytes().filter(|byte| *byte == b'.').count() >= usize::try_from(ndots).unwrap_or(usize::MAX);
        let rooted = literal.len() < name.len();
        if rooted || (enough_dots && family == Family::Musl) {
            return Self { names: vec![Cow::Borrowed(literal)], literal: Some(0) };
        }
        let mut names = Vec::with_capacity(search.len() + 1);
        if enough_dots {
            names.push(Cow::Borrowed(literal));
        }
        let mut root_listed = false;
        for domain in Self::domains(resolver, search).filter(|domain| !domain.is_empty()) {
            root_listed |= domain == ".";
            names.extend(Self::join(resolver, literal, domain));
        }
        let replaced = root_listed && family == Family::Glibc; // `root_on_list`, resolv/res_query.c
        let position = match (enough_dots, replaced) {
            (true, _) => Some(0),
            (false, true) => None,
            (false, false) => {
                names.push(Cow::Borrowed(literal));
                Some(names.len() - 1)
            }
        };
        Self { names, literal: position }
    }

    /// The search list as this resolver keeps it.
    fn domains(resolver: Resolver, search: &[&'a str]) -> impl Iterator<Item = &'a str> {
        let before = |version| resolver.version.is_some_and(|release| release < version);
        let (most, room) = match resolver.family {
            Family::Musl if before(musl::SEARCH_SINCE) || options_line::length(search) > musl::SEARCH_LIST_MAX => {
                (0, 0)
            }
            Family::Glibc if before(glibc::LONG_SEARCH_SINCE) => glibc::OLD_SEARCH_MAX,
            Family::Uclibc => (usize::MAX, uclibc::SEARCH_LIST_MAX),
            _ => (usize::MAX, usize::MAX),
        };
        options_line::cut(search, room).take(most)
    }

    /// The name below a search domain; `None` where this resolver passes over the pair.
    fn join(resolver: Resolver, name: &'a str, domain: &str) -> Option<Cow<'a, str>> {
        let at_least = |version| resolver.version.is_none_or(|release| release >= version);
        let length = name.len() + domain.len();
        match (resolver.family, domain) {
            (Family::Musl, ".") if at_least(musl::ROOT_SEARCH_SAFE_SINCE) => None,
            (Family::Musl | Family::Uclibc, ".") => Some(Cow::Owned(format!("{name}.."))),
            (Family::Go, ".") => None,
            (_, ".") => Some(Cow::Borrowed(name)),
            (Family::Musl, _) if length >= 255 => None, // `z-p < 256 - l - 1`, src/network/lookup_name.c
            (Family::Go, _) if length + "..".len() > 254 => None, // src/net/dnsclient_unix.go nameList
            _ => Some(Cow::Owned(format!("{name}.{}", domain.strip_suffix('.').unwrap_or(domain)))),
        }
    }
}
