//! A domain of the search list does harm, or costs much.
//!
//! ## What it looks like
//! With `ndots:5` a name such as `www.example.com` is tried with each search domain first. A domain with a wildcard answers all of them:
//! every short name, and every name outside, is found at its address. One that answers with an error, or that there is such a name
//! without an address (as domains do that are signed on the fly), ends musl's search: the name is not found at all, while glibc and Go go on
//! (measured). One that never answers costs a timeout for each lookup.
//!
//! ## How it is told
//! Names that nobody has are asked for below each search domain. They must get NXDOMAIN; no answer counts where it is no chance by
//! what the path loses (Fisher's exact test). And the time that a name outside takes is measured with the search list and without,
//! for the queries that the model of each resolver says it sends.
//!
//! ## What to do
//! Take the domain out of the search list: it mostly comes from the node's resolv.conf. Write names outside with a dot at their end. A lower
//! `ndots` is safe for glibc and Go, and breaks cluster names on musl (`ndots-breaks-musl`).

use std::time::Duration;

use crate::policy::Level;
use crate::resolver::{Answer, Family};
use crate::verdicts::lookup_costs::{costs, resolvers, together};
use crate::verdicts::observations::{Asked, Kind, Observations, Purpose};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "search-expansion", source: include_str!("search_expansion.rs"), check };

/// How many names below a domain must be answered alike.
const TRIES_MIN: usize = 2;
/// What the search list may add to a lookup before it is worth a word.
const EXTRA_MAX: Duration = Duration::from_millis(200);

/// From where on a name is slow without the search list's doing: see `slow-server`.
const SLOW: Duration = Duration::from_millis(500);

fn check(seen: &Observations) -> Option<Verdict> {
    // Where nothing is answered at all, the search list is not what is wrong.
    seen.answering().next()?;
    let harmful: Vec<(&str, Answer)> = seen
        .surroundings
        .resolv_conf
        .search
        .iter()
        .filter_map(|domain| Some((domain.as_str(), answer_below(seen, domain)?)))
        .filter(|(_, answer)| *answer != Answer::NxDomain)
        .collect();
    if harmful.is_empty() { expensive(seen) } else { Some(harm(seen, &harmful)) }
}

/// What a search domain answers for names that nobody has, where all answers are alike.
fn answer_below(seen: &Observations, domain: &str) -> Option<Answer> {
    let below: Vec<&Asked> = seen
        .asked_for(Purpose::Searched)
        .filter(|asked| {
            asked.name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain.trim_end_matches('.')))
        })
        .collect();
    let server = below.first()?.server;
    let none_answered = below.len() >= 2 * TRIES_MIN && below.iter().all(|asked| !asked.is_answered());
    if none_answered && seen.are_ignored(server, below.iter().copied()) {
        return Some(Answer::Timeout);
    }
    // A name of which an answer was lost says nothing.
    let of = |kind: Kind| below.iter().filter(move |asked| asked.kind == kind && asked.is_answered());
    let answers: Vec<Answer> =
        of(Kind::A).filter_map(|a| Some(together(a, of(Kind::Aaaa).find(|aaaa| aaaa.name == a.name)?))).collect();
    let first = *answers.first()?;
    (answers.len() >= TRIES_MIN && answers.iter().all(|answer| *answer == first)).then_some(first)
}

fn harm(seen: &Observations, harmful: &[(&str, Answer)]) -> Verdict {
    let wildcard = harmful.iter().find(|(_, answer)| *answer == Answer::Address);
    let ends = harmful.iter().any(|(_, answer)| !matches!(answer, Answer::Address));
    let what = match wildcard {
        Some((domain, _)) => format!("the search domain {domain} has an address for every name"),
        None => {
            let domains = list(harmful.iter().map(|(domain, answer)| format!("{domain} ({})", said(*answer))));
            format!("musl's search ends at {domains}")
        }
    };
    let level = if wildcard.is_some() || seen.resolvers().any(|program| program.resolver.family == Family::Musl) {
        Level::Deny
    } else {
        Level::Warn
    };
    let verdict = Verdict::new(&FAULT, level, Sureness::Sure, what);
    let verdict = harmful.iter().fold(verdict, |verdict, (domain, answer)| {
        verdict.evidence(format!("names that nobody has get {} below {domain}", said(*answer)))
    });
    verdict
        .evidence_if(wildcard.map(|_| "a name that is tried with it is found there, at the wrong address, by every resolver".to_owned()))
        .evidence_if(ends.then(|| "musl takes anything but NXDOMAIN for the end of its search; glibc and Go go on".to_owned()))
        .help("take the domain out of the search list: it mostly comes from the node's resolv.conf, else from dnsConfig.searches")
        .help("names outside with a dot at their end are not searched for")
        .relief(Relief::none("no built-in profile changes the search list, and a lower ndots breaks names of the cluster on musl"))
}

