//! The cost of a lookup here: queries and time for each spelling of a name, with today's options and with each profile, from the
//! model of each resolver and the measured answers. Must not know of verdicts.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use super::observations::{AskedQuery, Code, Observations, Purpose, QueryOutcome, QueryType, SystemLookup, Via};
use super::profile_effects::{COMMON_FAMILIES, options_with, resolvers_seen};
use crate::policy::Profile;
use crate::resolver::{Answer, Family, QueryPairing, Resolver, Settings, Version, lookup, musl};

/// The first release of glibc that refuses addresses of another name than the queried one: 2.37 does (1d495912a7), and so do 2.34 to 2.36
/// with their branches' fixes, as distributions have them (measured: Debian's 2.36 does, its 2.31 does not).
const RENAMED_REFUSED_SINCE: Version = Version::new(2, 34, 0);

/// The cost of one spelling of a name for one resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupCost {
    /// The name, as a program gives it.
    pub name: String,
    /// The resolver.
    pub resolver: Resolver,
    /// Cost with today's options.
    pub today: ComputedLookup,
    /// The lookup through a C library, if one is this resolver and was used; a failed one if there are several.
    pub measured: Option<SystemLookup>,
    /// Cost with each profile that changes something.
    pub profiles: Vec<(&'static str, ComputedLookup)>,
}

/// A lookup as the model computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComputedLookup {
    /// Number of queries; A and AAAA count separately.
    pub queries: u32,
    /// Duration, given the measured time of each query.
    pub took: Duration,
    /// The lookup finds an address.
    pub found: bool,
    /// Each name on the way was answered at least once.
    pub(super) all_answered: bool,
}

/// Returns the spellings of all names, those of each from the shortest: a Service of another namespace, the same with `svc`, in full,
/// and with a final dot. Of names after the first only the full ones.
pub fn name_spellings(names: &[String], external_names: &[String], cluster_domain: &str) -> Vec<String> {
    let mut spellings = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let service = name.strip_suffix(&format!(".svc.{cluster_domain}")).filter(|_| index == 0);
        spellings.extend(service.into_iter().flat_map(|service| [service.to_owned(), format!("{service}.svc")]));
        spellings.extend([name.clone(), format!("{name}.")]);
    }
    for name in external_names {
        spellings.extend([name.clone(), format!("{name}.")]);
    }
    spellings
}

