//! The search for the default profile's rows: of all option sets that the claim allows for the resolvers of a pod, the one that helps
//! most where packets are lost. A new resolver or fault changes the result, and the test that compares it with the rows fails.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::claim::{harm, look_up};
use crate::faults::{self, Fault};
use crate::storms;
use crate::stubs::{self, Stub};

/// A group of resolvers that a pod's containers may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// musl before 1.2.1.
    OldMusl,
    Musl,
    Glibc,
    Go,
    Uclibc,
    /// Programs that read resolv.conf by themselves, whatever their container's C library: Node, gRPC, dnspython, eventlet.
    Programs,
    /// Netty, in a JVM.
    Java,
}

/// The search, which remembers what it found out about each stub.
pub(crate) struct Search {
    stubs: Vec<Stub>,
    faults: Vec<Fault>,
    /// By the stub's name, the set of options, and the number of nameservers.
    harmless: RefCell<HashMap<(&'static str, String, usize), bool>>,
    costs: RefCell<HashMap<(&'static str, String), f64>>,
    survived: RefCell<HashMap<(Vec<&'static str>, String), bool>>,
    has_storms: bool,
}

/// Returns every set of options that is tried, the default (none) first.
fn candidates() -> Vec<Vec<String>> {
    let timeouts = [None, Some(1), Some(3), Some(5), Some(10)];
    let attempts = [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(10)];
    let singles = [None, Some("single-request-reopen")];
    let mut sets = Vec::new();
    for timeout in timeouts {
        for attempts in attempts {
            for single in singles {
                let timeout = timeout.map(|number| format!("timeout:{number}"));
                let attempts = attempts.map(|number| format!("attempts:{number}"));
                sets.push([single.map(str::to_owned), timeout, attempts].into_iter().flatten().collect());
            }
        }
    }
    sets
}

// === impl Part ===

impl Part {
    fn holds(self, stub: &Stub) -> bool {
        let begins = |word: &str| stub.name.starts_with(word);
        match self {
            Self::OldMusl => begins("musl 1.1") || begins("musl 1.2.0"),
            Self::Musl => begins("musl 1.2") && !begins("musl 1.2.0"),
            Self::Glibc => begins("glibc"),
            Self::Go => begins("go"),
            Self::Uclibc => begins("uclibc"),
            Self::Java => begins("netty"),
            Self::Programs => ["c-ares", "node", "grpc", "dnspython", "eventlet"].into_iter().any(begins),
        }
    }
}

// === impl Search ===

impl Search {
    pub(crate) fn new() -> Self {
        Self {
            stubs: stubs::all(),
            faults: faults::all(),
            harmless: RefCell::default(),
            costs: RefCell::default(),
            survived: RefCell::default(),
            has_storms: true,
        }
    }

    /// A search that leaves overload out.
    pub(crate) fn without_storms() -> Self {
        Self { has_storms: false, ..Self::new() }
    }

    fn stubs(&self, parts: &[Part]) -> Vec<&Stub> {
        self.stubs.iter().filter(|stub| parts.iter().any(|part| part.holds(stub))).collect()
    }

    /// Returns whether a set harms no stub of these parts under any fault with at most this many nameservers, nor in a storm.
    pub(crate) fn is_harmless(&self, parts: &[Part], options: &[&str], nameservers: usize) -> bool {
        let stubs = self.stubs(parts);
        stubs.iter().all(|stub| self.is_harmless_for(stub, options, nameservers)) && self.survives(&stubs, options)
    }

    fn is_harmless_for(&self, stub: &Stub, options: &[&str], nameservers: usize) -> bool {
        let key = (stub.name, options.join(" "), nameservers);
        if let Some(known) = self.harmless.borrow().get(&key) {
            return *known;
        }
        let faults = self.faults.iter().filter(|fault| fault.servers() <= nameservers);
        let is_harmless = options.is_empty() || harm(stub, faults, &[], options).is_none();
        self.harmless.borrow_mut().insert(key, is_harmless);
        is_harmless
    }

    /// Returns whether these stubs survive storms with these options where they do with Kubernetes' own. Storms are those of the C libraries and of Go: programs with a resolver of their own read none of the options in question.
    fn survives(&self, stubs: &[&Stub], options: &[&str]) -> bool {
        if options.is_empty() || !self.has_storms {
            return true;
        }
        let stubs: Vec<&Stub> = stubs.iter().copied().filter(|stub| !Part::Programs.holds(stub)).collect();
        let key = (stubs.iter().map(|stub| stub.name).collect::<Vec<_>>(), options.join(" "));
        if let Some(known) = self.survived.borrow().get(&key) {
            return *known;
        }
        let with: Vec<_> = stubs.iter().map(|stub| storms::Clients { stub, options }).collect();
        let default: Vec<_> = stubs.iter().map(|stub| storms::Clients { stub, options: &[] }).collect();
        let survived = storms::are_survived(&default, &with);
        self.survived.borrow_mut().insert(key, survived);
        survived
    }

    /// Returns the seconds that a stub's lookups take in all where packets are lost; a lookup that fails counts as a minute.
    fn cost(&self, stub: &Stub, options: &[&str]) -> f64 {
        let key = (stub.name, options.join(" "));
        if let Some(known) = self.costs.borrow().get(&key) {
            return *known;
        }
        let is_loss = |fault: &&Fault| fault.title.contains("lost") || fault.title.contains("race");
        let of_fault = |fault: &Fault| {
            let seconds = (0..fault.lookups).map(|number| {
                let lookup = look_up(stub, fault, options, number);
                if lookup.found.any() { lookup.took.as_secs_f64() } else { 60.0 }
            });
            seconds.sum::<f64>() / fault.lookups as f64
        };
        let cost = self.faults.iter().filter(is_loss).map(of_fault).sum();
        self.costs.borrow_mut().insert(key, cost);
        cost
    }

    /// Returns the set of options that harms none of these parts and helps them most, for pods with at most this many nameservers.
    pub(crate) fn best(&self, parts: &[Part], nameservers: usize) -> Vec<String> {
        let stubs = self.stubs(parts);
        let cost = |options: &[&str]| stubs.iter().map(|stub| self.cost(stub, options)).sum::<f64>();
        let mut best = (Vec::new(), cost(&[]));
        for set in candidates() {
            let options: Vec<&str> = set.iter().map(String::as_str).collect();
            if !stubs.iter().all(|stub| self.is_harmless_for(stub, &options, nameservers)) {
                continue;
            }
            let cost = cost(&options);
            // Fewer options for the same help.
            if cost < best.1 - 0.01 && self.survives(&stubs, &options) {
                best = (set, cost);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use muslin::policy::{ContainerResolver, Profile};
    use muslin::resolver::{Family, Version};

    use super::*;

    /// The containers' own parts, each with the resolver that muslin reads in the image.
    const CONTAINERS: [Part; 5] = [Part::OldMusl, Part::Musl, Part::Glibc, Part::Go, Part::Uclibc];

    fn container(part: Part) -> ContainerResolver {
        ContainerResolver::inspected(match part {
            Part::OldMusl => Family::Musl.at(Version::new(1, 2, 0)),
            Part::Musl => Family::Musl.at(Version::new(1, 2, 1)),
            Part::Glibc => Family::Glibc.unversioned(),
            Part::Go => Family::Go.unversioned(),
            Part::Uclibc => Family::Uclibc.unversioned(),
            Part::Programs | Part::Java => Family::Unknown.unversioned(),
        })
    }

    /// Returns everything that may look up names in a pod with these containers.
    fn parts(containers: &[Part], has_java: bool) -> Vec<Part> {
        // Go programs are static: they bring no other resolver.
        let has_programs = containers.iter().any(|part| *part != Part::Go);
        let programs = [(has_programs, Part::Programs), (has_java, Part::Java)];
        let programs = programs.into_iter().filter_map(|(is_there, part)| is_there.then_some(part));
        containers.iter().copied().chain(programs).collect()
    }

    /// Returns the containers of each mix with musl.
    fn mixes_with_musl() -> impl Iterator<Item = Vec<Part>> {
        let mix = |mix: u32| (0..CONTAINERS.len()).filter(move |index| mix >> index & 1 == 1);
        let mixes = (1..1 << CONTAINERS.len()).map(move |number| mix(number).map(|index| CONTAINERS[index]).collect());
        mixes.filter(|mix: &Vec<Part>| mix.contains(&Part::Musl) || mix.contains(&Part::OldMusl))
    }

    /// For each mix of containers with musl. What is best with one nameserver is so with more: they only add faults.
    #[test]
    fn the_default_rows_are_the_best_that_the_claim_allows() {
        let search = Search::new();
        for containers in mixes_with_musl() {
            let best = search.best(&parts(&containers, false), 1);
            for nameservers in 1..=3 {
                let resolvers = containers.iter().copied().map(container);
                assert_eq!(Profile::default().options_for(resolvers, nameservers), best, "{containers:?}");
            }
        }
    }

    #[test]
    fn three_attempts_are_the_best_where_nothing_is_overloaded() {
        let search = Search::without_storms();
        assert_eq!(search.best(&[Part::Musl, Part::Programs], 1), ["attempts:3"]);
    }

    /// Storms aside, for each mix of containers, with and without a JVM.
    #[test]
    fn the_profile_three_attempts_makes_no_lookup_worse() {
        let search = Search::without_storms();
        let profile = Profile::builtin("three-attempts").unwrap();
        for containers in mixes_with_musl() {
            for (nameservers, has_java) in [(1, false), (1, true), (2, false), (3, true)] {
                let resolvers = containers
                    .iter()
                    .map(|part| ContainerResolver { holds_java: has_java && *part == Part::Musl, ..container(*part) });
                let row = profile.options_for(resolvers, nameservers);
                let row: Vec<&str> = row.iter().map(String::as_str).collect();
                let parts = parts(&containers, has_java);
                assert!(search.is_harmless(&parts, &row, nameservers), "{containers:?}, {nameservers}, {has_java}");
            }
        }
    }

    /// glibc and c-ares read `RES_OPTIONS`, which would set options for one container. No set is allowed for either: with `attempts:3`
    /// glibc waits longer for a search name where the default gives up and finds the name as given.
    #[test]
    fn no_res_options_are_allowed() {
        let search = Search::new();
        for parts in [&[Part::Glibc, Part::Programs][..], &[Part::Programs]] {
            assert_eq!(search.best(parts, 1), [] as [&str; 0], "{parts:?}");
        }
    }
}