fn expensive(seen: &Observations) -> Option<Verdict> {
    let external = seen.targets.external_names.first()?;
    let costs = costs(seen, &resolvers(seen));
    let of = |name: &str| costs.iter().filter(|cost| cost.name == name).max_by_key(|cost| cost.today.took).cloned();
    let (searched, rooted) = (of(external)?, of(&format!("{external}."))?);
    let extra = searched.today.took.saturating_sub(rooted.today.took);
    // A name that is slow by itself, is not found or loses queries has another fault.
    let is_well = searched.today.found && searched.today.whole && rooted.today.found && rooted.today.took < SLOW;
    if !is_well || extra < EXTRA_MAX || searched.today.took < 2 * rooted.today.took {
        return None;
    }
    let what = format!(
        "the search list makes {external} take {} ms instead of {} ms",
        searched.today.took.as_millis(),
        rooted.today.took.as_millis()
    );
    let verdict = Verdict::new(&FAULT, Level::Info, Sureness::Sure, what)
        .evidence(format!("{} queries in place of {}", searched.today.queries, rooted.today.queries))
        .evidence_if(
            searched.measured.map(|took| format!("getaddrinfo of {} took {} ms", searched.resolver, took.as_millis())),
        )
        .help("write names outside with a dot at their end, where the program allows it")
        .help("a lower ndots saves the queries with glibc and Go; on musl it breaks names of the cluster")
        .relief(Relief::none("no built-in profile changes ndots or the search list, as that breaks names on musl"));
    Some(verdict)
}

const fn said(answer: Answer) -> &'static str {
    match answer {
        Answer::Address => "an address",
        Answer::NxDomain => "NXDOMAIN",
        Answer::NoData => "an empty answer",
        Answer::ServFail => "an error",
        Answer::Timeout => "no answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::{Code, Outcome};
    use crate::verdicts::tests::{SECOND, Seen, answer, code, fires, silent, silent_of};

    const SEARCH: &str = "search-expansion";

    fn below(domain: &'static str, outcome: Outcome) -> Seen {
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
    fn a_wildcard_in_a_search_domain_is_serious() {
        let verdict = fires(SEARCH, &below("cluster.local", answer(&["10.1.1.1"], 30)));
        assert_eq!(
            (&*verdict.what, verdict.level),
            ("the search domain cluster.local has an address for every name", Level::Deny)
        );
    }

    #[test]
    fn what_ends_musls_search_is_named_for_each_answer() {
        for (outcome, word) in [
            (code(Code::Refused), "an error"),
            (code(Code::NoError), "an empty answer"),
            (Outcome::Silence, "no answer"),
        ] {
            let verdict = fires(SEARCH, &below("cluster.local", outcome));
            assert_eq!(verdict.what, format!("musl's search ends at cluster.local ({word})"));
            assert_eq!(verdict.level, Level::Warn);
        }
        let musl = Family::Musl.at(Version::new(1, 2, 5));
        assert_eq!(fires(SEARCH, &below("cluster.local", code(Code::Refused)).program(musl, false)).level, Level::Deny);
    }

    #[test]
    fn a_search_list_that_costs_much_is_advice() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::Candidate && asked.name != "example.com" {
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
    fn one_lost_answer_below_a_domain_is_nothing() {
        let mut lost = false;
        silent_of(
            SEARCH,
            &Seen::healthy().change(move |asked| {
                if asked.purpose == Purpose::Searched && !std::mem::replace(&mut lost, true) {
                    asked.outcome = Outcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(SEARCH);
    }
}
