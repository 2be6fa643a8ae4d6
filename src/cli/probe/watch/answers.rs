//! The answers of each nameserver over the last rounds. Must not know what they mean.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::cluster::WatchedNameserver;
use crate::verdicts::observations::{AskedQuery, QueryOutcome, Via};

/// Number of rounds that count: ten minutes at the default interval.
const ROUNDS: usize = 20;

/// The time of one query by UDP; `None` without an answer.
type Answered = (SocketAddr, Option<Duration>);

/// The queries of the last rounds.
#[derive(Debug, Default)]
pub(super) struct RecentAnswers(VecDeque<Vec<Answered>>);

// === impl RecentAnswers ===

impl RecentAnswers {
    /// Adds the queries of a round.
    pub(super) fn add(&mut self, asked: &[AskedQuery]) {
        let sent = asked.iter().filter(|asked| asked.via == Via::Udp && asked.outcome != QueryOutcome::NotAsked);
        self.0.push_back(sent.map(|asked| (asked.server, asked.is_answered().then_some(asked.took))).collect());
        while self.0.len() > ROUNDS {
            self.0.pop_front();
        }
    }

    /// Returns the counts and times of these nameservers.
    pub(super) fn nameservers(&self, servers: &[SocketAddr]) -> Vec<WatchedNameserver> {
        let of = |server: &SocketAddr| {
            let all: Vec<Option<Duration>> =
                self.0.iter().flatten().filter(|(asked, _)| asked == server).map(|(_, took)| *took).collect();
            let mut times: Vec<Duration> = all.iter().flatten().copied().collect();
            times.sort_unstable();
            let at = |share: usize| times.get(times.len() * share / 100).map(|time| time.as_secs_f64() * 1e3);
            let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
            WatchedNameserver {
                address: server.ip().to_string(),
                queries: count(all.len()),
                lost: count(all.len() - times.len()),
                p50_milliseconds: at(50),
                p99_milliseconds: at(99),
            }
        };
        servers.iter().map(of).collect()
    }
}
