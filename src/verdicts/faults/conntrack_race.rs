//! Of two packets that leave one socket together, one is lost.
//!
//! ## What it looks like
//! Kernels before about 5.6 drop one of two packets of a connection that conntrack has not taken in yet. musl and glibc send A and AAAA
//! that way: lookups take 2.5 s (musl) or 5 s (glibc), now and then. Go's queries leave from sockets of their own.
//!
//! ## How it is told
//! Pairs are asked from one socket, from two, and one after the other's answer, in turn, so that all meet the same network. The race
//! loses one of a pair from one socket, and nothing of the others; that the difference is chance is ruled out by Fisher's exact test. The
//! more is lost, the more pairs are asked. What is lost alike is `lossy-path`.
//!
//! ## What to do
//! A kernel from 5.6 on, or a NodeLocal DNSCache, cures it for all. `single-request-reopen` cures it for glibc. musl ignores that; a shorter
//! resend interval (`timeout:5 attempts:10`) makes the loss cost it 0.5 s.

use crate::policy::Level;
use crate::verdicts::observations::{Conntrack, Observations, Pair, PairMode, SystemLookup};
use crate::verdicts::profile_effects::{Relief, Trouble};
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "conntrack-race", source: include_str!("conntrack_race.rs"), check };

/// A lookup that takes longer has waited for a packet: musl sends again after 2.5 s, glibc after 5 s.
const WAITED_MS: u128 = 2300;

fn check(seen: &Observations) -> Option<Verdict> {
    let half = |mode| Rate::of(seen.pairs_of(mode), |pair| pair.is_half());
    let (one, two, serial) = (half(PairMode::OneSocket), half(PairMode::TwoSockets), half(PairMode::Serial));
    if !one.exceeds(two.and(serial)) || !one.exceeds(two) || !one.exceeds(serial) {
        return None;
    }
    let second = Rate::of(seen.pairs_of(PairMode::OneSocket).filter(|pair| pair.is_half()), |pair| lost_second(pair));
    let what = format!("of A and AAAA from one socket, one is lost in {} % of pairs", (one.share() * 100.0).round());
    let chance = one.exceeds_by_chance(two.and(serial));
    let verdict = Verdict::new(&FAULT, Level::Warn, Sureness::Sure, what)
        .evidence(format!("from one socket, together: {one} lost one"))
        .evidence(format!("from two sockets, together: {two}"))
        .evidence(format!("from one socket, one after the other: {serial}"))
        .evidence(format!("by chance they would differ so with a probability of {chance:.1e}"))
        .evidence(format!("{} of {} lost the second packet", second.hits, second.of))
        .evidence_if(seen.surroundings.conntrack.and_then(counted))
        .evidence_if(seen.surroundings.kernel.as_ref().map(|kernel| format!("the kernel here is {kernel}; from 5.6 on it resolves the race")))
        .evidence_if(late(&seen.lookups))
        .help("run nodes on a kernel from 5.6 on, or a NodeLocal DNSCache, to which no DNAT leads: that cures it for every resolver")
        .help("single-request-reopen cures it for glibc; musl ignores that option, and Go needs it not")
        .relief(Relief::from(seen, Trouble::RacedPairs));
    Some(verdict)
}

/// Whether the race is shown.
pub(super) fn is_shown(seen: &Observations) -> bool {
    check(seen).is_some()
}

fn lost_second(pair: &Pair) -> bool {
    matches!(pair.aaaa, crate::verdicts::observations::Half::Lost)
}

fn counted(conntrack: Conntrack) -> Option<String> {
    let Conntrack { insert_failed, drop, clash_resolve } = conntrack;
    (insert_failed + drop > 0).then(|| {
        format!("conntrack counted meanwhile: {insert_failed} failed insertions, {drop} drops, {clash_resolve} clashes resolved")
    })
}

/// The lookups that waited for a packet.
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
    use crate::verdicts::observations::Half::{Answered, Lost};
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const RACE: &str = "conntrack-race";

    #[test]
    fn fires_where_pairs_from_one_socket_alone_lose_one() {
        let seen = Seen::healthy().lose(PairMode::OneSocket, 15, Answered(4), Lost);
        let verdict = fires(RACE, &seen);
        assert!(verdict.evidence[0].contains("15 of 50 (30 %; 95 % interval 19 to 44 %)"), "{:?}", verdict.evidence);
        assert!(verdict.evidence.contains(&"15 of 15 lost the second packet".to_owned()));
    }

    #[test]
    fn tells_which_profile_helps_whom() {
        let seen = Seen::healthy()
            .lose(PairMode::OneSocket, 50, Answered(4), Lost)
            .program(Family::Musl.at(Version::new(1, 2, 5)), false);
        let changes = fires(RACE, &seen).relief.changes;
        let helps = |family: Family, profile: &str| {
            changes.iter().any(|change| change.resolver.family == family && change.profile == profile)
        };
        assert!(helps(Family::Musl, "default") && !helps(Family::Musl, "single-request-reopen"), "{changes:?}");
        assert!(helps(Family::Glibc, "single-request-reopen") && !helps(Family::Glibc, "default"), "{changes:?}");
        assert!(helps(Family::Musl, "node-local") && helps(Family::Glibc, "node-local"), "{changes:?}");
    }

    #[test]
    fn loss_that_all_pairs_meet_is_no_race() {
        let modes = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial];
        let seen = modes.iter().fold(Seen::healthy(), |seen, mode| seen.lose(*mode, 10, Answered(4), Lost));
        silent_of(RACE, &seen);
    }

    #[test]
    fn a_few_lost_packets_are_no_race() {
        for lost in 0..6 {
            silent_of(RACE, &Seen::healthy().lose(PairMode::OneSocket, lost, Answered(4), Lost));
        }
    }

    #[test]
    fn a_server_that_drops_whatever_is_second_is_no_race() {
        let seen = Seen::healthy().lose(PairMode::OneSocket, 50, Answered(4), Lost).lose(
            PairMode::Serial,
            50,
            Answered(4),
            Lost,
        );
        silent_of(RACE, &seen);
    }

    #[test]
    fn whole_pairs_that_are_lost_are_no_race() {
        silent_of(RACE, &Seen::healthy().lose(PairMode::OneSocket, 50, Lost, Lost));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(RACE);
    }
}
