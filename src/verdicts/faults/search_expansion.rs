//! A domain of the search list breaks lookups, or makes them slow.
//!
//! ## Symptoms
//! With `ndots:5`, a name such as `www.example.com` is tried with each search domain first. A domain with a wildcard answers all of
//! them: every short name and every external name resolves to its address. A domain that answers with an error, or with NOERROR and
//! no address (as domains that are signed on the fly do), ends musl's search: the name is not found at all. Go goes on with the next
//! domain after every answer, and glibc after an empty answer and SERVFAIL. REFUSED, FORMERR, NOTIMP and silence end glibc's list
//! too: glibc then tries the name as given, and reports a short name that a later domain has as not existing (glibc
//! `resolv/res_query.c` `__res_context_search`; run on 2.36). A domain that never answers also costs a timeout for each lookup.
//!
//! ## Detection
//! The probe asks for names that do not exist below each search domain; they must get NXDOMAIN. Missing answers count only if the
//! path's loss does not explain them (Fisher's exact test). The probe also measures the time of an external name with and without
//! the search list, for the queries that the model of each resolver predicts.
//!
//! ## What to do
//! Remove the domain from the search list: it mostly comes from the node's resolv.conf. Write external names with a final dot. A
//! lower `ndots` is safe for glibc and Go, and breaks cluster names on musl (`ndots-breaks-musl`).

use std::time::Duration;

use super::fake_ip::is_benchmark;
use crate::policy::Level;
use crate::resolver::{Answer, Family};
use crate::verdicts::failures::Cause;
use crate::verdicts::lookup_costs::{combined_answer, lookup_costs, resolvers_to_compare};
use crate::verdicts::observations::{AskedQuery, Observations, Purpose, QueryType, Targets};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "search-expansion", source: include_str!("search_expansion.rs"), check };

/// The number of names below a domain that must be answered alike.
const TRIES_MIN: usize = 2;
/// The time that the search list may add to a lookup without a verdict.
const EXTRA_MAX: Duration = Duration::from_millis(200);

/// A name that is this slow without the search list belongs to `slow-server`.
const SLOW: Duration = Duration::from_millis(500);

fn check(seen: &Observations) -> Option<Verdict> {
    // If nothing is answered at all, the search list is not the cause.
    seen.answering_servers().next()?;
    let harmful: Vec<(&str, Answer)> = seen
        .environment
        .resolv_conf
        .search
        .iter()
        .filter_map(|domain| Some((domain.as_str(), answer_below(seen, domain)?)))
        .filter(|(_, answer)| *answer != Answer::NxDomain)
        // If the cluster's own zone fails, its domains in the list are not the cause.
        .filter(|(domain, answer)| *answer == Answer::Address || !is_of_failing_zone(seen, domain))
        // A proxy that answers everything has a verdict of its own (`fake-ip`).
        .filter(|(domain, _)| !is_of_proxy(seen, domain))
        .collect();
    if harmful.is_empty() { slow_search(seen) } else { Some(harmful_domains(seen, &harmful)) }
}

/// Returns whether a search domain is one of the cluster, none of whose names has an address.
fn is_of_failing_zone(seen: &Observations, domain: &str) -> bool {
    let Targets { names, cluster_domain, .. } = &seen.targets;
    let domain = domain.trim_end_matches('.');
    let is_of_cluster = domain.eq_ignore_ascii_case(cluster_domain) || seen.targets.is_in_cluster(domain);
    let of_cluster = [Purpose::Name, Purpose::Zone].into_iter().flat_map(|purpose| seen.asked_for(purpose));
    let mut of_cluster = of_cluster.filter(|asked| seen.targets.is_in_cluster(&asked.name));
    !names.is_empty() && is_of_cluster && of_cluster.all(|asked| asked.addresses().is_empty())
}

/// Returns the queries for names that do not exist below a search domain.
fn queries_below<'a>(seen: &'a Observations, domain: &'a str) -> impl Iterator<Item = &'a AskedQuery> {
    let domain = domain.trim_end_matches('.');
    let is_below = move |asked: &&AskedQuery| {
        asked.name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain))
    };
    seen.asked_for(Purpose::Searched).filter(is_below)
}

