//! The names that a resolver queries when a program gives it one, their order, and the answers that end a lookup. Knows
//! nothing of time, nor of what the names mean. Aliases, `/etc/hosts` and glibc's `no-tld-query` are not modelled.

use std::borrow::Cow;

use super::answer::{Answer, Step};
use super::family::Resolver;
use super::options_line;
use super::stub::{SearchLimit, Stub};
use super::stubs::stub;

/// The result of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name that had an address, without a trailing dot; `None` if the lookup failed.
    pub found: Option<String>,
    /// The number of queries, A and AAAA counted apart; repeated ones are not counted.
    pub queries: u32,
}

/// Returns the names that `resolver` queries when a program gives it `name`, in order, until one of them ends the
/// lookup. They have no trailing dot, except the malformed `name..` that musl before 1.2.4 and uClibc query if the
/// search list holds a `.`. Empty for a name that no resolver queries, such as `a..`, and for an unknown resolver.
pub fn query_names<'a>(resolver: Resolver, name: &'a str, ndots: u32, search: &[&'a str]) -> Vec<Cow<'a, str>> {
    stub(resolver.family).map_or_else(Vec::new, |stub| QueryNames::new(stub, resolver, name, ndots, search).names)
}

/// Returns the result of a lookup of `name`, where `answer` gives a nameserver's answer to each name. `None` if the
/// resolver is unknown.
pub fn lookup(
    resolver: Resolver,
    name: &str,
    ndots: u32,
    search: &[&str],
    answer: impl Fn(&str) -> Answer,
) -> Option<Lookup> {
    let stub = stub(resolver.family)?;
    let QueryNames { names, as_is } = QueryNames::new(stub, resolver, name, ndots, search);
    let (mut queries, mut index) = (0, 0);
    while let Some(name) = names.get(index) {
        queries += 2;
        let answer = if name.ends_with("..") { Answer::Timeout } else { answer(name) };
        index = match stub.step(resolver, name, as_is == Some(index), answer) {
            Step::Found => return Some(Lookup { found: Some(name.clone().into_owned()), queries }),
            Step::Next => index + 1,
            Step::AsIs => as_is.filter(|as_is| *as_is > index).unwrap_or(names.len()),
            Step::Stop => names.len(),
        };
    }
    Some(Lookup { found: None, queries })
}

/// Returns true if `name` resolves, where `answer` gives a nameserver's answer to each name. `None` if the resolver is
/// unknown.
pub fn resolves(
    resolver: Resolver,
    name: &str,
    ndots: u32,
    search: &[&str],
    answer: impl Fn(&str) -> Answer,
) -> Option<bool> {
    lookup(resolver, name, ndots, search, answer).map(|lookup| lookup.found.is_some())
}

/// The number of these search domains that `resolver` reads whole: fewer than given if the list is too long for it, none
/// if it never searches, as musl before 1.1.13.
pub fn search_domains_read(resolver: Resolver, search: &[&str]) -> usize {
    stub(resolver.family).map_or(search.len(), |stub| {
        search_list(stub, resolver, search).zip(search).take_while(|(read, given)| read == *given).count()
    })
}

/// The search list as the resolver keeps it.
fn search_list<'a>(stub: &dyn Stub, resolver: Resolver, search: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let SearchLimit { domains, bytes } = stub.search_limit(resolver, options_line::length(search));
    options_line::cut(search, bytes).take(domains)
}

/// The names to query, in order.
struct QueryNames<'a> {
    names: Vec<Cow<'a, str>>,
    /// Index of the name as the program gave it; `None` if a `.` in the search list takes its place.
    as_is: Option<usize>,
}

// === impl QueryNames ===

impl<'a> QueryNames<'a> {
    fn new(stub: &dyn Stub, resolver: Resolver, name: &'a str, ndots: u32, search: &[&'a str]) -> Self {
        let unrooted = name.strip_suffix('.').unwrap_or(name);
        if unrooted.is_empty() || unrooted.ends_with('.') {
            return Self { names: Vec::new(), as_is: None };
        }
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let enough_dots = dots >= usize::try_from(stub.ndots(resolver, ndots)).unwrap_or(usize::MAX);
        let is_rooted = unrooted.len() < name.len();
        if is_rooted || (enough_dots && !stub.searches_dotted_names()) {
            return Self { names: vec![Cow::Borrowed(unrooted)], as_is: Some(0) };
        }
        let mut names = Vec::with_capacity(search.len() + 1);
        if enough_dots {
            names.push(Cow::Borrowed(unrooted));
        }
        let mut root_listed = false;
        for domain in search_list(stub, resolver, search).filter(|domain| !domain.is_empty()) {
            root_listed |= domain == ".";
            names.extend(stub.search_name(resolver, unrooted, domain));
        }
        let replaced = root_listed && stub.root_domain_replaces_name();
        let as_is = match (enough_dots, replaced) {
            (true, _) => Some(0),
            (false, true) => None,
            (false, false) => {
                names.push(Cow::Borrowed(unrooted));
                Some(names.len() - 1)
            }
        };
        Self { names, as_is }
    }
}
