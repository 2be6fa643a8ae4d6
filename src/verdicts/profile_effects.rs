//! The effects that muslin's profiles would have on a failure, computed by the model of the resolvers that were found. Must not
//! know how the failure was diagnosed.

use std::iter;
use std::time::Duration;

use super::observations::Observations;
use crate::policy::{ContainerResolver, Profile};
use crate::resolver::{Family, Resolver, Settings, query_names};

/// The resolvers of most containers.
pub(super) const COMMON_FAMILIES: [Family; 3] = [Family::Musl, Family::Glibc, Family::Go];

/// The effects that profiles would have on a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileEffects {
    /// The quantity that improves, as a clause: `delay of a lookup that loses one packet`.
    pub about: &'static str,
    /// Improvements by each profile, for each resolver that was found.
    pub improvements: Vec<Improvement>,
    /// The reason why no profile helps, if none does.
    pub none_because: Option<&'static str>,
}

/// An improvement by one profile for one resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Improvement {
    /// The profile's name.
    pub profile: &'static str,
    /// The resolver.
    pub resolver: Resolver,
    /// Extra time of the lookup today; `None` if the lookup fails.
    pub today: Option<Duration>,
    /// Extra time of the lookup with the profile; `None` if the lookup fails.
    pub with_profile: Option<Duration>,
}

/// A failure that the model of the resolvers knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// One packet is lost.
    OnePacketLost,
    /// When two packets leave one socket together, the second is lost.
    RacedPairs,
    /// The first nameservers, this many, are dead.
    DeadFirstServers(u32),
    /// Every answer takes this long.
    SlowAnswers(Duration),
}

// === impl ProfileEffects ===

impl ProfileEffects {
    /// Returns that no profile changes anything, for this reason.
    pub(super) const fn none(because: &'static str) -> Self {
        Self { about: "", improvements: Vec::new(), none_because: Some(because) }
    }

    /// Computes what the built-in profiles would change about this failure.
    pub(super) fn compute(seen: &Observations, failure: Failure) -> Self {
        let mut improvements = Vec::new();
        for resolver in resolvers_seen(seen) {
            let Some(today) = delay(seen, resolver, None, failure) else { continue };
            for name in Profile::NAMES {
                let Ok(profile) = Profile::builtin(name) else { continue };
                let Some(with_profile) = delay(seen, resolver, Some(&profile), failure) else { continue };
                if is_better(with_profile, today) {
                    improvements.push(Improvement { profile: name, resolver, today, with_profile });
                }
            }
        }
        let none_because =
            improvements.is_empty().then_some("no option of resolv.conf changes this for the resolvers here");
        Self { about: failure.quantity(), improvements, none_because }
    }
}

// === impl Failure ===

impl Failure {
    const fn quantity(self) -> &'static str {
        match self {
            Self::OnePacketLost => "delay of a lookup that loses one packet",
            Self::RacedPairs => "delay of a lookup that loses one packet of every pair",
            Self::DeadFirstServers(_) => "time a lookup waits for the dead nameserver",
            Self::SlowAnswers(_) => "time a lookup takes while answers are this slow",
        }
    }
}

fn is_better(one: Option<Duration>, other: Option<Duration>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one < other,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Returns the known resolvers of the programs, each once; musl, glibc and Go if none is known.
pub(super) fn resolvers_seen(seen: &Observations) -> Vec<Resolver> {
    let mut resolvers: Vec<Resolver> = Vec::new();
    for program in seen.programs() {
        let is_known = !matches!(program.resolver.family, Family::Static | Family::Unknown);
        if is_known && !resolvers.contains(&program.resolver) {
            resolvers.push(program.resolver);
        }
    }
    if resolvers.is_empty() {
        resolvers.extend(COMMON_FAMILIES.map(Family::unversioned));
    }
    resolvers
}

/// Returns the extra time of a lookup, or `None` inside if the lookup fails; the outer `None` means that the resolver is unknown.
fn delay(
    seen: &Observations,
    resolver: Resolver,
    profile: Option<&Profile>,
    failure: Failure,
) -> Option<Option<Duration>> {
    let options = options_with(seen, resolver, profile);
    let settings = Settings::read_options(resolver, &options)?;
    let search = seen.environment.resolv_conf.search_texts();
    let name = seen.targets.external_names.first().map_or("www.example.com", String::as_str);
    let names = u32::try_from(query_names(resolver, name, settings.ndots, &search).len()).unwrap_or(u32::MAX);
    let servers = u32::try_from(seen.targets.servers.len()).unwrap_or(u32::MAX);
    // The node's cache is then the only nameserver, and connection tracking does not stand before it.
    let node_local = profile.is_some_and(|profile| profile.node_local.is_some());
    Some(match failure {
        Failure::OnePacketLost => settings.one_loss_delay(),
        Failure::RacedPairs | Failure::DeadFirstServers(_) if node_local => Some(Duration::ZERO),
        Failure::RacedPairs => settings.conntrack_race_delay(names),
        Failure::DeadFirstServers(dead) => Some(settings.dead_nameserver_delay(dead, servers, names)),
        Failure::SlowAnswers(answer) => (answer <= settings.slowest_answer()).then_some(answer),
    })
}

/// Returns the options of resolv.conf as they are, or as a profile would complete them in a pod whose containers all have this
/// resolver. Options that are set stay.
pub(super) fn options_with<'o>(
    seen: &'o Observations,
    resolver: Resolver,
    profile: Option<&'o Profile>,
) -> Vec<&'o str> {
    let mut options = seen.environment.resolv_conf.option_texts();
    let Some(profile) = profile else { return options };
    let nameservers = seen.environment.resolv_conf.nameservers.len();
    let name = |option: &str| option.split(':').next().unwrap_or_default().to_owned();
    let set: Vec<String> = options.iter().map(|option| name(option)).collect();
    let row = profile.options_for(iter::once(ContainerResolver::inspected(resolver)), nameservers);
    options.extend(row.iter().map(String::as_str).filter(|option| !set.contains(&name(option))));
    options
}