/// Returns whether every address below a search domain is one that proxies make.
fn is_of_proxy(seen: &Observations, domain: &str) -> bool {
    let mut addresses = queries_below(seen, domain).flat_map(AskedQuery::addresses).peekable();
    addresses.peek().is_some() && addresses.all(|ip| is_benchmark(*ip))
}

/// Returns a search domain's answer for names that do not exist, if all answers are alike.
fn answer_below(seen: &Observations, domain: &str) -> Option<Answer> {
    let below: Vec<&AskedQuery> = queries_below(seen, domain).collect();
    let server = below.first()?.server;
    let none_answered = below.len() >= 2 * TRIES_MIN && below.iter().all(|asked| !asked.is_answered());
    if none_answered && seen.ignores(server, below.iter().copied()) {
        return Some(Answer::Timeout);
    }
    // A name with a lost answer does not count.
    let of = |kind: QueryType| below.iter().filter(move |asked| asked.kind == kind && asked.is_answered());
    let answers: Vec<Answer> = of(QueryType::A)
        .filter_map(|a| Some(combined_answer(a, of(QueryType::Aaaa).find(|aaaa| aaaa.name == a.name)?)))
        .collect();
    let first = *answers.first()?;
    (answers.len() >= TRIES_MIN && answers.iter().all(|answer| *answer == first)).then_some(first)
}

fn harmful_domains(seen: &Observations, harmful: &[(&str, Answer)]) -> Verdict {
    let wildcard = harmful.iter().find(|(_, answer)| *answer == Answer::Address);
    let ends = harmful.iter().any(|(_, answer)| !matches!(answer, Answer::Address));
    let ends_glibc = harmful.iter().any(|(_, answer)| matches!(answer, Answer::Refused | Answer::Timeout));
    let what = match wildcard {
        Some((domain, _)) => format!("the search domain {domain} has an address for every name"),
        None => {
            let domains = list(harmful.iter().map(|(domain, answer)| format!("{domain} ({})", answer_name(*answer))));
            format!("{} ends at {domains}", if ends_glibc { "the search of musl and glibc" } else { "musl's search" })
        }
    };
    let level = if wildcard.is_some() || seen.programs().any(|program| program.resolver.family == Family::Musl) {
        Level::Deny
    } else {
        Level::Warn
    };
    let verdict = Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what);
    let verdict = harmful.iter().fold(verdict, |verdict, (domain, answer)| {
        verdict.evidence(format!("names that do not exist get {} below {domain}", answer_name(*answer)))
    });
    verdict
        .evidence_if(wildcard.map(|_| "every resolver that tries a name with this domain gets the wrong address".to_owned()))
        .evidence_if(ends.then(|| "musl ends its search at anything but NXDOMAIN; Go goes on after every answer".to_owned()))
        .evidence_if(ends_glibc.then(|| {
            "glibc skips the domains after one that refuses or is silent, and calls their names unknown; it still tries the name as given"
                .to_owned()
        }))
        .help("remove the domain from the search list: it mostly comes from the node's resolv.conf, else from dnsConfig.searches")
        .help("write external names with a final dot: they skip the search list")
        .profile_effects(ProfileEffects::none("no built-in profile changes the search list, and a lower ndots breaks names of the cluster on musl"))
        .explains_all(&[Cause::Search, Cause::GivenUp])
}

