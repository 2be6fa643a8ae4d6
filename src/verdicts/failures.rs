//! The lookups of the requested names that fail: by the nameservers' answers, through C libraries, and by the model of the resolvers.
//! Must not know of verdicts.

use std::fmt;
use std::net::SocketAddr;

use super::list::list;
use super::lookup_costs::{name_spellings, resolvers_to_compare, todays_lookups};
use super::observations::{AskedQuery, Code, LookupResult, Observations, QueryType, SystemLookup, Via};

/// The number of equal answers that a failure needs: none rests on one packet.
const ANSWERS_MIN: usize = 2;
/// This many unanswered queries for one name are not chance, as in `stale-nameserver`.
const SILENT_MIN: usize = 6;
/// The most lookups of one name that a line of evidence lists.
const LISTED_MAX: usize = 6;

/// A lookup of a requested name that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailedLookup {
    /// The requested name, in full.
    pub(super) name: String,
    /// The name as a program gives it.
    pub(super) spelling: String,
    /// The nameserver, the C library or the model that says so.
    pub(super) by: By,
    /// The answer or the error.
    pub(super) how: String,
    /// The cause, as far as the observations show it.
    pub(super) cause: Cause,
}

/// The one that says that a lookup fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A nameserver.
    Server(SocketAddr),
    /// `getaddrinfo` of a C library.
    Library(String),
    /// The model of a resolver, with the measured answers.
    Model(String),
}

/// The cause of a failed lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The nameserver answers that the name does not exist, or has no address.
    Denied,
    /// The nameserver answers with an error.
    Error,
    /// The nameserver sometimes answers with an address, and sometimes not.
    Sometimes,
    /// The nameserver does not answer queries for the name.
    Silence,
    /// The nameserver has an address for the full name, and the lookup with the search list does not find it.
    Search,
    /// The nameserver has an address, and the resolver does not find it by the full name.
    Resolver,
    /// The lookup was ended because it took too long.
    GivenUp,
}

/// The failed lookups that a verdict accounts for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Explains {
    /// The names; `None` is all.
    names: Option<Vec<String>>,
    causes: &'static [Cause],
}

// === impl Explains ===

impl Explains {
    /// Accounts for lookups of any name with these causes.
    pub(super) const fn all(causes: &'static [Cause]) -> Self {
        Self { names: None, causes }
    }

    /// Accounts for lookups of these names with these causes.
    pub(super) const fn these(names: Vec<String>, causes: &'static [Cause]) -> Self {
        Self { names: Some(names), causes }
    }

    /// Returns whether a failed lookup is among them.
    pub(super) fn includes(&self, failed: &FailedLookup) -> bool {
        let Self { names, causes } = self;
        let is_named = |name: &String| name.eq_ignore_ascii_case(&failed.name);
        causes.contains(&failed.cause) && names.as_ref().is_none_or(|names| names.iter().any(is_named))
    }
}

// === impl Cause ===

impl Cause {
    /// Every cause.
    pub(super) const ALL: &'static [Self] =
        &[Self::Denied, Self::Error, Self::Sometimes, Self::Silence, Self::Search, Self::Resolver, Self::GivenUp];
    /// The causes that lost or late packets can have.
    pub(super) const OF_LOSS: &'static [Self] = &[Self::Search, Self::Resolver, Self::GivenUp];
}

// === impl FailedLookup ===

impl FailedLookup {
    /// Returns `fails here: NAME (10.0.0.10: NXDOMAIN; getaddrinfo of glibc 2.36: EAI_NONAME)`.
    pub(super) fn summary(name: &str, lookups: &[&Self]) -> String {
        let mut texts: Vec<(String, Vec<&str>)> = Vec::new();
        for failed in lookups {
            let text = format!("{}: {}", failed.by, failed.how);
            match texts.iter_mut().find(|(known, _)| *known == text) {
                Some((_, spellings)) if spellings.contains(&&*failed.spelling) => {}
                Some((_, spellings)) => spellings.push(&failed.spelling),
                None => texts.push((text, vec![&failed.spelling])),
            }
        }
        let more = texts.len().saturating_sub(LISTED_MAX);
        let mut shown: Vec<String> = texts
            .into_iter()
            .take(LISTED_MAX)
            .map(|(text, spellings)| match spellings[..] {
                [spelling] if spelling == name => text,
                _ => format!("{text} for {}", list(spellings)),
            })
            .collect();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        format!("fails here: {name} ({})", shown.join("; "))
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => write!(f, "{}", server.ip()),
            Self::Library(library) => write!(f, "getaddrinfo of {library}"),
            Self::Model(resolver) => write!(f, "{resolver}, computed"),
        }
    }
}

