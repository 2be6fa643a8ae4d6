//! Packets to and from a nameserver are lost, however they are sent.
//!
//! ## What it looks like
//! Any lookup may take 2.5 s (musl) or 5 s (glibc, Go) longer, and those that lose several packets fail.
//!
//! ## How it is told
//! Pairs that leave from two sockets, and one after the other, lose packets too; at least three of them, and so many that the 95 %
//! interval of the rate begins above 1 %. What is lost only at once is `rate-limited`, only from one socket `conntrack-race`, and all from
//! one server is `stale-nameserver`.
//!
//! ## What to do
//! Look for where: an overloaded CoreDNS (throttled CPU, full receive buffers), a full conntrack table (`nf_conntrack: table full` in the
//! node's log), the network between the nodes. Until then a shorter resend interval makes each loss cost less.

use super::{conntrack_race, rate_limited};
use crate::policy::Level;
use crate::verdicts::observations::{Half, Observations, PairMode};
use crate::verdicts::profile_effects::{Relief, Trouble};
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Fault, Sureness, Verdict};

pub(super) static FAULT: Fault = Fault { slug: "lossy-path", source: include_str!("lossy_path.rs"), check };

/// Fewer losses are those of any network.
const LOSSES_MIN: u64 = 3;
/// How much a network may lose before it is worth a word: a lookup of 8 queries then waits in 8 of 100 cases.
const SHARE_MIN: f64 = 0.01;

fn check(seen: &Observations) -> Option<Verdict> {
    let lost = |mode| Rate::of(seen.pairs_of(mode).flat_map(|pair| pair.halves()), |half| *half == Half::Lost);
    let (two, serial) = (lost(PairMode::TwoSockets), lost(PairMode::Serial));
    let rate = two.and(serial);
    let is_lossy = rate.hits >= LOSSES_MIN && rate.interval().0 >= SHARE_MIN;
    if !is_lossy || rate.hits == rate.of || rate_limited::limited(seen).is_some() {
        return None;
    }
    // A path minds neither how many sockets there are nor what came before.
    if two.exceeds(serial) || serial.exceeds(two) {
        return None;
    }
    let what = format!("{} % of queries get no answer", (rate.share() * 100.0).round());
    Some(
        Verdict::new(&FAULT, Level::Warn, Sureness::Sure, what)
            .evidence(format!("from two sockets: {two}"))
            .evidence(format!("one after the other: {serial}"))
            .evidence(format!("from one socket: {}", lost(PairMode::OneSocket)))
            .evidence_if(conntrack_race::late(&seen.lookups))
            .help("look for where they are lost: CoreDNS's CPU limit, a full conntrack table on the node, the network between nodes")
            .help("a NodeLocal DNSCache asks CoreDNS by TCP, which sends lost packets again itself")
            .relief(Relief::from(seen, Trouble::OneLoss)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::Half::{Answered, Lost};
    use crate::verdicts::observations::{Outcome, Purpose};
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const LOSSY: &str = "lossy-path";

    fn lossy(pairs: usize) -> Seen {
        let modes = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial];
        modes.into_iter().fold(Seen::healthy(), |seen, mode| seen.lose(mode, pairs, Answered(4), Lost))
    }

    #[test]
    fn fires_with_a_rate_and_with_what_a_profile_changes() {
        let verdict = fires(LOSSY, &lossy(5));
        assert_eq!(verdict.what, "5 % of queries get no answer");
        assert!(verdict.relief.changes.iter().any(|change| change.profile == "fast"), "{:?}", verdict.relief);
    }

    #[test]
    fn one_or_two_lost_packets_say_nothing() {
        silent_of(LOSSY, &Seen::healthy().lose(PairMode::TwoSockets, 1, Answered(4), Lost));
        silent_of(LOSSY, &Seen::healthy().lose(PairMode::TwoSockets, 2, Answered(4), Lost));
    }

    #[test]
    fn silent_where_only_one_socket_loses() {
        silent_of(LOSSY, &Seen::healthy().lose(PairMode::OneSocket, 50, Answered(4), Lost));
    }

    #[test]
    fn silent_where_a_server_minds_only_the_second_of_a_socket() {
        let seen = Seen::healthy().lose(PairMode::Serial, 50, Answered(4), Lost).lose(
            PairMode::TwoSockets,
            1,
            Lost,
            Answered(4),
        );
        silent_of(LOSSY, &seen);
    }

    #[test]
    fn silent_where_a_rate_limit_explains_it() {
        silent_of(
            LOSSY,
            &lossy(5).change(|asked| {
                if asked.purpose == Purpose::Burst {
                    asked.outcome = Outcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(LOSSY);
    }
}
