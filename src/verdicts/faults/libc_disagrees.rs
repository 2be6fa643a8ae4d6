//! The nameservers know a name, but the C library does not find it.
//!
//! ## Symptoms
//! `dig` and Go programs find the name, and programs that call `getaddrinfo` do not: `dns` is missing in nsswitch.conf, a caching
//! daemon (nscd, systemd-resolved, sssd) answers differently, or an option makes the C library ask in a way that fails (`use-vc`).
//!
//! ## Detection
//! The probe looks up full names with a final dot, so that the search list has no part in it. The nameservers answer with an
//! address by UDP, and `getaddrinfo` finds none for any of these names. `aaaa-broken`, `truncation` and lost packets explain the
//! same, and are reported in its place.
//!
//! ## What to do
//! Check the `hosts` line of nsswitch.conf, and ask the daemon that it names.

use super::{aaaa_broken, conntrack_race, lossy_path, rate_limited, renamed_answer};
use crate::policy::Level;
use crate::resolver::Family;
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{Observations, Purpose, QueryType, SystemLookup, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "libc-disagrees", source: include_str!("libc_disagrees.rs"), check };

/// A single name may have been lost on the way.
const NAMES_MIN: usize = 2;

fn check(seen: &Observations) -> Option<Verdict> {
    let explained = aaaa_broken::is_shown(seen)
        || renamed_answer::is_shown(seen)
        || conntrack_race::is_shown(seen)
        || (lossy_path::DIAGNOSIS.check)(seen).is_some()
        || rate_limited::limited(seen).is_some();
    if explained || seen.answering_servers().count() < seen.targets.servers.len() {
        return None;
    }
    let rooted: Vec<&SystemLookup> = seen.lookups.iter().filter(|lookup| lookup.name.ends_with('.')).collect();
    let mut programs: Vec<&str> = rooted.iter().map(|lookup| lookup.program.as_str()).collect();
    programs.dedup();
    programs.into_iter().find_map(|program| {
        let of: Vec<&SystemLookup> = rooted.iter().copied().filter(|lookup| lookup.program == program).collect();
        let known: Vec<&SystemLookup> = of.into_iter().filter(|lookup| has_address(seen, &lookup.name)).collect();
        let none_found = known.len() >= NAMES_MIN && known.iter().all(|lookup| !lookup.result.is_found());
        none_found.then(|| verdict_for(seen, &known))
    })
}

/// Returns whether all servers have an address for a name, in complete answers.
fn has_address(seen: &Observations, name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let named = [Purpose::Name, Purpose::External].into_iter().flat_map(|purpose| seen.asked_for(purpose));
    let mut plain = named.filter(|asked| {
        asked.name == name && asked.kind == QueryType::A && asked.via == Via::Udp && asked.edns.is_none()
    });
    let mut any = false;
    plain.all(|asked| {
        any = true;
        asked.answer().is_some_and(|answer| !answer.truncated && !answer.addresses.is_empty())
    }) && any
}

fn verdict_for(seen: &Observations, known: &[&SystemLookup]) -> Verdict {
    let program = known.first().map(|lookup| lookup.program.as_str()).unwrap_or_default();
    let resolver = known.first().map(|lookup| lookup.resolver).unwrap_or_else(|| Family::Unknown.unversioned());
    let nsswitch = seen.environment.nsswitch.as_ref().filter(|_| resolver.family == Family::Glibc);
    let no_dns = nsswitch.is_some_and(|file| !file.uses_dns());
    let confidence = if no_dns { Confidence::Certain } else { Confidence::Likely };
    let what = format!("getaddrinfo of {resolver} does not find names that the nameservers know");
    let names = list(known.iter().map(|lookup| &lookup.name));
    Verdict::new(&DIAGNOSIS, Level::Deny, confidence, what)
        .evidence(format!("{program} finds none of {names}; every nameserver has an address for each"))
        .evidence_if(nsswitch.map(|file| format!("nsswitch.conf: hosts: {}", file.hosts.join(" "))))
        .evidence_if(use_vc_note(seen))
        .help(match (no_dns, resolver.family) {
            (true, _) => {
                "add `dns` to the hosts line of nsswitch.conf: without it the nameservers are not asked at all"
            }
            (false, Family::Musl) => "check the options of resolv.conf: musl reads no nsswitch.conf",
            (false, _) => {
                "check nsswitch.conf and the options of resolv.conf, and query the daemon that nsswitch.conf names"
            }
        })
        .help_if(nsswitch.map(|_| "Go's own resolver and musl do not use nsswitch.conf's modules".to_owned()))
        .profile_effects(ProfileEffects::none("no option of resolv.conf changes which sources the C library uses"))
        .explains(
            known.iter().map(|lookup| lookup.name.trim_end_matches('.')),
            &[Cause::Search, Cause::Resolver, Cause::GivenUp],
        )
}

fn use_vc_note(seen: &Observations) -> Option<String> {
    let set = seen.environment.resolv_conf.options.iter().any(|option| option == "use-vc");
    set.then(|| "resolv.conf has use-vc, so glibc uses TCP alone".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{Code, LookupResult, QueryType};
    use crate::verdicts::system_files::Nsswitch;
    use crate::verdicts::tests::{Seen, code, fires, silent, silent_of};

    const DISAGREES: &str = "libc-disagrees";

    fn finds_nothing(mut seen: Seen) -> Seen {
        for lookup in &mut seen.lookups {
            lookup.result = LookupResult::Nothing;
        }
        seen
    }

    #[test]
    fn fires_if_getaddrinfo_finds_nothing_that_the_servers_know() {
        assert_eq!(fires(DISAGREES, &finds_nothing(Seen::healthy())).confidence, Confidence::Likely);
    }

    #[test]
    fn certain_for_a_hosts_line_without_dns() {
        let mut seen = finds_nothing(Seen::healthy());
        seen.environment.nsswitch = Nsswitch::parse("hosts: files\n");
        assert_eq!(fires(DISAGREES, &seen).confidence, Confidence::Certain);
    }

    #[test]
    fn silent_for_one_failed_lookup() {
        let mut seen = Seen::healthy();
        seen.lookups[0].result = LookupResult::Nothing;
        silent_of(DISAGREES, &seen);
    }

    #[test]
    fn silent_if_a_broken_aaaa_explains_it() {
        silent_of(
            DISAGREES,
            &finds_nothing(Seen::healthy()).change(|asked| {
                if asked.kind == QueryType::Aaaa {
                    asked.outcome = code(Code::ServFail);
                }
            }),
        );
    }

    #[test]
    fn silent_for_names_that_the_servers_do_not_know() {
        silent_of(DISAGREES, &finds_nothing(Seen::healthy()).change(|asked| asked.outcome = code(Code::NxDomain)));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(DISAGREES);
    }
}
