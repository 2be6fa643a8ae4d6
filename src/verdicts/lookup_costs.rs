//! What a lookup costs here: queries and time for each way of writing a name, with the options of today and with each profile,
//! by the model of each resolver and the answers that were measured. Knows nothing of verdicts.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::observations::{Asked, Code, Kind, Observations, Outcome, Purpose};
use super::profile_effects::options_with;
use crate::policy::Profile;
use crate::resolver::{Answer, Family, Pairing, Resolver, Settings, lookup};

/// What one way of writing a name costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The name, as a program gives it.
    pub name: String,
    /// The resolver.
    pub resolver: Resolver,
    /// With the options of today.
    pub today: Computed,
    /// How long the C library took, where it is this resolver's and was asked.
    pub measured: Option<Duration>,
    /// With each profile that changes something.
    pub profiles: Vec<(&'static str, Computed)>,
}

/// What the model computes of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Computed {
    /// How many queries it takes, A and AAAA counted apart.
    pub queries: u32,
    /// How long it takes on what was measured of each query.
    pub took: Duration,
    /// Whether it finds an address.
    pub found: bool,
    /// Whether each name on its way was answered at least once.
    pub whole: bool,
}

/// The ways of writing the names that were asked for, the shortest first: a Service of another namespace, the same with `svc`, in
/// full, with a dot at its end; and the same for a name outside.
pub fn ways_to_write(names: &[String], external_names: &[String], cluster_domain: &str) -> Vec<String> {
    let mut ways = Vec::new();
    for name in names.iter().take(1) {
        if let Some(service) = name.strip_suffix(&format!(".svc.{cluster_domain}")) {
            ways.extend([service.to_owned(), format!("{service}.svc")]);
        }
        ways.extend([name.clone(), format!("{name}.")]);
    }
    for name in external_names.iter().take(1) {
        ways.extend([name.clone(), format!("{name}.")]);
    }
    ways
}

/// Every name that some resolver could ask for on the way to these, without dots at their ends.
pub fn names_on_the_way(ways: &[String], search: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for way in ways {
        let literal = way.trim_end_matches('.');
        let below = |domain: &String| format!("{literal}.{}", domain.trim_end_matches('.'));
        let searched = search.iter().filter(|domain| *domain != "." && !way.ends_with('.')).map(below);
        for name in searched.chain([literal.to_owned()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// What each of the ways costs each of the resolvers.
pub fn costs(seen: &Observations, resolvers: &[Resolver]) -> Vec<Cost> {
    let profiles: Vec<(&'static str, Profile)> =
        Profile::NAMES.into_iter().filter_map(|name| Some((name, Profile::builtin(name).ok()?))).collect();
    let ways = ways_to_write(&seen.targets.names, &seen.targets.external_names, &seen.targets.cluster_domain);
    let mut costs = Vec::new();
    for name in ways {
        for resolver in resolvers {
            let Some(today) = compute(seen, *resolver, &name, None) else { continue };
            let with = profiles.iter().filter_map(|(profile, rows)| {
                let computed = compute(seen, *resolver, &name, Some(rows))?;
                (computed != today).then_some((*profile, computed))
            });
            let lookups = seen.lookups.iter().filter(|lookup| lookup.name == name && lookup.resolver == *resolver);
            let measured = lookups.map(|lookup| lookup.took).next();
            costs.push(Cost { name: name.clone(), resolver: *resolver, today, measured, profiles: with.collect() });
        }
    }
    costs
}

/// The resolvers of which costs are worth telling: those that are there, and the three that most containers have.
pub fn resolvers(seen: &Observations) -> Vec<Resolver> {
    let mut found = super::profile_effects::resolvers_there(seen);
    for family in [Family::Musl, Family::Glibc, Family::Go] {
        if !found.iter().any(|resolver| resolver.family == family) {
            found.push(family.unversioned());
        }
    }
    found
}

/// `None` where the resolver is not known, or where no name on its way was asked for.
fn compute(seen: &Observations, resolver: Resolver, name: &str, profile: Option<&Profile>) -> Option<Computed> {
    let options = options_with(seen, resolver, profile);
    let settings = Settings::read(resolver, &options)?;
    let search = seen.surroundings.resolv_conf.search_texts();
    let (took, whole) = (RefCell::new(Some(Duration::ZERO)), Cell::new(true));
    let answer = |name: &str| {
        let pair = measured(seen, name);
        let mut took = took.borrow_mut();
        *took = took.zip(pair).map(|(sum, (_, a, aaaa))| {
            let together = matches!(settings.pairing, Pairing::OneSocket | Pairing::TwoSockets);
            sum + if together { a.max(aaaa) } else { a + aaaa }
        });
        let answer = pair.map_or(Answer::Timeout, |(answer, _, _)| answer);
        whole.set(whole.get() && answer != Answer::Timeout);
        answer
    };
    let done = lookup(resolver, name, settings.ndots, &search, answer)?;
    let took = took.into_inner()?;
    Some(Computed { queries: done.queries, took, found: done.found.is_some(), whole: whole.get() })
}

/// What was measured of one name: what both answers say together, and how long each took. Of several tries the quickest that was
/// answered counts: a lost packet is no cost of a name.
fn measured(seen: &Observations, name: &str) -> Option<(Answer, Duration, Duration)> {
    let of = |kind: Kind| {
        let is_it = |asked: &&Asked| asked.kind == kind && asked.name.eq_ignore_ascii_case(name);
        seen.asked_for(Purpose::Candidate).filter(is_it).min_by_key(|asked| (!asked.is_answered(), asked.took))
    };
    let (a, aaaa) = (of(Kind::A)?, of(Kind::Aaaa)?);
    Some((together(a, aaaa), a.took, aaaa.took))
}

/// What A and AAAA of one name say together.
pub(super) fn together(a: &Asked, aaaa: &Asked) -> Answer {
    if !a.addresses().is_empty() || !aaaa.addresses().is_empty() {
        return Answer::Address;
    }
    let (one, other) = (said(a), said(aaaa));
    // The worse of the two decides what a resolver does next.
    [Answer::Timeout, Answer::ServFail, Answer::NxDomain]
        .into_iter()
        .find(|answer| one == *answer || other == *answer)
        .unwrap_or(Answer::NoData)
}

/// What one answer without an address says.
fn said(asked: &Asked) -> Answer {
    match &asked.outcome {
        Outcome::Answer(answer) => match answer.code {
            Code::NoError => Answer::NoData,
            Code::NxDomain => Answer::NxDomain,
            _ => Answer::ServFail,
        },
        _ => Answer::Timeout,
    }
}