fn slow_search(seen: &Observations) -> Option<Verdict> {
    let external = seen.targets.external_names.first()?;
    let costs = lookup_costs(seen, &resolvers_to_compare(seen));
    let of = |name: &str| costs.iter().filter(|cost| cost.name == name).max_by_key(|cost| cost.today.took).cloned();
    let (searched, rooted) = (of(external)?, of(&format!("{external}."))?);
    let extra = searched.today.took.saturating_sub(rooted.today.took);
    // A name that is slow by itself, is not found or loses queries has another cause.
    let is_well = searched.today.found && searched.today.all_answered && rooted.today.found && rooted.today.took < SLOW;
    if !is_well || extra < EXTRA_MAX || searched.today.took < 2 * rooted.today.took {
        return None;
    }
    let what = format!(
        "the search list makes {external} take {} ms instead of {} ms",
        searched.today.took.as_millis(),
        rooted.today.took.as_millis()
    );
    let verdict = Verdict::new(&DIAGNOSIS, Level::Info, Confidence::Certain, what)
        .evidence(format!("{} queries instead of {}", searched.today.queries, rooted.today.queries))
        .evidence_if(
            searched
                .measured
                .filter(|lookup| lookup.result.is_found())
                .map(|lookup| format!("getaddrinfo of {} took {} ms", searched.resolver, lookup.took.as_millis())),
        )
        .help("write external names with a final dot, if the program allows it")
        .help("a lower ndots saves these queries with glibc and Go; on musl it breaks names of the cluster")
        .profile_effects(ProfileEffects::none(
            "no built-in profile changes ndots or the search list, as that breaks names on musl",
        ));
    Some(verdict)
}

const fn answer_name(answer: Answer) -> &'static str {
    match answer {
        Answer::Address => "an address",
        Answer::NxDomain => "NXDOMAIN",
        Answer::NoData => "an empty answer",
        Answer::ServFail => "SERVFAIL",
        Answer::Refused => "REFUSED or another error",
        Answer::Timeout => "no answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::{Code, QueryOutcome};
    use crate::verdicts::tests::{SECOND, Seen, answer, code, fires, silent, silent_of};

    const SEARCH: &str = "search-expansion";

    fn below(domain: &'static str, outcome: QueryOutcome) -> Seen {
        Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::Searched
                && asked.name.ends_with(&format!(".{domain}"))
                && !asked.name.contains(".svc.")
            {
                asked.outcome = outcome.clone();
            }
        })
    }

    #[test]
    fn denies_for_a_wildcard_in_a_search_domain() {
        let verdict = fires(SEARCH, &below("cluster.local", answer(&["10.1.1.1"], 30)));
        assert_eq!(
            (&*verdict.what, verdict.level),
            ("the search domain cluster.local has an address for every name", Level::Deny)
        );
    }

    #[test]
    fn silent_for_addresses_of_a_proxy_that_answers_everything() {
        silent_of(SEARCH, &below("cluster.local", answer(&["198.18.0.4"], 1)));
    }

    #[test]
    fn names_each_answer_that_ends_a_search_and_whose_search_ends() {
        const BOTH: &str = "the search of musl and glibc";
        for (outcome, whose, word) in [
            (code(Code::Refused), BOTH, "REFUSED or another error"),
            (code(Code::FormErr), BOTH, "REFUSED or another error"),
            (code(Code::NotImp), BOTH, "REFUSED or another error"),
            (QueryOutcome::Silence, BOTH, "no answer"),
            (code(Code::ServFail), "musl's search", "SERVFAIL"),
            (code(Code::NoError), "musl's search", "an empty answer"),
        ] {
            let verdict = fires(SEARCH, &below("cluster.local", outcome));
            assert_eq!(verdict.what, format!("{whose} ends at cluster.local ({word})"));
            assert_eq!(verdict.level, Level::Warn);
        }
        let musl = Family::Musl.at(Version::new(1, 2, 5));
        assert_eq!(fires(SEARCH, &below("cluster.local", code(Code::Refused)).program(musl, false)).level, Level::Deny);
    }

    #[test]
    fn advises_if_the_search_list_costs_much() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::SearchExpansion && asked.name != "example.com" {
                asked.took = SECOND / 5;
            }
        });
        let verdict = fires(SEARCH, &seen);
        assert_eq!(
            (&*verdict.what, verdict.level),
            ("the search list makes example.com take 604 ms instead of 4 ms", Level::Info)
        );
    }

    #[test]
    fn silent_for_one_lost_answer_below_a_domain() {
        let mut lost = false;
        silent_of(
            SEARCH,
            &Seen::healthy().change(move |asked| {
                if asked.purpose == Purpose::Searched && !std::mem::replace(&mut lost, true) {
                    asked.outcome = QueryOutcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(SEARCH);
    }
}