/// Returns the failed lookups of all requested names.
pub(super) fn failed_lookups(seen: &Observations) -> Vec<FailedLookup> {
    let by_servers: Vec<FailedLookup> = seen
        .targets
        .requested()
        .flat_map(|name| seen.targets.servers.iter().filter_map(move |server| failed_by_server(seen, *server, name)))
        .collect();
    let mut failed = by_servers.clone();
    failed.extend(failed_by_libraries(seen, &by_servers));
    failed.extend(failed_by_model(seen, &by_servers));
    failed
}

/// Returns how a nameserver's answers for a name make lookups fail, if they do.
pub(super) fn failed_by_server(seen: &Observations, server: SocketAddr, name: &str) -> Option<FailedLookup> {
    let udp: Vec<&AskedQuery> = seen.queries_for(server, name, Via::Udp).collect();
    let failed = |how: String, cause: Cause| {
        Some(FailedLookup { name: name.to_owned(), spelling: name.to_owned(), by: By::Server(server), how, cause })
    };
    let answered: Vec<&AskedQuery> = udp.iter().copied().filter(|asked| asked.is_answered()).collect();
    if answered.iter().any(|asked| !asked.addresses().is_empty()) {
        return sometimes(&answered).and_then(|how| failed(how, Cause::Sometimes));
    }
    let by_tcp = || seen.queries_for(server, name, Via::Tcp).filter(|asked| asked.is_answered());
    if answered.iter().any(|asked| asked.answer().is_some_and(|answer| answer.truncated)) {
        // The rest comes by TCP.
        let has_address = by_tcp().any(|asked| !asked.addresses().is_empty());
        return if has_address { None } else { failed("a truncated answer".to_owned(), Cause::Resolver) };
    }
    if answered.len() >= ANSWERS_MIN {
        let mut texts: Vec<String> = answered.iter().map(|asked| asked.outcome_text()).collect();
        texts.sort_unstable();
        texts.dedup();
        let is_error = answered.iter().any(|asked| !asked.is_conclusive());
        return failed(list(texts), if is_error { Cause::Error } else { Cause::Denied });
    }
    (answered.is_empty() && udp.len() >= SILENT_MIN)
        .then(|| udp.first().map_or_else(String::new, |asked| asked.outcome_text()))
        .and_then(|how| failed(how, Cause::Silence))
}

/// Returns how often a name that has an address gets another answer, if that is more than once.
fn sometimes(answered: &[&AskedQuery]) -> Option<String> {
    [QueryType::A, QueryType::Aaaa].into_iter().find_map(|kind| {
        let of: Vec<&AskedQuery> = answered.iter().copied().filter(|asked| asked.kind == kind).collect();
        let has_address = of.iter().any(|asked| !asked.addresses().is_empty());
        let is_bad = |asked: &&&AskedQuery| {
            let is_empty = asked.addresses().is_empty() && !asked.answer().is_some_and(|answer| answer.truncated);
            !asked.is_conclusive() || (is_empty && (has_address || asked.code() == Some(Code::NxDomain)))
        };
        let bad: Vec<&&AskedQuery> = of.iter().filter(is_bad).collect();
        // If all fail, that is a property of the type, which the model knows.
        (bad.len() >= ANSWERS_MIN && bad.len() < of.len()).then(|| {
            let mut texts: Vec<String> = bad.iter().map(|asked| asked.outcome_text()).collect();
            texts.sort_unstable();
            texts.dedup();
            format!("{} in {} of {} answers for {}", list(texts), bad.len(), of.len(), kind.name())
        })
    })
}

/// Returns the requested name of which this is a spelling.
fn requested<'s>(seen: &'s Observations, spelling: &str) -> Option<&'s str> {
    let targets = &seen.targets;
    targets.requested().find(|name| {
        let own = |names: &[String]| names.iter().filter(|own| own == name).cloned().collect::<Vec<_>>();
        let (names, external) = (own(&targets.names), own(&targets.external_names));
        name_spellings(&names, &external, &targets.cluster_domain).iter().any(|own| own == spelling)
    })
}

/// Returns the cause of a failed lookup that the nameservers' answers give, or else that of the resolver.
fn cause(name: &str, spelling: &str, by_servers: &[FailedLookup], finds_full_name: bool) -> Cause {
    let by_server = by_servers.iter().find(|failed| failed.name == name).map(|failed| failed.cause);
    by_server.unwrap_or(if !spelling.ends_with('.') && finds_full_name { Cause::Search } else { Cause::Resolver })
}

