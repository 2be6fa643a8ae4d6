//! When A and AAAA are sent together from one socket, one of them is lost.
//!
//! ## Symptoms
//! Kernels before about 5.6 drop one of two packets of a connection that conntrack does not track yet. musl and glibc send A and
//! AAAA that way: lookups sometimes take 2.5 s (musl) or 5 s (glibc). Go sends its queries from separate sockets.
//!
//! ## Detection
//! The probe sends pairs from one socket, from two sockets, and one after the other's answer, in turn, so that all meet the same
//! network. The race loses one query of pairs from one socket and none of the others; Fisher's exact test rules chance out. The
//! more is lost, the more pairs are sent. Equal loss in all modes is `lossy-path`.
//!
//! ## What to do
//! A kernel from 5.6 on, or a NodeLocal DNSCache, fixes it for all resolvers. `single-request-reopen` fixes it for glibc, and costs a
//! second round trip for each lookup; `muslin explain single-request-reopen` has its other costs. musl ignores that option;
//! `attempts:3` (the profile `three-attempts`) reduces its delay from 2.5 s to 1.7 s for each name, where the nameservers are never
//! near their capacity.

use crate::policy::Level;
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{Conntrack, Half, Observations, Pair, PairMode, SystemLookup};
use crate::verdicts::profile_effects::{Failure, ProfileEffects};
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "conntrack-race", source: include_str!("conntrack_race.rs"), check };

/// A slower lookup waited for a lost packet: musl sends again after 2.5 s, glibc after 5 s.
const WAITED_MS: u128 = 2300;

fn check(seen: &Observations) -> Option<Verdict> {
    let half = |mode| Rate::count(seen.pairs_of(mode), |pair| pair.is_half());
    let (one, two, serial) = (half(PairMode::OneSocket), half(PairMode::TwoSockets), half(PairMode::Serial));
    if !one.exceeds(two.plus(serial)) || !one.exceeds(two) || !one.exceeds(serial) {
        return None;
    }
    let second =
        Rate::count(seen.pairs_of(PairMode::OneSocket).filter(|pair| pair.is_half()), |pair| lost_second(pair));
    let what = format!("{} % of pairs sent from one socket lose A or AAAA", (one.share() * 100.0).round());
    let chance = one.chance_of_exceeding(two.plus(serial));
    let verdict = Verdict::new(&DIAGNOSIS, Level::Warn, Confidence::Certain, what)
        .evidence(format!("from one socket, at once: {one} lost one"))
        .evidence(format!("from two sockets, at once: {two}"))
        .evidence(format!("from one socket, one after the other: {serial}"))
        .evidence(format!("probability that chance explains the difference: {chance:.1e}"))
        .evidence(format!("{} of {} lost the second packet", second.hits, second.total))
        .evidence_if(seen.environment.conntrack.and_then(conntrack_counts))
        .evidence_if(seen.environment.kernel.as_ref().map(|kernel| format!("this kernel is {kernel}; kernels from 5.6 on resolve the race")))
        .evidence_if(late(&seen.lookups))
        .help("use a kernel from 5.6 on, or a NodeLocal DNSCache, which is reached without DNAT: both fix it for every resolver")
        .help("single-request-reopen fixes it for glibc, and costs a second round trip; musl ignores it, and Go does not need it and is slowed by it")
        .profile_effects(ProfileEffects::compute(seen, Failure::RacedPairs))
        .explains_all(Cause::OF_LOSS);
    Some(verdict)
}

/// Returns whether the race is shown.
pub(super) fn is_shown(seen: &Observations) -> bool {
    check(seen).is_some()
}

fn lost_second(pair: &Pair) -> bool {
    matches!(pair.aaaa, Half::Lost)
}

fn conntrack_counts(conntrack: Conntrack) -> Option<String> {
    let Conntrack { insert_failed, drop, clash_resolve } = conntrack;
    (insert_failed + drop > 0).then(|| {
        format!("conntrack counted at the same time: {insert_failed} failed insertions, {drop} drops, {clash_resolve} clashes resolved")
    })
}

/// Returns the lookups that waited for a lost packet.
pub(super) fn late(lookups: &[SystemLookup]) -> Option<String> {
    let late = lookups.iter().filter(|lookup| lookup.took.as_millis() >= WAITED_MS);
    let late: Vec<String> = late
        .map(|lookup| format!("{} ({}, {:.1} s)", lookup.name, lookup.resolver, lookup.took.as_secs_f64()))
        .collect();
    (!late.is_empty()).then(|| format!("getaddrinfo waited for a lost packet: {}", list(late)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::{Family, Version};
    use crate::verdicts::observations::Code;
    use crate::verdicts::observations::Half::{Answered, Lost};
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const RACE: &str = "conntrack-race";

    #[test]
    fn fires_if_pairs_from_one_socket_alone_lose_one() {
        let seen = Seen::healthy().lose(PairMode::OneSocket, 15, Answered(4, Code::NoError), Lost);
        let verdict = fires(RACE, &seen);
        assert!(verdict.evidence[0].contains("15 of 50 (30 %; 95 % interval 19 to 44 %)"), "{:?}", verdict.evidence);
        assert!(verdict.evidence.contains(&"15 of 15 lost the second packet".to_owned()));
    }

    #[test]
    fn shows_which_profile_helps_which_resolver() {
        let seen = Seen::healthy()
            .lose(PairMode::OneSocket, 50, Answered(4, Code::NoError), Lost)
            .program(Family::Musl.at(Version::new(1, 2, 5)), false);
        let improvements = fires(RACE, &seen).profile_effects.improvements;
        let helps = |family: Family, profile: &str| {
            improvements.iter().any(|it| it.resolver.family == family && it.profile == profile)
        };
        assert!(
            helps(Family::Musl, "three-attempts") && !helps(Family::Musl, "single-request-reopen"),
            "{improvements:?}"
        );
        assert!(
            helps(Family::Glibc, "single-request-reopen") && !helps(Family::Glibc, "three-attempts"),
            "{improvements:?}"
        );
        assert!(helps(Family::Musl, "node-local") && helps(Family::Glibc, "node-local"), "{improvements:?}");
    }

    #[test]
    fn silent_if_all_pairs_lose_alike() {
        let modes = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial];
        let seen =
            modes.iter().fold(Seen::healthy(), |seen, mode| seen.lose(*mode, 10, Answered(4, Code::NoError), Lost));
        silent_of(RACE, &seen);
    }

    #[test]
    fn silent_for_a_few_lost_packets() {
        for lost in 0..6 {
            silent_of(RACE, &Seen::healthy().lose(PairMode::OneSocket, lost, Answered(4, Code::NoError), Lost));
        }
    }

    #[test]
    fn silent_for_a_server_that_drops_every_second_query() {
        let seen = Seen::healthy().lose(PairMode::OneSocket, 50, Answered(4, Code::NoError), Lost).lose(
            PairMode::Serial,
            50,
            Answered(4, Code::NoError),
            Lost,
        );
        silent_of(RACE, &seen);
    }

    #[test]
    fn silent_if_whole_pairs_are_lost() {
        silent_of(RACE, &Seen::healthy().lose(PairMode::OneSocket, 50, Lost, Lost));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(RACE);
    }
}
