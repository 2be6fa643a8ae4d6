//! Packets to and from a nameserver are lost, however they are sent.
//!
//! ## Symptoms
//! Any lookup may take 2.5 s (musl) or 5 s (glibc, Go) longer, and lookups that lose several packets fail.
//!
//! ## Detection
//! Pairs sent from two sockets, and one after the other, lose packets too: at least three, and so many that the 95 % interval of
//! the rate begins above 1 %. Loss only at once is `rate-limited`, loss only from one socket is `conntrack-race`, and loss of
//! everything from one server is `stale-nameserver`.
//!
//! ## What to do
//! Find out where packets are lost: an overloaded CoreDNS (throttled CPU, full receive buffers), a full conntrack table
//! (`nf_conntrack: table full` in the node's log), or the network between the nodes.
//!
//! Do not shorten the resend interval while an overload may be the cause: each resend adds load, and a server that queues may then never
//! catch up (measured, around a stall of the upstream of 2 s: at 67 % load 3,000 of 3,000 lookups were found with 2 and 3 attempts,
//! 1,049 with 4; at 80 % load 1,500 of 1,500 with 2 and 254 with 3). These tell an overload from a lossy network: probe again when
//! little is asked, when an overload loses less and a network as much; look for throttling of CoreDNS's CPU
//! (`container_cpu_cfs_throttled_periods_total`), growing `coredns_dns_request_duration_seconds`, and receive buffer errors on
//! CoreDNS's node (`nstat -az UdpRcvbufErrors`). Where a network loses packets at any load, and the nameservers are never near their
//! capacity, `attempts:3` (the profile `three-attempts`) reduces musl's delay from 2.5 s to 1.7 s.

use super::{conntrack_race, rate_limited};
use crate::policy::Level;
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{Half, Observations, Pair, PairMode};
use crate::verdicts::profile_effects::{Failure, ProfileEffects};
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict};

pub(super) static DIAGNOSIS: Diagnosis = Diagnosis { slug: "lossy-path", source: include_str!("lossy_path.rs"), check };

/// Any network loses fewer packets than this.
const LOSSES_MIN: u64 = 3;
/// The loss from which on a verdict is given: 8 of 100 lookups with 8 queries then wait.
const SHARE_MIN: f64 = 0.01;

