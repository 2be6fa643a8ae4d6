//! The cost of a lookup here: queries and time for each spelling of a name, with today's options and with each profile, from the
//! model of each resolver and the measured answers. Must not know of verdicts.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::observations::{AskedQuery, Code, Observations, Purpose, QueryOutcome, QueryType};
use super::profile_effects::{COMMON_FAMILIES, options_with, resolvers_seen};
use crate::policy::Profile;
use crate::resolver::{Answer, QueryPairing, Resolver, Settings, lookup};

/// The cost of one spelling of a name for one resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupCost {
    /// The name, as a program gives it.
    pub name: String,
    /// The resolver.
    pub resolver: Resolver,
    /// Cost with today's options.
    pub today: ComputedLookup,
    /// Time that the C library took, if it is this resolver and was used.
    pub measured: Option<Duration>,
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

/// Returns the spellings of the first name and the first external name, the shortest first: a Service of another namespace, the
/// same with `svc`, in full, and with a final dot.
pub fn name_spellings(names: &[String], external_names: &[String], cluster_domain: &str) -> Vec<String> {
    let mut spellings = Vec::new();
    for name in names.iter().take(1) {
        if let Some(service) = name.strip_suffix(&format!(".svc.{cluster_domain}")) {
            spellings.extend([service.to_owned(), format!("{service}.svc")]);
        }
        spellings.extend([name.clone(), format!("{name}.")]);
    }
    for name in external_names.iter().take(1) {
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
            let measured = lookups.map(|lookup| lookup.took).next();
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

/// Returns the cost of one lookup; `None` if the resolver is unknown, or a name on the way was not queried.
fn compute(seen: &Observations, resolver: Resolver, name: &str, profile: Option<&Profile>) -> Option<ComputedLookup> {
    let options = options_with(seen, resolver, profile);
    let settings = Settings::read_options(resolver, &options)?;
    let search = seen.environment.resolv_conf.search_texts();
    let (took, all_answered) = (RefCell::new(Some(Duration::ZERO)), Cell::new(true));
    let answer = |name: &str| {
        let pair = measured(seen, name);
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

/// Returns the combined answer measured for one name, and the time of A and of AAAA. The quickest answered try counts: a lost
/// packet is not a cost of the name.
fn measured(seen: &Observations, name: &str) -> Option<(Answer, Duration, Duration)> {
    let quickest = |kind: QueryType| {
        let matches = |asked: &&AskedQuery| asked.kind == kind && asked.name.eq_ignore_ascii_case(name);
        let tries = seen.asked_for(Purpose::SearchExpansion).filter(matches);
        tries.min_by_key(|asked| (!asked.is_answered(), asked.took))
    };
    let (a, aaaa) = (quickest(QueryType::A)?, quickest(QueryType::Aaaa)?);
    Some((combined_answer(a, aaaa), a.took, aaaa.took))
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