/// Returns every name that some resolver could query for these spellings, without final dots.
pub fn names_queried(spellings: &[String], search: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for spelling in spellings {
        let as_is = spelling.trim_end_matches('.');
        let below = |domain: &String| format!("{as_is}.{}", domain.trim_end_matches('.'));
        let searched = search.iter().filter(|domain| *domain != "." && !spelling.ends_with('.')).map(below);
        for name in searched.chain([as_is.to_owned()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Returns the cost of each spelling for each of these resolvers.
pub fn lookup_costs(seen: &Observations, resolvers: &[Resolver]) -> Vec<LookupCost> {
    let profiles: Vec<(&'static str, Profile)> =
        Profile::NAMES.into_iter().filter_map(|name| Some((name, Profile::builtin(name).ok()?))).collect();
    let targets = &seen.targets;
    let mut costs = Vec::new();
    for name in name_spellings(&targets.names, &targets.external_names, &targets.cluster_domain) {
        for resolver in resolvers {
            let Some(today) = compute(seen, *resolver, &name, None) else { continue };
            let with = profiles.iter().filter_map(|(profile, rows)| {
                let computed = compute(seen, *resolver, &name, Some(rows))?;
                (computed != today).then_some((*profile, computed))
            });
            let lookups = seen.lookups.iter().filter(|lookup| lookup.name == name && lookup.resolver == *resolver);
            let measured = lookups.min_by_key(|lookup| lookup.result.is_found()).cloned();
            costs.push(LookupCost {
                name: name.clone(),
                resolver: *resolver,
                today,
                measured,
                profiles: with.collect(),
            });
        }
    }
    costs
}

/// Returns each spelling's lookup by each of these resolvers, with today's options.
pub(super) fn todays_lookups(seen: &Observations, resolvers: &[Resolver]) -> Vec<(String, Resolver, ComputedLookup)> {
    let targets = &seen.targets;
    let spellings = name_spellings(&targets.names, &targets.external_names, &targets.cluster_domain);
    let each = spellings.iter().flat_map(|name| resolvers.iter().map(move |resolver| (name, *resolver)));
    each.filter_map(|(name, resolver)| Some((name.clone(), resolver, compute(seen, resolver, name, None)?))).collect()
}

/// Returns the resolvers whose costs are shown: those of the programs, and those of most containers.
pub fn resolvers_to_compare(seen: &Observations) -> Vec<Resolver> {
    let mut resolvers = resolvers_seen(seen);
    for family in COMMON_FAMILIES {
        if !resolvers.iter().any(|resolver| resolver.family == family) {
            resolvers.push(family.unversioned());
        }
    }
    resolvers
}

/// Returns the cost of one lookup; `None` if the resolver is unknown, or the answer for a name on the way is.
fn compute(seen: &Observations, resolver: Resolver, name: &str, profile: Option<&Profile>) -> Option<ComputedLookup> {
    let options = options_with(seen, resolver, profile);
    let settings = Settings::read_options(resolver, &options)?;
    let search = seen.environment.resolv_conf.search_texts();
    let (took, all_answered) = (RefCell::new(Some(Duration::ZERO)), Cell::new(true));
    let answer = |name: &str| {
        let pair = measured(seen, resolver, name);
        let mut took = took.borrow_mut();
        *took = took.zip(pair).map(|(sum, (_, a, aaaa))| {
            let at_once = matches!(settings.pairing, QueryPairing::OneSocket | QueryPairing::TwoSockets);
            sum + if at_once { a.max(aaaa) } else { a + aaaa }
        });
        let answer = pair.map_or(Answer::Timeout, |(answer, _, _)| answer);
        all_answered.set(all_answered.get() && answer != Answer::Timeout);
        answer
    };
    let done = lookup(resolver, name, settings.ndots, &search, answer)?;
    let took = took.into_inner()?;
    Some(ComputedLookup { queries: done.queries, took, found: done.found.is_some(), all_answered: all_answered.get() })
}

/// Returns the combined answer that a resolver gets for one name, and the time of A and of AAAA. The quickest answered try counts: a
/// lost packet is not a cost of the name. `None` if the name was not queried, or if lost packets explain that no answer came.
fn measured(seen: &Observations, resolver: Resolver, name: &str) -> Option<(Answer, Duration, Duration)> {
    let tries = |kind: QueryType| {
        let matches = move |asked: &&AskedQuery| asked.kind == kind && asked.name.eq_ignore_ascii_case(name);
        seen.asked_for(Purpose::SearchExpansion).filter(matches)
    };
    let quickest = |kind: QueryType| {
        let quickest = tries(kind).min_by_key(|asked| (!asked.is_answered(), asked.took))?;
        (quickest.is_answered() || seen.ignores(quickest.server, tries(kind))).then_some(quickest)
    };
    let (a, aaaa) = (quickest(QueryType::A)?, quickest(QueryType::Aaaa)?);
    let is_cut = |asked: &AskedQuery| asked.answer().is_some_and(|answer| answer.truncated && answer.records == 0);
    let answer = if (is_cut(a) || is_cut(aaaa)) && uses_tcp(resolver) {
        answer_by_tcp(seen, a.server, name)?
    } else {
        let (a, aaaa) = (without_refused(a, resolver), without_refused(aaaa, resolver));
        match combined_answer(&a, &aaaa) {
            Answer::Address if fails_as_a_whole(resolver) => worst_of_half(&a, &aaaa),
            answer => answer,
        }
    };
    Some((answer, a.took, aaaa.took))
}

/// Returns whether a failed AAAA query fails the whole lookup of this resolver.
pub(super) fn fails_as_a_whole(resolver: Resolver) -> bool {
    let fails_since = |release| release >= musl::ALL_OR_NOTHING_SINCE;
    resolver.family == Family::Musl && resolver.version.is_none_or(fails_since)
}

/// Returns whether a resolver fetches a truncated answer by TCP.
fn uses_tcp(resolver: Resolver) -> bool {
    resolver.family != Family::Musl || resolver.version.is_none_or(|version| version >= musl::TCP_SINCE)
}

/// Returns the answer for a name by TCP, by which only IPv4 addresses of requested names are queried; `None` if it was not.
fn answer_by_tcp(seen: &Observations, server: SocketAddr, name: &str) -> Option<Answer> {
    let mut asked = seen.queries_for(server, name, Via::Tcp).peekable();
    asked.peek()?;
    let quickest = asked.min_by_key(|asked| (!asked.is_answered(), asked.took))?;
    Some(if quickest.addresses().is_empty() { answer_without_address(quickest) } else { Answer::Address })
}

/// Returns whether a resolver refuses addresses of another name than the queried one.
pub(super) fn refuses_renamed(resolver: Resolver) -> bool {
    let refuses_since = |release| release >= RENAMED_REFUSED_SINCE;
    resolver.family == Family::Glibc && resolver.version.is_none_or(refuses_since)
}

/// Returns the answer as a resolver takes it.
fn without_refused(asked: &AskedQuery, resolver: Resolver) -> AskedQuery {
    let mut asked = asked.clone();
    if let QueryOutcome::Answer(answer) = &mut asked.outcome
        && refuses_renamed(resolver)
        && answer.renamed.is_some()
    {
        answer.addresses.clear();
    }
    asked
}

/// Returns the answer that a musl gets which fails if one of two queries fails.
fn worst_of_half(a: &AskedQuery, aaaa: &AskedQuery) -> Answer {
    let mut failing = [a, aaaa].into_iter().filter(|asked| asked.addresses().is_empty()).map(answer_without_address);
    failing.find(|answer| *answer != Answer::NoData).unwrap_or(Answer::Address)
}

/// Combines the answers for A and AAAA of one name.
pub(super) fn combined_answer(a: &AskedQuery, aaaa: &AskedQuery) -> Answer {
    if !a.addresses().is_empty() || !aaaa.addresses().is_empty() {
        return Answer::Address;
    }
    let (one, other) = (answer_without_address(a), answer_without_address(aaaa));
    // The worse of the two decides what a resolver does next.
    [Answer::Timeout, Answer::Refused, Answer::ServFail, Answer::NxDomain]
        .into_iter()
        .find(|answer| one == *answer || other == *answer)
        .unwrap_or(Answer::NoData)
}

fn answer_without_address(asked: &AskedQuery) -> Answer {
    match &asked.outcome {
        QueryOutcome::Answer(answer) => match answer.code {
            Code::NoError => Answer::NoData,
            Code::NxDomain => Answer::NxDomain,
            Code::ServFail => Answer::ServFail,
            Code::FormErr | Code::NotImp | Code::Refused | Code::Other(_) => Answer::Refused,
        },
        _ => Answer::Timeout,
    }
}
