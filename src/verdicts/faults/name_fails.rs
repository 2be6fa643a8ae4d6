//! A requested name does not resolve here.
//!
//! ## Symptoms
//! A program reports "no such name", "try again" or a timeout for one name, while others work.
//!
//! ## Detection
//! Each requested name is queried at each nameserver, looked up through each C library, and computed for each resolver by the model. Every
//! lookup that fails is named: by the verdict of its cause, or else by this one, with who says so and the answer. An answer counts if it
//! came at least twice. If a name resolves and a short form of it does not, the search list is the cause.
//!
//! ## What to do
//! NXDOMAIN: check the name and its namespace. An empty answer: the name exists without an address, as that of a Service with no ready
//! pods can. SERVFAIL: read the nameserver's log, since it, or a server behind it, failed. REFUSED: the nameserver keeps this client or
//! this zone out. If only one resolver fails, the evidence says which, and how the others fare.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::policy::Level;
use crate::resolver::Family;
use crate::verdicts::failures::{By, Cause, FailedLookup};
use crate::verdicts::observations::{AskedQuery, Observations, Purpose, QueryType, Targets, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis = Diagnosis { slug: "name-fails", source: include_str!("name_fails.rs"), check };

/// The most names whose evidence is listed.
const NAMES_MAX: usize = 8;

/// Returns nothing: this verdict is reached by [`unexplained`], after all others.
const fn check(_: &Observations) -> Option<Verdict> {
    None
}

/// Returns the verdict about the failed lookups that no other verdict accounts for.
pub(super) fn unexplained(seen: &Observations, failed: &[FailedLookup]) -> Option<Verdict> {
    let first = failed.first()?;
    let names: Vec<&str> = seen.targets.requested().filter(|name| failed.iter().any(|it| it.name == *name)).collect();
    let (level, confidence) = (level(seen, failed), confidence(failed));
    let what = match &names[..] {
        [name] => what(seen, name, failed),
        names => format!("{} do not resolve here", list(names)),
    };
    let verdict = Verdict::new(&DIAGNOSIS, level, confidence, what);
    let verdict = names.iter().take(NAMES_MAX).fold(verdict, |verdict, name| {
        let answers = seen.targets.servers.iter().filter_map(|server| answers(seen, *server, name));
        answers.fold(verdict, Verdict::evidence)
    });
    let verdict = surroundings(seen, &names).into_iter().fold(verdict, Verdict::evidence);
    let verdict = help(seen, first, failed).into_iter().fold(verdict, Verdict::help);
    let effects = ProfileEffects::none("no profile changes what a nameserver knows, or the search list");
    Some(verdict.profile_effects(effects).explains(names, Cause::ALL))
}

/// Returns the severity: a name that a C library does not find, or that the first nameserver does not have, fails for certain programs.
fn level(seen: &Observations, failed: &[FailedLookup]) -> Level {
    let answering: Vec<SocketAddr> = seen.answering_servers().collect();
    let is_serious = |failed: &FailedLookup| match &failed.by {
        By::Library(_) => true,
        By::Server(server) => failed.cause != Cause::Sometimes && answering.first() == Some(server),
        By::Model(_) => false,
    };
    if failed.iter().any(is_serious) { Level::Deny } else { Level::Warn }
}

fn confidence(failed: &[FailedLookup]) -> Confidence {
    let is_certain = |failed: &FailedLookup| {
        matches!(failed.cause, Cause::Denied | Cause::Error | Cause::Search) || matches!(failed.by, By::Library(_))
    };
    if failed.iter().any(is_certain) { Confidence::Certain } else { Confidence::Likely }
}

/// Returns the problem of one name.
fn what(seen: &Observations, name: &str, failed: &[FailedLookup]) -> String {
    let mut servers: Vec<String> = Vec::new();
    for failed in failed {
        if let By::Server(server) = failed.by {
            let verb = if matches!(failed.cause, Cause::Silence) { "gives" } else { "answers" };
            servers.push(format!("{} {verb} {}", server.ip(), failed.how));
        }
    }
    let others: BTreeSet<String> = failed
        .iter()
        .filter_map(|failed| match &failed.by {
            By::Library(library) => Some(format!("getaddrinfo of {library}")),
            By::Model(resolver) => Some(resolver.clone()),
            By::Server(_) => None,
        })
        .collect();
    let sometimes = failed.iter().any(|failed| failed.cause == Cause::Sometimes);
    let is_everywhere = servers.len() == seen.answering_servers().count();
    let spellings: BTreeSet<&str> = failed.iter().map(|failed| failed.spelling.as_str()).collect();
    if sometimes {
        format!("{name} resolves only sometimes: {}", list(servers))
    } else if is_everywhere && !servers.is_empty() {
        format!("{name} does not resolve here: {}", list(servers))
    } else if !servers.is_empty() {
        format!("{name} does not resolve through every nameserver: {}", list(servers))
    } else if failed.iter().all(|failed| failed.cause == Cause::Search) {
        format!("{} is not found by {}, and {name}. is", list(spellings), list(others))
    } else {
        format!("{} is not found by {}, though the nameserver has an address", list(spellings), list(others))
    }
}

/// Returns what a nameserver answers for a name: by type, and with EDNS if that differs.
fn answers(seen: &Observations, server: SocketAddr, name: &str) -> Option<String> {
    let count = |asked: Vec<&AskedQuery>| -> Option<String> {
        let mut texts: Vec<(String, usize)> = Vec::new();
        for asked in asked {
            let text = asked.outcome_text();
            match texts.iter_mut().find(|(known, _)| *known == text) {
                Some((_, count)) => *count += 1,
                None => texts.push((text, 1)),
            }
        }
        (!texts.is_empty()).then(|| list(texts.into_iter().map(|(text, count)| format!("{text} ({count} times)"))))
    };
    let plain = |kind| {
        let of = seen.queries_for(server, name, Via::Udp).filter(move |asked| asked.kind == kind);
        count(of.collect()).map(|text| format!("{} gets {text}", kind.name()))
    };
    let with_edns = seen
        .asked_for(Purpose::Name)
        .chain(seen.asked_for(Purpose::External))
        .filter(|asked| asked.server == server && asked.edns.is_some() && asked.name.eq_ignore_ascii_case(name));
    let texts = [QueryType::A, QueryType::Aaaa].into_iter().filter_map(plain);
    let with_edns = count(with_edns.collect()).map(|text| format!("A with EDNS gets {text}"));
    let texts: Vec<String> = texts.chain(with_edns).collect();
    (!texts.is_empty()).then(|| format!("{}, {name}: {}", server.ip(), texts.join("; ")))
}

/// Returns what else the observations show: whether other names resolve.
fn surroundings(seen: &Observations, failing: &[&str]) -> Vec<String> {
    let resolves = |name: &&str| {
        let mut servers = seen.targets.servers.iter();
        servers.any(|server| seen.queries_for(*server, name, Via::Udp).any(|asked| !asked.addresses().is_empty()))
    };
    let well: Vec<&str> = seen.targets.requested().filter(|name| !failing.contains(name)).filter(resolves).collect();
    let mut texts: Vec<String> = Vec::new();
    if !well.is_empty() {
        texts.push(format!("{} resolves", list(well)));
    }
    if !failing.is_empty() && !seen.targets.external_names.is_empty() && no_external_resolves(seen) {
        let root = seen.asked_for(Purpose::Signed).find(|asked| asked.is_answered());
        let root = root.filter(|asked| asked.answer().is_some_and(|answer| answer.records == 0));
        texts.extend(root.map(|asked| format!("the root's keys get {} too", asked.outcome_text())));
    }
    texts
}

/// Returns whether no external name that was requested has an address.
fn no_external_resolves(seen: &Observations) -> bool {
    seen.asked_for(Purpose::External).all(|asked| asked.addresses().is_empty())
}

fn help(seen: &Observations, first: &FailedLookup, failed: &[FailedLookup]) -> Vec<String> {
    let mut help = Vec::new();
    let has = |cause| failed.iter().any(|failed| failed.cause == cause);
    let is_external = |failed: &FailedLookup| seen.targets.external_names.contains(&failed.name);
    let api_server = Targets::api_server_name(&seen.targets.cluster_domain);
    let zone_is_known = seen
        .single_queries()
        .any(|asked| asked.name.eq_ignore_ascii_case(&api_server) && !asked.addresses().is_empty());
    if failed.iter().any(is_external) && no_external_resolves(seen) {
        help.push(
            "if no external name resolves, CoreDNS's `forward` leads to a server that does not know them; if the cluster has no way out by \
             design, probe with --inside-only, or with --external-name and a name that resolves there"
                .to_owned(),
        );
    }
    if has(Cause::Denied) {
        let known =
            if zone_is_known && first.name != api_server { ", as the cluster's zone is known here" } else { "" };
        help.push(format!(
            "check the name and its namespace{known}: NXDOMAIN means that the nameserver has no such name; an empty answer that the name has \
             no address of either type, as that of a headless Service without ready pods"
        ));
    }
    if has(Cause::Error) || has(Cause::Sometimes) {
        let edns_helps = failed.iter().any(|failed| resolves_with_edns(seen, &failed.name));
        if edns_helps {
            help.push(
                "with EDNS the name is answered: Go sends EDNS itself, glibc with the option edns0, musl never; update the nameserver, or \
                 whatever answers in its place"
                    .to_owned(),
            );
        }
        help.push(
            "read the nameserver's log (`kubectl -n kube-system logs -l k8s-app=kube-dns`): it, one of its replicas, or a server that it \
             forwards to fails for this name"
                .to_owned(),
        );
    }
    if has(Cause::Silence) {
        help.push(
            "the nameserver answers other queries: look for a filter on its way to this name, or a server behind it"
                .to_owned(),
        );
    }
    if has(Cause::Search) {
        help.push(search_help(failed));
    }
    if help.is_empty() {
        help.push("compare the lookups in the table with the nameserver's answers, and probe again".to_owned());
    }
    help
}

fn search_help(failed: &[FailedLookup]) -> String {
    let only_musl = failed.iter().filter(|failed| failed.cause == Cause::Search).all(|failed| {
        let (By::Model(resolver) | By::Library(resolver)) = &failed.by else { return false };
        resolver.starts_with(Family::Musl.name())
    });
    if only_musl {
        "write the full name: musl never tries the search list for a name with `ndots` dots or more (`muslin explain ndots-breaks-musl`)".to_owned()
    } else {
        "write the full name, or give the pod the cluster's search list (dnsPolicy: ClusterFirst, or dnsConfig.searches)".to_owned()
    }
}

/// Returns whether a name has an address if it is queried with EDNS.
fn resolves_with_edns(seen: &Observations, name: &str) -> bool {
    let named = seen.asked_for(Purpose::Name).chain(seen.asked_for(Purpose::External));
    let mut with_edns = named.filter(|asked| asked.edns.is_some() && asked.name.eq_ignore_ascii_case(name));
    with_edns.any(|asked| !asked.addresses().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{Code, LookupResult, QueryOutcome};
    use crate::verdicts::tests::{Seen, code, fires, silent, silent_of};

    const FAILS: &str = "name-fails";

    fn external(outcome: QueryOutcome) -> Seen {
        Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::External {
                asked.outcome = outcome.clone();
            }
        })
    }

    #[test]
    fn names_the_name_the_server_and_the_answer() {
        for (outcome, word) in [
            (code(Code::NxDomain), "NXDOMAIN"),
            (code(Code::NoError), "an empty answer"),
            (code(Code::ServFail), "SERVFAIL"),
            (code(Code::Refused), "REFUSED"),
        ] {
            let verdict = fires(FAILS, &external(outcome));
            assert_eq!(verdict.what, format!("example.com does not resolve here: 10.0.0.10 answers {word}"));
            assert_eq!((verdict.level, verdict.confidence), (Level::Deny, Confidence::Certain));
            assert_eq!(verdict.failing_names, ["example.com"]);
            let evidence = verdict.evidence.join("\n");
            assert!(evidence.contains("kubernetes.default.svc.cluster.local resolves"), "{evidence}");
        }
    }

    #[test]
    fn names_a_name_that_is_not_answered() {
        let verdict = fires(FAILS, &external(QueryOutcome::Silence));
        assert_eq!(verdict.what, "example.com does not resolve here: 10.0.0.10 gives no answer");
    }

    #[test]
    fn shows_that_edns_is_answered() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::External && asked.edns.is_none() {
                asked.outcome = code(Code::ServFail);
            }
        });
        let verdict = fires(FAILS, &seen);
        assert!(verdict.evidence[0].contains("A with EDNS gets an address"), "{:?}", verdict.evidence);
        assert!(verdict.help.iter().any(|help| help.starts_with("with EDNS")), "{:?}", verdict.help);
    }

    #[test]
    fn warns_if_another_server_has_the_name() {
        let seen = Seen::healthy().server("10.0.0.11").change(|asked| {
            if asked.purpose == Purpose::External && asked.server.ip().to_string() == "10.0.0.11" {
                asked.outcome = code(Code::NxDomain);
            }
        });
        let verdict = fires(FAILS, &seen);
        assert_eq!(verdict.level, Level::Warn);
        assert!(verdict.what.contains("not resolve through every nameserver: 10.0.0.11"), "{}", verdict.what);
    }

    #[test]
    fn hedges_if_a_name_fails_sometimes() {
        let mut count = 0;
        let seen = Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::External && asked.kind == QueryType::A && asked.edns.is_none() {
                count += 1;
                if count % 3 == 0 {
                    asked.outcome = code(Code::ServFail);
                }
            }
        });
        let verdict = fires(FAILS, &seen);
        assert_eq!((verdict.level, verdict.confidence), (Level::Warn, Confidence::Likely));
        assert!(
            verdict.what.contains("resolves only sometimes: 10.0.0.10 answers SERVFAIL in 2 of"),
            "{}",
            verdict.what
        );
    }

    #[test]
    fn names_the_resolver_that_does_not_find_a_short_name() {
        let verdict = fires(FAILS, &Seen::healthy().options("ndots:2"));
        assert_eq!(verdict.level, Level::Warn);
        assert_eq!(
            verdict.what,
            "kubernetes.default.svc is not found by musl, and kubernetes.default.svc.cluster.local. is"
        );
        assert!(verdict.help[0].contains("ndots-breaks-musl"), "{:?}", verdict.help);
    }

    #[test]
    fn names_one_lookup_that_a_library_alone_fails() {
        let mut seen = Seen::healthy();
        for lookup in seen.lookups.iter_mut().filter(|lookup| lookup.name == "example.com.") {
            lookup.result = LookupResult::Nothing;
            lookup.error = Some("EAI_AGAIN".to_owned());
        }
        let verdict = fires(FAILS, &seen);
        assert_eq!(verdict.level, Level::Deny);
        assert!(verdict.evidence.last().unwrap().contains("EAI_AGAIN for example.com."), "{:?}", verdict.evidence);
    }

    #[test]
    fn silent_for_one_wrong_answer() {
        silent_of(FAILS, &Seen::healthy().once(QueryType::A, code(Code::ServFail)));
        silent_of(FAILS, &Seen::healthy().once(QueryType::A, QueryOutcome::Silence));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(FAILS);
    }
}