fn failed_by_libraries(seen: &Observations, by_servers: &[FailedLookup]) -> Vec<FailedLookup> {
    let failed = seen.lookups.iter().filter(|lookup| !lookup.result.is_found());
    failed
        .filter_map(|lookup| {
            let SystemLookup { program, resolver, name: spelling, took, result, error } = lookup;
            let name = requested(seen, spelling)?;
            let finds_full_name = seen.lookups.iter().any(|other| {
                other.program == *program && other.name.strip_suffix('.') == Some(name) && other.result.is_found()
            });
            let given_up = *result == LookupResult::GivenUp;
            let cause = match cause(name, spelling, by_servers, finds_full_name) {
                Cause::Search | Cause::Resolver if given_up => Cause::GivenUp,
                cause => cause,
            };
            let how = if given_up {
                format!("no result within {:.1} s", took.as_secs_f64())
            } else {
                error.clone().unwrap_or_else(|| "nothing found".to_owned())
            };
            let by = By::Library(resolver.to_string());
            Some(FailedLookup { name: name.to_owned(), spelling: spelling.clone(), by, how, cause })
        })
        .collect()
}

fn failed_by_model(seen: &Observations, by_servers: &[FailedLookup]) -> Vec<FailedLookup> {
    let lookups = todays_lookups(seen, &resolvers_to_compare(seen));
    let failed = lookups.iter().filter(|(_, _, computed)| !computed.found);
    failed
        .filter_map(|(spelling, resolver, _)| {
            let name = requested(seen, spelling)?;
            let finds_full_name = lookups
                .iter()
                .any(|(other, of, computed)| of == resolver && other.strip_suffix('.') == Some(name) && computed.found);
            let cause = cause(name, spelling, by_servers, finds_full_name);
            let (by, how) = (By::Model(resolver.to_string()), "not found".to_owned());
            Some(FailedLookup { name: name.to_owned(), spelling: spelling.clone(), by, how, cause })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{Purpose, QueryOutcome};
    use crate::verdicts::tests::{Seen, code};

    fn causes(seen: &Seen) -> Vec<(String, Cause)> {
        let mut causes: Vec<(String, Cause)> =
            failed_lookups(seen).into_iter().map(|failed| (failed.name, failed.cause)).collect();
        causes.dedup();
        causes
    }

    fn external(outcome: impl Fn(usize) -> Option<QueryOutcome>) -> Seen {
        let mut count = 0;
        Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::External && asked.via == Via::Udp && asked.edns.is_none() {
                if let Some(outcome) = outcome(count) {
                    asked.outcome = outcome;
                }
                count += 1;
            }
        })
    }

    #[test]
    fn a_healthy_network_fails_no_lookup() {
        assert_eq!(failed_lookups(&Seen::healthy()), []);
    }

    #[test]
    fn names_the_cause_of_each_failure() {
        let name = |cause| vec![("example.com".to_owned(), cause)];
        assert_eq!(causes(&external(|_| Some(code(Code::NxDomain)))), name(Cause::Denied));
        assert_eq!(causes(&external(|_| Some(code(Code::NoError)))), name(Cause::Denied));
        assert_eq!(causes(&external(|_| Some(code(Code::ServFail)))), name(Cause::Error));
        assert_eq!(causes(&external(|_| Some(QueryOutcome::Silence))), name(Cause::Silence));
        assert_eq!(causes(&external(|count| (count < 2).then(|| code(Code::NxDomain)))), name(Cause::Sometimes));
    }

    #[test]
    fn one_answer_is_no_failure() {
        assert_eq!(causes(&external(|count| (count == 0).then(|| code(Code::ServFail)))), []);
    }

    #[test]
    fn finds_failures_of_a_library_and_of_the_search_list() {
        let mut seen = Seen::healthy();
        for lookup in seen.lookups.iter_mut().filter(|lookup| lookup.name == "kubernetes.default") {
            lookup.result = LookupResult::Nothing;
            lookup.error = Some("EAI_NONAME".to_owned());
        }
        let failed = failed_lookups(&seen);
        assert_eq!((failed.len(), failed[0].cause), (1, Cause::Search), "{failed:?}");
        assert_eq!(
            FailedLookup::summary("x", &[&failed[0]]),
            "fails here: x (getaddrinfo of glibc 2.36: EAI_NONAME for kubernetes.default)"
        );
        // Without a search list no resolver finds the short names.
        let mut seen = Seen::healthy();
        seen.environment.resolv_conf.search.clear();
        assert!(failed_lookups(&seen).iter().all(|failed| failed.cause == Cause::Search && failed.spelling.len() < 24));
        assert!(!failed_lookups(&seen).is_empty());
    }
}
