//! The nameservers have a name, and the C library does not find it.
//!
//! ## What it looks like
//! `dig` and Go programs find the name, and what asks through `getaddrinfo` does not: `dns` is missing in nsswitch.conf, a caching daemon
//! (nscd, systemd-resolved, sssd) has another answer, or an option makes the C library ask in a way that fails (`use-vc`).
//!
//! ## How it is told
//! The full name with a dot at its end, so that the search list has no part in it: the nameservers answer with an address by UDP, and
//! `getaddrinfo` finds none, for every name that was asked for so. Not claimed where `aaaa-broken`, `truncation` or lost packets explain
//! it.
//!
//! ## What to do
//! Look at the `hosts` line of nsswitch.conf, and ask the daemon that it names.

use super::{aaaa_broken, conntrack_race, lossy_path, rate_limited};
use crate::policy::Level;
use crate::resolver::Family;
use crate::verdicts::observations::{Observations, Purpose, SystemLookup, Via};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "libc-disagrees", source: include_str!("libc_disagrees.rs"), check };

/// One name may have been lost.
const NAMES_MIN: usize = 2;

fn check(seen: &Observations) -> Option<Verdict> {
    let explained = aaaa_broken::is_shown(seen)
        || conntrack_race::is_shown(seen)
        || (lossy_path::FAULT.check)(seen).is_some()
        || rate_limited::limited(seen).is_some();
    if explained || seen.answering().count() < seen.targets.servers.len() {
        return None;
    }
    let rooted: Vec<&SystemLookup> = seen.lookups.iter().filter(|lookup| lookup.name.ends_with('.')).collect();
    let mut programs: Vec<&str> = rooted.iter().map(|lookup| lookup.program.as_str()).collect();
    programs.dedup();
    programs.into_iter().find_map(|program| {
        let of: Vec<&SystemLookup> = rooted.iter().copied().filter(|lookup| lookup.program == program).collect();
        let known: Vec<&SystemLookup> = of.into_iter().filter(|lookup| has_address(seen, &lookup.name)).collect();
        let none_found = known.len() >= NAMES_MIN && known.iter().all(|lookup| !lookup.found.is_found());
        none_found.then(|| verdict(seen, &known))
    })
}

/// Whether all servers have an address for a name, in whole answers.
fn has_address(seen: &Observations, name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let of = [Purpose::Name, Purpose::External].into_iter().flat_map(|purpose| seen.asked_for(purpose));
    let mut plain = of.filter(|asked| {
        asked.name == name
            && asked.kind == crate::verdicts::observations::Kind::A
            && asked.via == Via::Udp
            && asked.edns.is_none()
    });
    let mut any = false;
    plain.all(|asked| {
        any = true;
        asked.answer().is_some_and(|answer| !answer.truncated && !answer.addresses.is_empty())
    }) && any
}

fn verdict(seen: &Observations, known: &[&SystemLookup]) -> Verdict {
    let program = known.first().map(|lookup| lookup.program.as_str()).unwrap_or_default();
    let resolver = known.first().map(|lookup| lookup.resolver).unwrap_or_else(|| Family::Unknown.unversioned());
    let nsswitch = seen.surroundings.nsswitch.as_ref().filter(|_| resolver.family == Family::Glibc);
    let no_dns = nsswitch.is_some_and(|file| !file.asks_dns());
    let sureness = if no_dns { Sureness::Sure } else { Sureness::Likely };
    let what = format!("getaddrinfo of {resolver} does not find names that the nameservers have");
    let names = list(known.iter().map(|lookup| &lookup.name));
    Verdict::new(&FAULT, Level::Deny, sureness, what)
        .evidence(format!("{program} finds none of {names}; every nameserver has an address for each"))
        .evidence_if(nsswitch.map(|file| format!("nsswitch.conf: hosts: {}", file.hosts.join(" "))))
        .evidence_if(use_vc(seen))
        .help(if no_dns {
            "write `dns` into the hosts line of nsswitch.conf: the nameservers are not asked at all"
        } else {
            "see what nsswitch.conf and resolv.conf's options make the C library do, and ask the daemon that they lead to"
        })
        .help("Go's own resolver and musl do not read nsswitch.conf's modules, and find these names")
        .relief(Relief::none("no option of resolv.conf changes which sources the C library asks"))
}

fn use_vc(seen: &Observations) -> Option<String> {
    let set = seen.surroundings.resolv_conf.options.iter().any(|option| option == "use-vc");
    set.then(|| "resolv.conf has use-vc: glibc asks by TCP alone".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{Code, Found, Kind};
    use crate::verdicts::system_files::Nsswitch;
    use crate::verdicts::tests::{Seen, code, fires, silent, silent_of};

    const DISAGREES: &str = "libc-disagrees";

    fn finds_nothing(mut seen: Seen) -> Seen {
        for lookup in &mut seen.lookups {
            lookup.found = Found::Nothing;
        }
        seen
    }

    #[test]
    fn fires_where_getaddrinfo_finds_nothing_that_the_servers_have() {
        assert_eq!(fires(DISAGREES, &finds_nothing(Seen::healthy())).sureness, Sureness::Likely);
    }

    #[test]
    fn a_hosts_line_without_dns_makes_it_sure() {
        let mut seen = finds_nothing(Seen::healthy());
        seen.surroundings.nsswitch = Nsswitch::parse("hosts: files\n");
        assert_eq!(fires(DISAGREES, &seen).sureness, Sureness::Sure);
    }

    #[test]
    fn one_lookup_that_fails_is_not_claimed() {
        let mut seen = Seen::healthy();
        seen.lookups[0].found = Found::Nothing;
        silent_of(DISAGREES, &seen);
    }

    #[test]
    fn a_broken_aaaa_explains_it() {
        silent_of(
            DISAGREES,
            &finds_nothing(Seen::healthy()).change(|asked| {
                if asked.kind == Kind::Aaaa {
                    asked.outcome = code(Code::ServFail);
                }
            }),
        );
    }

    #[test]
    fn names_that_the_servers_have_not_are_no_disagreement() {
        silent_of(DISAGREES, &finds_nothing(Seen::healthy()).change(|asked| asked.outcome = code(Code::NxDomain)));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(DISAGREES);
    }
}
