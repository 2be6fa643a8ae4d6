//! A nameserver answers, and no name resolves through it.
//!
//! ## Symptoms
//! Every lookup fails at once, or after the resolver has tried all names: "no such name" for NXDOMAIN and for empty answers, "try again"
//! for SERVFAIL and REFUSED. The address of the nameserver is wrong, it refuses this client, or it has nothing to forward to.
//!
//! ## Detection
//! The nameserver answers at least two queries for each requested name, inside and outside the cluster, and no answer of any kind has an
//! address or a record. A name that is merely missing gets `name-fails`, and a cluster's zone that is missing `no-cluster-zone`.
//!
//! ## What to do
//! Compare the address with that of the cluster's DNS service (`kubectl -n kube-system get service kube-dns`). If it is right, read the
//! log of CoreDNS (`kubectl -n kube-system logs -l k8s-app=kube-dns`): SERVFAIL means that CoreDNS fails, REFUSED that a view, an `acl`
//! or a missing server block keeps this client out.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::policy::Level;
use crate::resolver::Family;
use crate::verdicts::failures::{Cause, failed_by_server};
use crate::verdicts::observations::{Code, Observations, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "nothing-resolves", source: include_str!("nothing_resolves.rs"), check };

fn check(seen: &Observations) -> Option<Verdict> {
    let servers: Vec<SocketAddr> = seen.answering_servers().filter(|server| resolves_nothing(seen, *server)).collect();
    let first = *servers.first()?;
    let codes = codes(seen, &servers);
    let denied = codes.iter().all(|code| matches!(code, Code::NxDomain | Code::NoError));
    let what =
        format!("{} answers, but resolves no name: {}", list(servers.iter().map(SocketAddr::ip)), code_names(&codes));
    let verdict = Verdict::new(&DIAGNOSIS, level(seen, &servers, denied), Confidence::Certain, what);
    let verdict = servers.iter().fold(verdict, |verdict, server| {
        let of = || seen.single_queries().filter(|asked| asked.server == *server);
        let answered = of().filter(|asked| asked.is_answered()).count();
        verdict.evidence(format!(
            "{}: {answered} of {} queries are answered, none with a record",
            server.ip(),
            of().count()
        ))
    });
    let verdict = match of_other_servers(seen, &servers) {
        Some(text) => verdict.evidence(text).explains_all(&[Cause::Denied, Cause::Error]),
        None => verdict.explains_all(Cause::ALL),
    };
    let verdict = if codes.contains(&Code::Refused) {
        verdict.help("REFUSED: an `acl` or a missing server block of CoreDNS keeps this client out, or this is not the cluster's nameserver")
    } else if codes.contains(&Code::ServFail) {
        verdict.help("SERVFAIL: read CoreDNS's log (`kubectl -n kube-system logs -l k8s-app=kube-dns`): the API server and the servers that it \
                      forwards to may be out of its reach")
    } else {
        verdict
    };
    Some(
        verdict
            .help(format!(
                "compare {} with the address of the cluster's DNS service (`kubectl -n kube-system get service kube-dns`)",
                first.ip()
            ))
            .profile_effects(ProfileEffects::none("no option makes a nameserver know a name")),
    )
}

/// Returns whether a server answers for all requested names, and no answer has a record.
fn resolves_nothing(seen: &Observations, server: SocketAddr) -> bool {
    let targets = &seen.targets;
    let fails = |name: &str| {
        let failed = failed_by_server(seen, server, name);
        failed.is_some_and(|failed| matches!(failed.cause, Cause::Denied | Cause::Error))
    };
    let of_server = seen.single_queries().filter(|asked| asked.server == server);
    let mut answers = of_server.filter_map(|asked| asked.answer());
    !targets.names.is_empty()
        && !targets.external_names.is_empty()
        && targets.requested().all(fails)
        && answers.all(|answer| answer.records == 0 && answer.addresses.is_empty() && !answer.truncated)
}

/// Returns the severity of a fault of these servers, where `denied` means that they answer that names do not exist.
///
/// glibc and Go ask the first server and take its answer; musl asks all and takes the first one that is no error.
pub(super) fn level(seen: &Observations, servers: &[SocketAddr], denied: bool) -> Level {
    let is_first = seen.targets.servers.first().is_some_and(|first| servers.contains(first));
    let has_musl = seen.programs().any(|program| program.resolver.family == Family::Musl);
    let all = seen.answering_servers().all(|server| servers.contains(&server));
    if all || is_first || (denied && has_musl) { Level::Deny } else { Level::Warn }
}

/// Returns what the other answering servers mean for lookups, if there are some.
pub(super) fn of_other_servers(seen: &Observations, servers: &[SocketAddr]) -> Option<String> {
    let others: Vec<SocketAddr> = seen.answering_servers().filter(|server| !servers.contains(server)).collect();
    (!others.is_empty()).then(|| {
        format!(
            "{} answers otherwise: musl takes whichever answers first, glibc and Go that of the first nameserver",
            list(others.iter().map(SocketAddr::ip))
        )
    })
}

fn codes(seen: &Observations, servers: &[SocketAddr]) -> BTreeSet<Code> {
    let of = servers
        .iter()
        .flat_map(|server| seen.targets.requested().flat_map(|name| seen.queries_for(*server, name, Via::Udp)));
    of.filter_map(|asked| asked.code()).collect()
}

/// Returns codes as `NXDOMAIN and an empty answer`.
pub(super) fn code_names(codes: &BTreeSet<Code>) -> String {
    list(codes.iter().map(|code| match code {
        Code::NoError => "an empty answer".to_owned(),
        code => code.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::Purpose;
    use crate::verdicts::tests::{Seen, code, fires, silent, silent_of};

    const NOTHING: &str = "nothing-resolves";

    #[test]
    fn fires_for_each_code_that_every_name_gets() {
        for (answer, word) in [
            (Code::NxDomain, "NXDOMAIN"),
            (Code::Refused, "REFUSED"),
            (Code::ServFail, "SERVFAIL"),
            (Code::NoError, "an empty answer"),
        ] {
            let verdict = fires(NOTHING, &Seen::healthy().change(|asked| asked.outcome = code(answer)));
            assert_eq!(verdict.what, format!("10.0.0.10 answers, but resolves no name: {word}"));
            assert_eq!(verdict.level, Level::Deny);
            assert_eq!(verdict.failing_names, ["kubernetes.default.svc.cluster.local", "example.com"]);
        }
    }

    #[test]
    fn severity_of_a_second_server_depends_on_the_resolver() {
        let seen = || {
            Seen::healthy().server("10.0.0.11").change(|asked| {
                if asked.server.ip().to_string() == "10.0.0.11" {
                    asked.outcome = code(Code::NxDomain);
                }
            })
        };
        assert_eq!(fires(NOTHING, &seen()).level, Level::Warn);
        assert_eq!(fires(NOTHING, &seen().program(Family::Musl.unversioned(), false)).level, Level::Deny);
    }

    #[test]
    fn silent_if_the_root_is_known() {
        let names_fail = Seen::healthy().change(|asked| {
            if matches!(asked.purpose, Purpose::Name | Purpose::External | Purpose::Zone) {
                asked.outcome = code(Code::NxDomain);
            }
        });
        silent_of(NOTHING, &names_fail);
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(NOTHING);
    }
}
