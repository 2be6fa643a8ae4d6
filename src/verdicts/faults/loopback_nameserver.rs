//! A nameserver is a loopback address, and nothing answers there.
//!
//! ## Symptoms
//! In a pod, `127.0.0.1`, `127.0.0.53` or `::1` is the pod itself. Lookups fail, or wait for this server first. The address mostly comes
//! from the node's file, where it leads to systemd-resolved or a local cache: pods with `dnsPolicy: Default`, and CoreDNS with
//! `forward . /etc/resolv.conf`, get that file. CoreDNS then asks itself, and its `loop` plugin ends it.
//!
//! ## Detection
//! The address is a loopback address and answers nothing by UDP or TCP. A sidecar that answers there is no fault.
//!
//! ## What to do
//! Point the kubelet's `resolvConf` at a file with real servers (`/run/systemd/resolve/resolv.conf`), or give the pod the cluster's
//! nameserver. Then create the pods anew, CoreDNS's too.

use std::net::SocketAddr;

use crate::policy::Level;
use crate::verdicts::dead_servers::{dead_servers, is_found_elsewhere, origins, silence};
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::Observations;
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "loopback-nameserver", source: include_str!("loopback_nameserver.rs"), check };

fn check(seen: &Observations) -> Option<Verdict> {
    let dead: Vec<SocketAddr> = dead_servers(seen).filter(|server| server.ip().to_canonical().is_loopback()).collect();
    if dead.is_empty() {
        return None;
    }
    let itself = if seen.environment.in_pod { "this pod itself" } else { "this machine itself" };
    let what =
        format!("{} is {itself} (loopback), and no nameserver answers there", list(dead.iter().map(SocketAddr::ip)));
    let only = dead.len() == seen.targets.servers.len();
    let level = if only && !is_found_elsewhere(seen) { Level::Deny } else { Level::Warn };
    let verdict = Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what);
    let verdict = dead.iter().fold(verdict, |verdict, server| verdict.evidence(silence(seen, *server)));
    let causes = if only { Cause::ALL } else { &[Cause::Silence, Cause::Search, Cause::Resolver, Cause::GivenUp][..] };
    let origins = dead.iter().flat_map(|server| origins(seen, server.ip()));
    let verdict = origins.fold(verdict, Verdict::help);
    Some(
        verdict
            .explains_all(causes)
            .help(
                "the address mostly comes from the node's resolv.conf: point the kubelet's resolvConf at the file with the real servers \
                 (/run/systemd/resolve/resolv.conf), then create the pods anew, CoreDNS's too",
            )
            .help("or give the pod the cluster's nameserver: dnsPolicy ClusterFirst, or dnsConfig.nameservers")
            .profile_effects(ProfileEffects::none("no option makes a server answer")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::QueryOutcome;
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const LOOPBACK: &str = "loopback-nameserver";

    fn closed(seen: Seen, ip: &'static str) -> Seen {
        seen.change(|asked| {
            if asked.server.ip().to_string() == ip {
                asked.outcome = QueryOutcome::PortClosed;
            }
        })
    }

    #[test]
    fn fires_in_place_of_a_stale_nameserver() {
        let mut seen = closed(Seen::healthy().first_server("127.0.0.53"), "127.0.0.53");
        seen.environment.in_pod = true;
        let verdict = fires(LOOPBACK, &seen);
        assert_eq!(
            (&*verdict.what, verdict.level),
            ("127.0.0.53 is this pod itself (loopback), and no nameserver answers there", Level::Warn)
        );
        silent_of("stale-nameserver", &seen);
    }

    #[test]
    fn denies_if_there_is_no_other() {
        let mut seen = Seen::healthy();
        seen.targets.servers = vec!["[::1]:53".parse().unwrap()];
        for asked in &mut seen.asked {
            (asked.server, asked.outcome) = ("[::1]:53".parse().unwrap(), QueryOutcome::PortClosed);
        }
        seen.lookups.clear();
        assert_eq!(fires(LOOPBACK, &seen).level, Level::Deny);
    }

    #[test]
    fn silent_if_a_sidecar_answers_there() {
        silent_of(LOOPBACK, &Seen::healthy().first_server("127.0.0.1"));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(LOOPBACK);
    }
}
