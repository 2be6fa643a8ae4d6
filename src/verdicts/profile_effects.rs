//! What muslin's profiles would change about a fault, computed by the model of the resolvers that are there. Knows nothing of how
//! the fault was shown.

use std::iter;
use std::time::Duration;

use super::observations::Observations;
use crate::policy::{ContainerResolver, Profile};
use crate::resolver::{Family, Resolver, Settings, candidates};

/// What profiles would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relief {
    /// What is computed, as a clause: `a lookup that loses one packet`.
    pub about: &'static str,
    /// What each profile that changes something would make of it, for each resolver that is there.
    pub changes: Vec<Change>,
    /// Why none can help, where that is so.
    pub none_because: Option<&'static str>,
}

/// What a profile would change for a resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The profile's name.
    pub profile: &'static str,
    /// The resolver.
    pub resolver: Resolver,
    /// How long the lookup takes more today; `None` where it fails.
    pub today: Option<Duration>,
    /// And with the profile.
    pub with_profile: Option<Duration>,
}

/// What a lookup meets, as the model knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// One packet is lost.
    OneLoss,
    /// The second of each two packets that leave one socket together is lost.
    RacedPairs,
    /// The first of the nameservers, so many of them, are dead.
    DeadFirst(u32),
    /// Every answer takes so long.
    SlowAnswers(Duration),
}

// === impl Relief ===

impl Relief {
    /// No profile changes anything, for this reason.
    pub(super) const fn none(because: &'static str) -> Self {
        Self { about: "", changes: Vec::new(), none_because: Some(because) }
    }

    /// What the built-in profiles would change about this trouble.
    pub(super) fn from(seen: &Observations, trouble: Trouble) -> Self {
        let mut changes = Vec::new();
        for resolver in resolvers_there(seen) {
            let Some(today) = outcome(seen, resolver, None, trouble) else { continue };
            for name in Profile::NAMES {
                let Ok(profile) = Profile::builtin(name) else { continue };
                let Some(with_profile) = outcome(seen, resolver, Some(&profile), trouble) else { continue };
                if is_better(with_profile, today) {
                    changes.push(Change { profile: name, resolver, today, with_profile });
                }
            }
        }
        let none_because =
            changes.is_empty().then_some("no option of resolv.conf changes this for the resolvers that are here");
        Self { about: trouble.name(), changes, none_because }
    }
}

// === impl Trouble ===

impl Trouble {
    const fn name(self) -> &'static str {
        match self {
            Self::OneLoss => "how late a lookup is that loses one packet",
            Self::RacedPairs => "how late a lookup is of which each pair is raced",
            Self::DeadFirst(_) => "how long a lookup waits for the dead nameserver",
            Self::SlowAnswers(_) => "how long a lookup takes while answers are so slow",
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

/// The resolvers of the programs that are known, each once; the three that most containers have where none is.
pub(super) fn resolvers_there(seen: &Observations) -> Vec<Resolver> {
    let mut found: Vec<Resolver> = Vec::new();
    for program in &seen.surroundings.programs {
        let known = !matches!(program.resolver.family, Family::Static | Family::Unknown);
        if known && !found.contains(&program.resolver) {
            found.push(program.resolver);
        }
    }
    if found.is_empty() { [Family::Musl, Family::Glibc, Family::Go].map(Family::unversioned).to_vec() } else { found }
}

/// How a lookup goes; the outer `None` where nothing is known of the resolver.
fn outcome(
    seen: &Observations,
    resolver: Resolver,
    profile: Option<&Profile>,
    trouble: Trouble,
) -> Option<Option<Duration>> {
    let options = options_with(seen, resolver, profile);
    let settings = Settings::read(resolver, &options)?;
    let search = seen.surroundings.resolv_conf.search_texts();
    let name = seen.targets.external_names.first().map_or("www.example.com", String::as_str);
    let names = u32::try_from(candidates(resolver, name, settings.ndots, &search).len()).unwrap_or(u32::MAX);
    let servers = u32::try_from(seen.targets.servers.len()).unwrap_or(u32::MAX);
    // The cache on the node is the only nameserver then, and no connection tracking stands before it.
    let node_local = profile.is_some_and(|profile| profile.node_local.is_some());
    Some(match trouble {
        Trouble::OneLoss => settings.recovers_from_one_loss(),
        Trouble::RacedPairs | Trouble::DeadFirst(_) if node_local => Some(Duration::ZERO),
        Trouble::RacedPairs => settings.recovers_from_raced_pairs(names),
        Trouble::DeadFirst(dead) => Some(settings.passes_dead_nameservers_after(dead, servers, names)),
        Trouble::SlowAnswers(answer) => (answer <= settings.slowest_answer()).then_some(answer),
    })
}

/// The options line as it is, or as it would be in a pod of such containers with a profile, which keeps what is set.
pub(super) fn options_with<'o>(
    seen: &'o Observations,
    resolver: Resolver,
    profile: Option<&'o Profile>,
) -> Vec<&'o str> {
    let mut options = seen.surroundings.resolv_conf.option_texts();
    let Some(profile) = profile else { return options };
    let name = |option: &str| option.split(':').next().unwrap_or_default().to_owned();
    let set: Vec<String> = options.iter().map(|option| name(option)).collect();
    let row = profile.options_for(iter::once(ContainerResolver::inspected(resolver)));
    options.extend(row.iter().map(String::as_str).filter(|option| !set.contains(&name(option))));
    options
}
