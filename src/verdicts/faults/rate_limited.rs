//! A nameserver, or something before it, answers only a limited number of queries at once.
//!
//! ## Symptoms
//! Everything works while there are few queries; under load, lookups wait for a resend or fail. Clouds drop queries of one machine
//! above a limit (some 1,000 packets a second), servers limit the rate per client, and CoreDNS's `forward` refuses above
//! `max_concurrent`.
//!
//! ## Detection
//! At its end the probe sends many queries at once (`--burst`). The share of them that is lost, refused or truncated without a
//! record is compared with that of queries for the same name and type that are sent one at a time (Fisher's exact test). Equal loss in
//! both is `lossy-path`; a name that fails either way is `name-fails`.
//!
//! ## What to do
//! Send fewer queries: a NodeLocal DNSCache, a lower `ndots` where the resolver allows it, names with a final dot. Or raise the
//! limit. More attempts find a little more and send far more: where 500 queries a second met a limit of 300, `timeout:5 attempts:10`
//! raised the share that musl found from 41 % to 55 %, and the packets from 20,407 to 79,609 (measured).

use std::net::SocketAddr;

use crate::policy::Level;
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{AskedQuery, Code, Half, Observations, Purpose};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "rate-limited", source: include_str!("rate_limited.rs"), check };

fn check(seen: &Observations) -> Option<Verdict> {
    let server = limited(seen)?;
    let (burst, single) = rates(seen, server);
    let of_burst = || seen.asked_for(Purpose::Burst).filter(|asked| asked.server == server);
    let silent = of_burst().filter(|asked| !asked.is_answered()).count();
    let refused = of_burst().filter(|asked| matches!(asked.code(), Some(Code::Refused | Code::ServFail))).count();
    let cut = of_burst().filter(|asked| is_truncated_empty(asked)).count();
    let what = format!("{} answers {} of {} queries sent at once", server.ip(), burst.total - burst.hits, burst.total);
    Some(
        Verdict::new(&DIAGNOSIS, Level::Warn, Confidence::Certain, what)
            .evidence(format!("at once: {burst} fail ({silent} without an answer, {refused} refused, {cut} truncated)"))
            .evidence(format!("one at a time, for the same name: {single} fail"))
            .help("send fewer queries: a NodeLocal DNSCache answers most of them on the node, and a name with a final dot skips the search list")
            .help("or raise the limit: CoreDNS's `forward` has max_concurrent, a cloud's resolver a quota for each network interface")
            .profile_effects(ProfileEffects::none("no profile sends fewer queries, and profiles with more attempts send more of them, which makes an overload worse"))
            .explains_all(&[Cause::Sometimes, Cause::Search, Cause::Resolver, Cause::GivenUp]),
    )
}

/// Returns the first server that limits the rate.
pub(super) fn limited(seen: &Observations) -> Option<SocketAddr> {
    seen.answering_servers().find(|server| {
        let (burst, single) = rates(seen, *server);
        burst.exceeds(single)
    })
}

/// Returns how many queries fail at once, and one at a time, for the same name and type.
fn rates(seen: &Observations, server: SocketAddr) -> (Rate, Rate) {
    let burst =
        Rate::count(seen.asked_for(Purpose::Burst).filter(|asked| asked.server == server), |asked| fails(asked));
    let fails_half = |half: Half| !matches!(half, Half::Answered(_, Code::NoError | Code::NxDomain));
    (burst, seen.first_name_rate(server, fails, fails_half))
}

fn fails(asked: &AskedQuery) -> bool {
    !asked.is_conclusive() || is_truncated_empty(asked)
}

/// Returns whether the answer is truncated without a record: rate limits send some of these so that honest clients use TCP.
fn is_truncated_empty(asked: &AskedQuery) -> bool {
    asked.answer().is_some_and(|answer| answer.truncated && answer.records == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ContainerResolver, Profile};
    use crate::resolver::{Family, Settings};
    use crate::verdicts::observations::QueryOutcome;
    use crate::verdicts::tests::{Seen, code, cut_short, fires, silent, silent_of};

    const LIMITED: &str = "rate-limited";

    fn burst(share: usize, change: impl Fn(&mut AskedQuery) + 'static) -> Seen {
        let mut count = 0;
        Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::Burst {
                count += 1;
                if count % share != 0 {
                    change(asked);
                }
            }
        })
    }

    #[test]
    fn fires_if_a_burst_is_dropped_refused_or_truncated() {
        fires(LIMITED, &burst(2, |asked| asked.outcome = QueryOutcome::Silence));
        fires(LIMITED, &burst(2, |asked| asked.outcome = code(Code::Refused)));
        let verdict = fires(LIMITED, &burst(2, |asked| cut_short(asked, 0)));
        assert_eq!(verdict.what, "10.0.0.10 answers 50 of 100 queries sent at once");
    }

    #[test]
    fn says_that_profiles_add_load_because_some_do_and_none_saves_any() {
        let musl = Family::Musl.unversioned();
        let attempts = |options: &[String]| {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            Settings::read_options(musl, &options).map(|settings| settings.attempts)
        };
        let by_profile = Profile::NAMES.map(|name| {
            let profile = Profile::builtin(name).unwrap();
            attempts(profile.options_for([ContainerResolver::inspected(musl)].into_iter(), 1))
        });
        assert!(by_profile.iter().all(|with| *with >= attempts(&[])), "{by_profile:?}");
        assert!(by_profile.iter().any(|with| *with > attempts(&[])), "{by_profile:?}");
        let verdict = fires(LIMITED, &burst(2, |asked| asked.outcome = QueryOutcome::Silence));
        assert!(
            verdict.profile_effects.none_because.is_some_and(|because| because.contains("more attempts send more"))
        );
    }

    #[test]
    fn silent_if_all_queries_are_lost_alike() {
        let mut count = 0;
        let mut seen = Seen::healthy().change(move |asked| {
            count += 1;
            if count % 3 == 0 {
                asked.outcome = QueryOutcome::Silence;
            }
        });
        for pair in seen.pairs.iter_mut().step_by(3) {
            pair.a = Half::Lost;
        }
        silent_of(LIMITED, &seen);
    }

    #[test]
    fn silent_if_the_name_fails_however_it_is_asked_for() {
        for code_of_cluster in [Code::Refused, Code::ServFail, Code::FormErr] {
            let mut seen = Seen::healthy().change(|asked| {
                if asked.name.ends_with("cluster.local") {
                    asked.outcome = code(code_of_cluster);
                }
            });
            for pair in &mut seen.pairs {
                (pair.a, pair.aaaa) = (Half::Answered(4, code_of_cluster), Half::Answered(4, code_of_cluster));
            }
            silent_of(LIMITED, &seen);
        }
    }

    #[test]
    fn silent_for_a_few_lost_queries() {
        let mut count = 0;
        silent_of(
            LIMITED,
            &Seen::healthy().change(move |asked| {
                if asked.purpose == Purpose::Burst && count < 3 {
                    count += 1;
                    asked.outcome = QueryOutcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(LIMITED);
    }
}
