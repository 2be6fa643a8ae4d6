//! A nameserver answers by TCP and never by UDP.
//!
//! ## Symptoms
//! A VPN, a firewall or a NetworkPolicy lets only TCP through to port 53. musl and Go ask by UDP and fail. A program that uses the
//! C library may succeed, as nsswitch.conf can name a module or a daemon (`resolve`, `nscd`, `sss`) with a path of its own. So
//! `getent` works and the program does not, or the reverse.
//!
//! ## Detection
//! The probe sends the same queries by UDP and by TCP: TCP is answered, and none of at least six UDP queries is.
//!
//! ## What to do
//! Open UDP port 53 to the nameserver. `use-vc` makes glibc and Go use TCP alone, with a risk of its own (`use-vc-hangs`); musl
//! ignores it. `GODEBUG=netdns=cgo` hands a Go program's lookups to the C library only if it was built with cgo. With
//! `CGO_ENABLED=0` or `-tags netgo` it has no effect: rebuild the program, or let it reach a nameserver by UDP.

use std::net::SocketAddr;

use super::link_local_nameserver;
use crate::policy::Level;
use crate::resolver::{Cgo, Family};
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{AskedQuery, Observations, Program, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "udp53-blocked-tcp-open", source: include_str!("udp53_blocked_tcp_open.rs"), check };

/// The same bound as in `stale-nameserver`.
const SILENT_MIN: u64 = 6;

fn check(seen: &Observations) -> Option<Verdict> {
    let blocked: Vec<SocketAddr> =
        seen.targets.servers.iter().copied().filter(|server| is_blocked(seen, *server)).collect();
    if blocked.is_empty() {
        return None;
    }
    let link_local = blocked.iter().any(|server| Observations::is_link_local(*server));
    let all = blocked.len() == seen.targets.servers.len();
    let what = format!(
        "{} answers by TCP but never by UDP{}",
        list(blocked.iter().map(SocketAddr::ip)),
        if all { ": musl and Go resolve nothing" } else { "" }
    );
    let mut verdict = Verdict::new(&DIAGNOSIS, if all { Level::Deny } else { Level::Warn }, Confidence::Certain, what);
    for server in &blocked {
        let rate = |via| Rate::count(seen.plain_queries(*server, via), |asked| asked.is_answered());
        let (udp, tcp) = (rate(Via::Udp), rate(Via::Tcp));
        verdict = verdict.evidence(format!(
            "{} answers {} of {} by UDP and {} of {} by TCP",
            server.ip(),
            udp.hits,
            udp.total,
            tcp.hits,
            tcp.total
        ));
    }
    verdict = system_lookups(seen).into_iter().fold(verdict, Verdict::evidence);
    verdict =
        verdict.evidence_if(seen.environment.nsswitch.as_ref().filter(|file| !file.other_sources().is_empty()).map(|file| {
            format!(
                "nsswitch.conf names {} besides the nameservers, so programs that use the C library may have another path",
                list(file.other_sources())
            )
        }));
    let verdict =
        verdict.help("open UDP port 53 to the nameserver in the NetworkPolicy, the firewall or the VPN's rules");
    let verdict = verdict
        .explains_all(if all { Cause::ALL } else { &[Cause::Silence, Cause::Search, Cause::Resolver, Cause::GivenUp] })
        .help_if(link_local.then(|| link_local_nameserver::POLICY.to_owned()));
    let verdict = seen.environment.programs.iter().filter_map(advice_for_go).fold(verdict, Verdict::help);
    Some(verdict.help("until then, `use-vc` makes glibc and Go use TCP; musl ignores it").profile_effects(ProfileEffects::none(
        "no built-in profile sets use-vc, which hangs if TCP is accepted and never answered; musl has no such option",
    )))
}

/// Returns whether a server answers by TCP alone.
fn is_blocked(seen: &Observations, server: SocketAddr) -> bool {
    let udp = Rate::count(seen.plain_queries(server, Via::Udp), |asked| asked.is_answered());
    udp.total >= SILENT_MIN && udp.hits == 0 && seen.plain_queries(server, Via::Tcp).any(AskedQuery::is_answered)
}

/// Returns what `getaddrinfo` of each program found.
fn system_lookups(seen: &Observations) -> Vec<String> {
    let mut programs: Vec<&str> = seen.lookups.iter().map(|lookup| lookup.program.as_str()).collect();
    programs.dedup();
    programs
        .into_iter()
        .map(|program| {
            let of: Vec<_> = seen.lookups.iter().filter(|lookup| lookup.program == program).collect();
            let found = of.iter().filter(|lookup| lookup.result.is_found()).count();
            let resolver = of.first().map(|lookup| lookup.resolver.to_string()).unwrap_or_default();
            format!("getaddrinfo of {resolver} ({program}) finds {found} of {} names", of.len())
        })
        .collect()
}

/// Returns what `GODEBUG=netdns=cgo` does in a Go program.
fn advice_for_go(program: &Program) -> Option<String> {
    let Program { name, resolver, because, netdns_without_effect, .. } = program;
    if resolver.family != Family::Go {
        return None;
    }
    Some(match resolver.cgo {
        Cgo::Absent => {
            let set = if *netdns_without_effect { ", which is set here," } else { "" };
            format!(
                "{name}: GODEBUG=netdns=cgo{set} has no effect: {because}; rebuild it with CGO_ENABLED=1 and without the tag \
                 netgo, or let it reach a nameserver by UDP"
            )
        }
        Cgo::Linked { libc, .. } => {
            format!("{name}: GODEBUG=netdns=cgo hands its lookups to {}, because it was built with cgo", libc.name())
        }
        Cgo::Unknown => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::QueryOutcome;
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const BLOCKED: &str = "udp53-blocked-tcp-open";

    fn no_udp() -> Seen {
        Seen::healthy().change(|asked| {
            if asked.via == Via::Udp {
                asked.outcome = QueryOutcome::Silence;
            }
        })
    }

    #[test]
    fn fires_if_tcp_alone_is_answered() {
        let verdict = fires(BLOCKED, &no_udp());
        assert_eq!(verdict.what, "10.0.0.10 answers by TCP but never by UDP: musl and Go resolve nothing");
        assert_eq!(verdict.level, Level::Deny);
        assert!(verdict.evidence[1].contains("glibc 2.36"), "{:?}", verdict.evidence);
    }

    #[test]
    fn explains_why_netdns_has_no_effect_without_cgo() {
        let go = Family::Go.at(Version::new(1, 24, 4)).with_cgo(Cgo::Absent);
        let help = fires(BLOCKED, &no_udp().program(go, true)).help.join("\n");
        assert!(help.contains("which is set here, has no effect"), "{help}");
    }

    #[test]
    fn silent_if_neither_is_answered_or_one_query_is_lost() {
        silent_of(BLOCKED, &Seen::healthy().change(|asked| asked.outcome = QueryOutcome::Silence));
        silent_of(BLOCKED, &Seen::healthy().silent_once("10.0.0.10"));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(BLOCKED);
    }
}
