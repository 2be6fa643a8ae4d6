//! A nameserver answers, and takes long for it.
//!
//! ## What it looks like
//! Every lookup is slow, by about the same. musl hears no answer that takes longer than `timeout`, and fails; with a short one
//! (`timeout:1`) that is soon. Go fails where one answer takes longer than its timeout.
//!
//! ## How it is told
//! The middle one of all answers takes at least 0.5 s: half of them are that slow, so a single slow answer does not count. Where the
//! cluster's names are quick and all names outside take a second and more, what is behind the nameserver is slow.
//!
//! ## What to do
//! More CoreDNS replicas or CPU, `cache` in its Corefile, upstreams that are near. Do not shorten `timeout`.

use std::net::SocketAddr;
use std::time::Duration;

use super::stale_nameserver;
use crate::policy::Level;
use crate::resolver::{Family, Settings};
use crate::verdicts::observations::{Asked, Observations, Purpose, Via};
use crate::verdicts::profile_effects::{Relief, Trouble};
use crate::verdicts::statistics::median;
use crate::verdicts::verdict::{Fault, Sureness, Verdict};

pub(super) static FAULT: Fault = Fault { slug: "slow-server", source: include_str!("slow_server.rs"), check };

/// From where on an answer is slow: ten times what a far region takes.
const SLOW: Duration = Duration::from_millis(500);
/// The fewest answers that have a middle one worth the name.
const ANSWERS_MIN: usize = 5;

fn check(seen: &Observations) -> Option<Verdict> {
    seen.answering().find_map(|server| itself(seen, server).or_else(|| behind(seen, server)))
}

fn took<'a>(asked: impl Iterator<Item = &'a Asked>) -> Vec<Duration> {
    asked.filter(|asked| asked.is_answered()).map(|asked| asked.took).collect()
}

fn itself(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let times = took(seen.plain(server, Via::Udp).filter(|asked| asked.purpose == Purpose::Name));
    let middle = median(times.iter().copied()).filter(|middle| times.len() >= ANSWERS_MIN && *middle >= SLOW)?;
    let fails = fails(seen, middle);
    let level = if fails.is_empty() { Level::Warn } else { Level::Deny };
    let verdict =
        Verdict::new(&FAULT, level, Sureness::Sure, format!("{} takes {} for an answer", server.ip(), seconds(middle)))
            .evidence(format!(
                "{} answers for names of the cluster took {} to {}",
                times.len(),
                shortest(&times),
                longest(&times)
            ));
    let verdict = fails.into_iter().fold(verdict, Verdict::evidence);
    Some(
        verdict
            .help("give CoreDNS more CPU or replicas, and see whether its node is far or overloaded")
            .help("do not shorten timeout: musl and Go then hear no answer at all")
            .relief(Relief::from(seen, Trouble::SlowAnswers(middle))),
    )
}

fn behind(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let invented: Vec<&Asked> = seen.asked_for(Purpose::Invented).filter(|asked| asked.server == server).collect();
    let times = took(invented.iter().copied());
    let shortest_one = times.iter().min().copied()?;
    // Some that are quick, or fail, make it the fault of one of several servers.
    if times.len() < ANSWERS_MIN || times.len() < invented.len() || shortest_one < stale_nameserver::SLOW {
        return None;
    }
    let middle = median(times.iter().copied())?;
    Some(
        Verdict::new(
            &FAULT,
            Level::Warn,
            Sureness::Likely,
            format!("names outside take {} through {}", seconds(middle), server.ip()),
        )
        .evidence(format!(
            "{} answers for names that no cache has took {} to {}",
            times.len(),
            shortest(&times),
            longest(&times)
        ))
        .evidence("names of the cluster are quick")
        .help("let CoreDNS forward to nearer servers, and keep its answers (`cache` in the Corefile)")
        .relief(Relief::from(seen, Trouble::SlowAnswers(middle))),
    )
}

/// The resolvers that hear no answer which takes so long, with the options of today.
fn fails(seen: &Observations, answer: Duration) -> Vec<String> {
    let options = seen.surroundings.resolv_conf.option_texts();
    [Family::Musl, Family::Glibc, Family::Go]
        .into_iter()
        .filter_map(|family| Some((family, Settings::read(family.unversioned(), &options)?)))
        .filter(|(_, settings)| settings.slowest_answer() < answer)
        .map(|(family, settings)| {
            format!("{} waits {} with the options here, and fails", family.name(), seconds(settings.slowest_answer()))
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
    fn fires_where_every_answer_is_slow() {
        let verdict = fires(SLOW_SERVER, &all_take(2 * SECOND));
        assert_eq!((&*verdict.what, verdict.level), ("10.0.0.10 takes 2.0 s for an answer", Level::Warn));
    }

    #[test]
    fn a_resolver_that_does_not_wait_so_long_makes_it_serious() {
        let verdict = fires(SLOW_SERVER, &all_take(2 * SECOND).options("timeout:1 attempts:3"));
        assert_eq!(verdict.level, Level::Deny);
        assert!(verdict.evidence[1].starts_with("musl waits 1.0 s"), "{:?}", verdict.evidence);
    }

    #[test]
    fn tells_names_outside_that_are_slow() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::Invented {
                asked.took = 2 * SECOND;
            }
        });
        assert!(fires(SLOW_SERVER, &seen).what.starts_with("names outside take 2.0 s"));
    }

    #[test]
    fn a_share_of_slow_names_is_another_fault() {
        silent_of(SLOW_SERVER, &Seen::healthy().every_nth_invented(2, |asked| asked.took = 2 * SECOND));
    }

    #[test]
    fn one_slow_answer_or_a_far_server_is_no_fault() {
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
