//! A nameserver takes a long time to answer.
//!
//! ## Symptoms
//! Every lookup is slow, by about the same time. musl misses an answer that takes longer than `timeout`, and fails; with a short
//! one (`timeout:1`) that happens soon. Go fails if one answer takes longer than its timeout.
//!
//! ## Detection
//! The median of all answers is at least 0.5 s, so a single slow answer does not count. If the cluster's names are quick and all
//! external names take a second or more, the servers behind the nameserver are slow.
//!
//! ## What to do
//! Give CoreDNS more replicas or CPU, use `cache` in its Corefile, and choose upstreams that are near. Do not shorten `timeout`.

use std::net::SocketAddr;
use std::time::Duration;

use super::stale_nameserver;
use crate::policy::Level;
use crate::resolver::{Family, Settings};
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{AskedQuery, Observations, Purpose, Via};
use crate::verdicts::profile_effects::{Failure, ProfileEffects};
use crate::verdicts::statistics::{self, median};
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "slow-server", source: include_str!("slow_server.rs"), check };

/// An answer is slow from here on: ten times the time to a distant region.
const SLOW: Duration = Duration::from_millis(500);
/// The fewest answers for a useful median.
const ANSWERS_MIN: usize = 5;

fn check(seen: &Observations) -> Option<Verdict> {
    seen.answering_servers().find_map(|server| slow_nameserver(seen, server).or_else(|| slow_upstreams(seen, server)))
}

/// Returns the times of answers that are no errors. A server that fails slowly has another fault.
fn answer_times<'a>(asked: impl Iterator<Item = &'a AskedQuery>) -> Vec<Duration> {
    asked.filter(|asked| asked.is_conclusive()).map(|asked| asked.took).collect()
}

fn slow_nameserver(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let times = answer_times(seen.plain_queries(server, Via::Udp).filter(|asked| asked.purpose == Purpose::Name));
    let median = median(times.iter().copied()).filter(|median| times.len() >= ANSWERS_MIN && *median >= SLOW)?;
    let fails = resolvers_that_fail(seen, median);
    let level = if fails.is_empty() { Level::Warn } else { Level::Deny };
    let verdict = Verdict::new(
        &DIAGNOSIS,
        level,
        Confidence::Certain,
        format!("{} takes {} for an answer", server.ip(), seconds(median)),
    )
    .evidence(format!(
        "{} answers for names of the cluster took {} to {}",
        times.len(),
        shortest(&times),
        longest(&times)
    ));
    let verdict = fails.into_iter().fold(verdict, Verdict::evidence);
    Some(
        verdict
            .help("give CoreDNS more CPU or replicas, and check if its node is distant or overloaded")
            .help("do not shorten timeout: musl and Go then miss every answer")
            .profile_effects(ProfileEffects::compute(seen, Failure::SlowAnswers(median)))
            .explains_all(Cause::OF_LOSS),
    )
}

fn slow_upstreams(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let invented: Vec<&AskedQuery> = seen.asked_for(Purpose::Invented).filter(|asked| asked.server == server).collect();
    let times = answer_times(invented.iter().copied());
    let shortest_one = times.iter().min().copied()?;
    // If some are quick or fail, one of several servers is slow: that is stale-nameserver.
    if times.len() < ANSWERS_MIN || times.len() < invented.len() || shortest_one < stale_nameserver::SLOW {
        return None;
    }
    let median = median(times.iter().copied())?;
    let cluster = answer_times(seen.plain_queries(server, Via::Udp).filter(|asked| asked.purpose == Purpose::Name));
    let cluster_is_quick = statistics::median(cluster).is_some_and(|median| median < SLOW);
    Some(
        Verdict::new(
            &DIAGNOSIS,
            Level::Warn,
            Confidence::Likely,
            format!("external names take {} through {}", seconds(median), server.ip()),
        )
        .evidence(format!(
            "{} answers for names that no cache has took {} to {}",
            times.len(),
            shortest(&times),
            longest(&times)
        ))
        .evidence_if(cluster_is_quick.then(|| "names of the cluster are quick".to_owned()))
        .help("let CoreDNS forward to nearer servers, and cache their answers (`cache` in the Corefile)")
        .profile_effects(ProfileEffects::compute(seen, Failure::SlowAnswers(median)))
        .explains_all(Cause::OF_LOSS),
    )
}

/// Returns the resolvers that give up before such an answer, with today's options.
fn resolvers_that_fail(seen: &Observations, answer: Duration) -> Vec<String> {
    let options = seen.environment.resolv_conf.option_texts();
    [Family::Musl, Family::Glibc, Family::Go]
        .into_iter()
        .filter_map(|family| Some((family, Settings::read_options(family.unversioned(), &options)?)))
        .filter(|(_, settings)| settings.slowest_answer() < answer)
        .map(|(family, settings)| {
            format!("{} waits {} with these options, and fails", family.name(), seconds(settings.slowest_answer()))
        })
        .collect()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn shortest(times: &[Duration]) -> String {
    seconds(times.iter().min().copied().unwrap_or_default())
}

fn longest(times: &[Duration]) -> String {
    seconds(times.iter().max().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::tests::{SECOND, Seen, fires, silent, silent_of};

    const SLOW_SERVER: &str = "slow-server";

    fn all_take(time: Duration) -> Seen {
        Seen::healthy().change(move |asked| asked.took = time)
    }

    #[test]
    fn fires_if_every_answer_is_slow() {
        let verdict = fires(SLOW_SERVER, &all_take(2 * SECOND));
        assert_eq!((&*verdict.what, verdict.level), ("10.0.0.10 takes 2.0 s for an answer", Level::Warn));
    }

    #[test]
    fn denies_if_a_resolver_gives_up_earlier() {
        let verdict = fires(SLOW_SERVER, &all_take(2 * SECOND).options("timeout:1 attempts:3"));
        assert_eq!(verdict.level, Level::Deny);
        assert!(verdict.evidence[1].starts_with("musl waits 1.0 s"), "{:?}", verdict.evidence);
    }

    #[test]
    fn fires_if_external_names_alone_are_slow() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::Invented {
                asked.took = 2 * SECOND;
            }
        });
        assert!(fires(SLOW_SERVER, &seen).what.starts_with("external names take 2.0 s"));
    }

    #[test]
    fn silent_for_a_share_of_slow_names() {
        silent_of(SLOW_SERVER, &Seen::healthy().every_nth_invented(2, |asked| asked.took = 2 * SECOND));
    }

    #[test]
    fn silent_for_one_slow_answer_or_a_distant_server() {
        silent_of(SLOW_SERVER, &all_take(SECOND / 5));
        let mut slow = false;
        silent_of(
            SLOW_SERVER,
            &Seen::healthy().change(move |asked| {
                if !std::mem::replace(&mut slow, true) {
                    asked.took = 3 * SECOND;
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(SLOW_SERVER);
    }
}
