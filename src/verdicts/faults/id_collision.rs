//! Two queries from one socket with the same id get swapped or lost.
//!
//! ## Symptoms
//! musl before 1.2.4 (Alpine to 3.17) derives the id of a query from the clock. If the clock is coarse, A and AAAA of a lookup
//! share an id, and musl stops listening after two answers with that id. A nameserver, or a device on the path, that takes the
//! second query for a repetition of the first answers only one of them, or the wrong one. The result is IPv6 addresses only, or a
//! false "no such name" (60 of 60 measured, where A is lost).
//!
//! ## Detection
//! Pairs from one socket with one id are compared with pairs from one socket with two ids. A broken server, a lossy path and the
//! conntrack race treat both alike; the collision harms only the first (Fisher's exact test).
//!
//! ## What to do
//! Use Alpine 3.18 or later. No option changes how musl chooses its ids.

use crate::policy::Level;
use crate::resolver::{Family, musl};
use crate::verdicts::observations::{Half, Observations, PairMode};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "id-collision", source: include_str!("id_collision.rs"), check };

fn check(seen: &Observations) -> Option<Verdict> {
    let broken = |mode| Rate::count(seen.pairs_of(mode), |pair| !pair.is_whole());
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
        .filter(|pair| !matches!(pair.a, Half::Answered(..)) && matches!(pair.aaaa, Half::Answered(..)));
    let ipv6_only = ipv6_only.count();
    let old = |of_any: bool| {
        let is_old = move |version: Option<_>| version.map_or(of_any, |version| version < musl::DISTINCT_IDS_SINCE);
        let programs = seen
            .programs()
            .filter(move |program| program.resolver.family == Family::Musl && is_old(program.resolver.version));
        programs.map(|program| program.name.as_str()).collect::<Vec<_>>()
    };
    let (old, maybe) = (old(false), old(true));
    let level = match (old.is_empty(), maybe.is_empty()) {
        (false, _) => Level::Deny,
        (true, false) => Level::Warn,
        (true, true) => Level::Info,
    };
    let what = format!("{} % of pairs with one id are swapped or lost", (same.share() * 100.0).round());
    Some(
        Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what)
            .evidence(format!(
                "with one id: {same} fail ({} answers lost, {} answers to the other query)",
                halves(Half::Lost),
                halves(Half::SwappedAnswer)
            ))
            .evidence(format!("with two ids, also from one socket: {different}"))
            .evidence_if((ipv6_only > 0).then(|| {
                format!("{ipv6_only} pairs got the answer for AAAA alone: \"no such name\" for a name with only A")
            }))
            .evidence(if old.is_empty() {
                "no program known here sends such pairs; musl before 1.2.4 does".to_owned()
            } else {
                format!("{} can send such pairs", list(&old))
            })
            .help("use Alpine 3.18 or later, whose musl gives the two queries different ids")
            .profile_effects(ProfileEffects::none("no option changes how musl chooses its ids")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Version;
    use crate::verdicts::observations::Code;
    use crate::verdicts::observations::Half::{Answered, Lost, SwappedAnswer};
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const COLLISION: &str = "id-collision";

    #[test]
    fn fires_if_only_pairs_with_one_id_fail() {
        for half in [Lost, SwappedAnswer] {
            let seen = Seen::healthy().lose(PairMode::SameId, 50, half, Answered(4, Code::NoError));
            assert_eq!(fires(COLLISION, &seen).level, Level::Info);
        }
    }

    #[test]
    fn denies_if_an_old_musl_is_here() {
        let seen = Seen::healthy().lose(PairMode::SameId, 50, Lost, Answered(4, Code::NoError));
        assert_eq!(
            fires(COLLISION, &seen.clone().program(Family::Musl.at(Version::new(1, 2, 3)), false)).level,
            Level::Deny
        );
        assert_eq!(fires(COLLISION, &seen.program(Family::Musl.at(Version::new(1, 2, 4)), false)).level, Level::Info);
    }

    #[test]
    fn silent_for_a_server_that_loses_all_pairs_alike() {
        let seen = Seen::healthy().lose(PairMode::SameId, 20, Lost, Answered(4, Code::NoError)).lose(
            PairMode::OneSocket,
            20,
            Lost,
            Answered(4, Code::NoError),
        );
        silent_of(COLLISION, &seen);
    }

    #[test]
    fn silent_for_one_lost_pair() {
        silent_of(COLLISION, &Seen::healthy().lose(PairMode::SameId, 1, Lost, Answered(4, Code::NoError)));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(COLLISION);
    }
}
