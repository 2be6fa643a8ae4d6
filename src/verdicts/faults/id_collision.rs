//! Two queries of one socket that have the same id get mixed up or lost.
//!
//! ## What it looks like
//! musl before 1.2.4 (Alpine to 3.17) takes the id of a query from the clock; where that is coarse, A and AAAA of a lookup share one. It
//! stops listening after two answers with that id. A nameserver or a box on the way that takes the second for a repetition of the first
//! answers one of them, or the wrong one: IPv6 addresses only, or a false "no such name" (60 of 60 measured, where A is lost).
//!
//! ## How it is told
//! Pairs from one socket with one id are held against pairs from one socket with two. A broken server, a lossy path and the conntrack
//! race treat both alike; the collision harms only the first (Fisher's exact test).
//!
//! ## What to do
//! Use Alpine 3.18 or later. No option changes how musl chooses its ids.

use crate::policy::Level;
use crate::resolver::{Family, musl};
use crate::verdicts::observations::{Half, Observations, PairMode};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "id-collision", source: include_str!("id_collision.rs"), check };

fn check(seen: &Observations) -> Option<Verdict> {
    let broken = |mode| Rate::of(seen.pairs_of(mode), |pair| !pair.is_whole());
    let (same, different) = (broken(PairMode::SameId), broken(PairMode::OneSocket));
    if !same.exceeds(different) {
        return None;
    }
    let halves = |half: Half| {
        let halves = seen.pairs_of(PairMode::SameId).flat_map(|pair| pair.halves());
        halves.filter(|it| *it == half).count()
    };
    let ipv6_only = seen
        .pairs_of(PairMode::SameId)
        .filter(|pair| !matches!(pair.a, Half::Answered(_)) && matches!(pair.aaaa, Half::Answered(_)));
    let ipv6_only = ipv6_only.count();
    let old = |of_any: bool| {
        let is_old = move |version: Option<_>| version.map_or(of_any, |version| version < musl::DISTINCT_IDS_SINCE);
        let programs = seen
            .resolvers()
            .filter(move |program| program.resolver.family == Family::Musl && is_old(program.resolver.version));
        programs.map(|program| program.name.as_str()).collect::<Vec<_>>()
    };
    let (old, maybe) = (old(false), old(true));
    let level = match (old.is_empty(), maybe.is_empty()) {
        (false, _) => Level::Deny,
        (true, false) => Level::Warn,
        (true, true) => Level::Info,
    };
    let what =
        format!("A and AAAA that share an id are mixed up or lost in {} % of pairs", (same.share() * 100.0).round());
    Some(
        Verdict::new(&FAULT, level, Sureness::Sure, what)
            .evidence(format!(
                "with one id: {same} go wrong ({} answers lost, {} to the other's question)",
                halves(Half::Lost),
                halves(Half::Mixed)
            ))
            .evidence(format!("with two ids, from one socket too: {different}"))
            .evidence_if((ipv6_only > 0).then(|| {
                format!("{ipv6_only} pairs had the answer for AAAA alone: \"no such name\" for a name with only A")
            }))
            .evidence(if old.is_empty() {
                "no program that is known here sends such pairs: musl does, before 1.2.4".to_owned()
            } else {
                format!("{} can send such pairs", list(&old))
            })
            .help("use Alpine 3.18 or later, whose musl gives the two queries different ids")
            .relief(Relief::none("no option changes how musl chooses its ids")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::Half::{Answered, Lost, Mixed};
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const COLLISION: &str = "id-collision";

    #[test]
    fn fires_where_only_pairs_with_one_id_go_wrong() {
        for half in [Lost, Mixed] {
            let seen = Seen::healthy().lose(PairMode::SameId, 50, half, Answered(4));
            assert_eq!(fires(COLLISION, &seen).level, Level::Info);
        }
    }

    #[test]
    fn an_old_musl_makes_it_serious() {
        let seen = Seen::healthy().lose(PairMode::SameId, 50, Lost, Answered(4));
        assert_eq!(
            fires(COLLISION, &seen.clone().program(Family::Musl.at(Version::new(1, 2, 3)), false)).level,
            Level::Deny
        );
        assert_eq!(fires(COLLISION, &seen.program(Family::Musl.at(Version::new(1, 2, 4)), false)).level, Level::Info);
    }

    #[test]
    fn a_server_that_loses_all_pairs_alike_is_another_fault() {
        let seen = Seen::healthy().lose(PairMode::SameId, 20, Lost, Answered(4)).lose(
            PairMode::OneSocket,
            20,
            Lost,
            Answered(4),
        );
        silent_of(COLLISION, &seen);
    }

    #[test]
    fn one_lost_pair_says_nothing() {
        silent_of(COLLISION, &Seen::healthy().lose(PairMode::SameId, 1, Lost, Answered(4)));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(COLLISION);
    }
}
