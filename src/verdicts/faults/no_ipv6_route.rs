//! A name has IPv6 addresses, and this machine has no route to them.
//!
//! ## Symptoms
//! If the name has IPv4 addresses too, most programs are not affected: `getaddrinfo` of musl and glibc sorts unreachable addresses last.
//! Programs that take the first AAAA record, or have a resolver of their own, fail with "network is unreachable". If the name has IPv6
//! addresses alone, nothing reaches it from here.
//!
//! ## Detection
//! The kernel has no route, or no address of its own, for any IPv6 address in the answers for a requested name. The probe asks it by a UDP
//! socket that is connected and sends nothing.
//!
//! ## What to do
//! Give the name an IPv4 address, or the node IPv6. If a program chooses the wrong address, let it ask for IPv4 alone (Java:
//! `java.net.preferIPv4Stack`, Node: `--dns-result-order=ipv4first`, curl: `-4`); `no-aaaa` keeps glibc from 2.36 from asking for IPv6.

use std::net::IpAddr;

use crate::policy::Level;
use crate::verdicts::observations::{AskedQuery, Observations, Purpose};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "no-ipv6-route", source: include_str!("no_ipv6_route.rs"), check };

/// A requested name with addresses that cannot be reached.
struct Unreachable<'a> {
    name: &'a str,
    addresses: Vec<IpAddr>,
    /// The name has IPv4 addresses too.
    has_ipv4: bool,
}

fn check(seen: &Observations) -> Option<Verdict> {
    let unreachable: Vec<Unreachable<'_>> =
        seen.targets.requested().filter_map(|name| unreachable(seen, name)).collect();
    let (alone, besides): (Vec<_>, Vec<_>) = unreachable.iter().partition(|name| !name.has_ipv4);
    let names = |of: &[&Unreachable<'_>]| list(of.iter().map(|name| name.name));
    let (level, what) = match (&alone[..], &besides[..]) {
        ([], []) => return None,
        ([], besides) => {
            (Level::Info, format!("{} has IPv6 addresses, to which there is no route here", names(besides)))
        }
        (alone, _) => {
            (Level::Deny, format!("{} has only IPv6 addresses, and there is no route to them here", names(alone)))
        }
    };
    let verdict = Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what);
    let verdict = unreachable.iter().fold(verdict, |verdict, Unreachable { name, addresses, .. }| {
        verdict.evidence(format!("{name} has {}, and the kernel has no route to any of them", list(addresses)))
    });
    Some(
        verdict
            .help_if((!alone.is_empty()).then(|| "give the name an IPv4 address, or the node IPv6".to_owned()))
            .help(
                "if a program fails with \"network is unreachable\", let it ask for IPv4 alone; `no-aaaa` does so for glibc from 2.36, and \
                 no option does for musl",
            )
            .profile_effects(ProfileEffects::none("no profile keeps programs from asking for IPv6")),
    )
}

/// Returns a name that has IPv6 addresses, none of which can be reached.
fn unreachable<'a>(seen: &Observations, name: &'a str) -> Option<Unreachable<'a>> {
    let named = seen.asked_for(Purpose::Name).chain(seen.asked_for(Purpose::External));
    let of_name = named.filter(|asked| asked.name.eq_ignore_ascii_case(name));
    let mut addresses: Vec<IpAddr> = of_name.flat_map(AskedQuery::addresses).copied().collect();
    addresses.sort_unstable();
    addresses.dedup();
    let has_ipv4 = addresses.iter().any(IpAddr::is_ipv4);
    addresses.retain(IpAddr::is_ipv6);
    let all = !addresses.is_empty() && addresses.iter().all(|address| seen.environment.unroutable.contains(address));
    all.then_some(Unreachable { name, addresses, has_ipv4 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{Code, QueryType};
    use crate::verdicts::tests::{Seen, code, fires, silent, silent_of};

    const ROUTE: &str = "no-ipv6-route";

    fn without_route(mut seen: Seen) -> Seen {
        seen.environment.unroutable = vec!["2606:2800::1".parse().unwrap()];
        seen
    }

    #[test]
    fn advises_if_the_name_has_ipv4_too() {
        let verdict = fires(ROUTE, &without_route(Seen::healthy()));
        assert_eq!(
            (&*verdict.what, verdict.level),
            ("example.com has IPv6 addresses, to which there is no route here", Level::Info)
        );
    }

    #[test]
    fn denies_if_the_name_has_ipv6_alone() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::External && asked.kind == QueryType::A {
                asked.outcome = code(Code::NoError);
            }
        });
        assert_eq!(fires(ROUTE, &without_route(seen)).level, Level::Deny);
    }

    #[test]
    fn silent_if_one_address_can_be_reached() {
        let mut seen = Seen::healthy();
        seen.environment.unroutable = vec!["2606:2800::2".parse().unwrap()];
        silent_of(ROUTE, &seen);
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(ROUTE);
    }
}