fn check(seen: &Observations) -> Option<Verdict> {
    let of_type =
        |get: fn(&Pair) -> Half| move |mode| Rate::count(seen.pairs_of(mode), move |pair| get(pair) == Half::Lost);
    let (a, aaaa) = (of_type(|pair| pair.a), of_type(|pair| pair.aaaa));
    let paced = |lost: &dyn Fn(PairMode) -> Rate| lost(PairMode::TwoSockets).plus(lost(PairMode::Serial));
    // A path does not care about the type of a query. If one type is lost more often, the server ignores it, and the other shows the path.
    let (of_a, of_aaaa) = (paced(&a), paced(&aaaa));
    let lost = |mode: PairMode| match (of_a.exceeds(of_aaaa), of_aaaa.exceeds(of_a)) {
        (true, _) => aaaa(mode),
        (_, true) => a(mode),
        (false, false) => a(mode).plus(aaaa(mode)),
    };
    let (two, serial) = (lost(PairMode::TwoSockets), lost(PairMode::Serial));
    let rate = two.plus(serial);
    let is_lossy = rate.hits >= LOSSES_MIN && rate.interval().0 >= SHARE_MIN;
    if !is_lossy || rate.hits == rate.total || rate_limited::limited(seen).is_some() {
        return None;
    }
    // Nor does it care about the number of sockets or about earlier packets.
    if two.exceeds(serial) || serial.exceeds(two) {
        return None;
    }
    let what = format!("{} % of queries get no answer", (rate.share() * 100.0).round());
    Some(
        Verdict::new(&DIAGNOSIS, Level::Warn, Confidence::Certain, what)
            .evidence(format!("from two sockets, at once: {two}"))
            .evidence(format!("from one socket, one after the other: {serial}"))
            .evidence(format!("from one socket, at once: {}", lost(PairMode::OneSocket)))
            .evidence_if(conntrack_race::late(&seen.lookups))
            .help("find out where packets are lost: CoreDNS's CPU limit, a full conntrack table on the node, the network between nodes")
            .help("do not shorten the resend interval before an overload is ruled out: if a probe loses less while little is asked, or CoreDNS \
                   is throttled or drops packets (UdpRcvbufErrors), resends make it worse")
            .help(if seen.asks_a_node_cache() {
                "the nameserver is a cache on this node: check that it runs here and is not overloaded, as no network stands before it"
            } else {
                "use a NodeLocal DNSCache: it asks CoreDNS by TCP, which sends lost packets again by itself"
            })
            .profile_effects(ProfileEffects::compute(seen, Failure::OnePacketLost))
            .explains_all(Cause::OF_LOSS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::Half::{Answered, Lost};
    use crate::verdicts::observations::{Code, Purpose, QueryOutcome};
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const LOSSY: &str = "lossy-path";

    fn lossy(pairs: usize) -> Seen {
        let modes = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial];
        modes.into_iter().fold(Seen::healthy(), |seen, mode| {
            let seen = seen.lose(mode, pairs, Lost, Answered(4, Code::NoError));
            seen.lose_last(mode, pairs, Answered(4, Code::NoError), Lost)
        })
    }

    #[test]
    fn fires_with_a_rate_and_an_improvement() {
        let verdict = fires(LOSSY, &lossy(5));
        assert_eq!(verdict.what, "10 % of queries get no answer");
        assert!(
            verdict.profile_effects.improvements.iter().any(|it| it.profile == "fast"),
            "{:?}",
            verdict.profile_effects
        );
        assert!(
            verdict.help.iter().any(|help| help.starts_with("do not shorten the resend interval")),
            "{:?}",
            verdict.help
        );
    }

    #[test]
    fn advises_no_cache_where_one_answers() {
        let advice = |seen: &Seen| {
            let help = fires(LOSSY, seen).help;
            [
                help.iter().any(|it| it.contains("use a NodeLocal")),
                help.iter().any(|it| it.contains("cache on this node")),
            ]
        };
        assert_eq!(advice(&lossy(5)), [true, false]);
        let mut cached = lossy(5);
        cached.targets.servers = vec!["169.254.20.10:53".parse().unwrap()];
        assert_eq!(advice(&cached), [false, true]);
    }

    #[test]
    fn silent_for_one_or_two_lost_packets() {
        silent_of(LOSSY, &Seen::healthy().lose(PairMode::TwoSockets, 1, Answered(4, Code::NoError), Lost));
        silent_of(LOSSY, &Seen::healthy().lose(PairMode::TwoSockets, 2, Answered(4, Code::NoError), Lost));
    }

    #[test]
    fn silent_if_only_one_socket_loses() {
        silent_of(LOSSY, &Seen::healthy().lose(PairMode::OneSocket, 50, Answered(4, Code::NoError), Lost));
    }

    #[test]
    fn silent_for_a_server_that_ignores_one_type() {
        let modes = [PairMode::TwoSockets, PairMode::Serial];
        let seen =
            modes.into_iter().fold(Seen::healthy(), |seen, mode| seen.lose(mode, 50, Answered(4, Code::NoError), Lost));
        silent_of(LOSSY, &seen);
    }

    #[test]
    fn silent_for_a_server_that_drops_every_second_query() {
        let seen = Seen::healthy().lose(PairMode::Serial, 50, Answered(4, Code::NoError), Lost).lose(
            PairMode::TwoSockets,
            1,
            Lost,
            Answered(4, Code::NoError),
        );
        silent_of(LOSSY, &seen);
    }

    #[test]
    fn silent_if_a_rate_limit_explains_it() {
        silent_of(
            LOSSY,
            &lossy(5).change(|asked| {
                if asked.purpose == Purpose::Burst {
                    asked.outcome = QueryOutcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(LOSSY);
    }
}
