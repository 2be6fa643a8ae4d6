//! A link-local nameserver, as a cache on the node has, never answers.
//!
//! ## Symptoms
//! All lookups of a pod fail or wait, while pods of other namespaces or on other nodes work. A NetworkPolicy that allows DNS only to pods
//! of kube-dns cuts the pod off from 169.254.20.10 (NodeLocal DNSCache) or 169.254.10.10 (AKS), which no pod selector matches.
//!
//! ## Detection
//! The address is link-local (169.254.0.0/16, fe80::/10) and answers nothing by UDP or TCP. A closed port means that the packets arrive
//! and no cache runs on this node; silence fits a NetworkPolicy and a missing cache alike, so the verdict is only likely.
//!
//! ## What to do
//! Allow the address by `ipBlock`, port 53, UDP and TCP. Check that the cache runs on this node.

use std::net::SocketAddr;

use crate::policy::Level;
use crate::verdicts::dead_servers::{dead_servers, is_found_elsewhere, silence};
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{Observations, QueryOutcome, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "link-local-nameserver", source: include_str!("link_local_nameserver.rs"), check };

/// The rule that lets a pod reach such an address.
pub(super) const POLICY: &str = "a NetworkPolicy must allow a link-local address by ipBlock (such as 169.254.20.10/32), port 53, UDP and \
     TCP: no podSelector matches it";

fn check(seen: &Observations) -> Option<Verdict> {
    let dead: Vec<SocketAddr> = dead_servers(seen).filter(|server| Observations::is_link_local(*server)).collect();
    let first = *dead.first()?;
    let is_closed = |server: &SocketAddr| {
        seen.plain_queries(*server, Via::Udp).all(|asked| asked.outcome == QueryOutcome::PortClosed)
    };
    let closed = dead.iter().all(is_closed);
    let why = if closed {
        "the port is closed, so no cache runs on this node"
    } else {
        "a NetworkPolicy cuts it off, or no cache runs on this node"
    };
    let what = format!("{}, a cache on the node, never answers: {why}", list(dead.iter().map(SocketAddr::ip)));
    let only = dead.len() == seen.targets.servers.len();
    let level = if only && !is_found_elsewhere(seen) { Level::Deny } else { Level::Warn };
    let confidence = if closed { Confidence::Certain } else { Confidence::Likely };
    let verdict = Verdict::new(&DIAGNOSIS, level, confidence, what);
    let verdict = dead.iter().fold(verdict, |verdict, server| verdict.evidence(silence(seen, *server)));
    let causes = if only { Cause::ALL } else { &[Cause::Silence, Cause::Search, Cause::Resolver, Cause::GivenUp][..] };
    Some(
        verdict
            .explains_all(causes)
            .help_if((!closed).then(|| POLICY.to_owned()))
            .help(format!(
                "check that the cache runs on this node (`kubectl -n kube-system get pods -l k8s-app=node-local-dns -o wide`) and listens on {}",
                first.ip()
            ))
            .profile_effects(ProfileEffects::none("no option opens a way to a server")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const LINK_LOCAL: &str = "link-local-nameserver";

    fn only(outcome: QueryOutcome) -> Seen {
        let mut seen = Seen::healthy();
        let server: SocketAddr = "169.254.20.10:53".parse().unwrap();
        seen.targets.servers = vec![server];
        for asked in &mut seen.asked {
            (asked.server, asked.outcome) = (server, outcome.clone());
        }
        seen.lookups.clear();
        seen
    }

    #[test]
    fn hedges_for_silence_and_says_which_rule_is_missing() {
        let verdict = fires(LINK_LOCAL, &only(QueryOutcome::Silence));
        assert_eq!((verdict.level, verdict.confidence), (Level::Deny, Confidence::Likely));
        assert!(verdict.help[0].contains("ipBlock") && verdict.help[0].contains("UDP and TCP"), "{:?}", verdict.help);
        silent_of("stale-nameserver", &only(QueryOutcome::Silence));
    }

    #[test]
    fn a_closed_port_is_no_policy() {
        let verdict = fires(LINK_LOCAL, &only(QueryOutcome::PortClosed));
        assert_eq!(verdict.confidence, Confidence::Certain);
        assert!(!verdict.help.iter().any(|help| help.contains("ipBlock")), "{:?}", verdict.help);
    }

    #[test]
    fn warns_if_another_server_answers() {
        let seen = Seen::healthy().first_server("169.254.20.10").silent("169.254.20.10");
        assert_eq!(fires(LINK_LOCAL, &seen).level, Level::Warn);
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(LINK_LOCAL);
    }
}
