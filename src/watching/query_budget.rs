//! The limit of queries over time: a bucket of tokens. Must not know what the queries are for.

use std::time::Duration;

/// The number of queries that each interval adds. A round has at most as many, so rounds alone never exceed the limit.
const ADDED: u32 = 40;

/// The most that can be saved: enough for five faults at once after each other, each with two probes that raise a verdict and one that ends
/// it.
const SAVED_MAX: u32 = 2_400;

/// A limit of queries: with the default interval of 30 s at most 2,400 and 80 more each minute, so at most 7,200 in each hour, which are
/// 2 a second.
#[derive(Clone, Debug)]
pub struct QueryBudget {
    interval: Duration,
    /// Queries that may be sent now, with fractions.
    saved: f64,
    /// The time for which tokens were added.
    until: Duration,
}

// === impl QueryBudget ===

impl QueryBudget {
    /// The most queries of one round.
    pub const ROUND_MAX: u32 = ADDED;

    /// Returns a full bucket.
    pub fn new(interval: Duration) -> Self {
        Self { interval, saved: f64::from(SAVED_MAX), until: Duration::ZERO }
    }

    /// Counts queries that were sent.
    pub fn spend(&mut self, now: Duration, queries: u32) {
        self.add(now);
        self.saved -= f64::from(queries);
    }

    /// Returns the time at which this many queries may be sent besides a round.
    pub fn affords(&mut self, now: Duration, queries: u32) -> Duration {
        self.add(now);
        let missing = f64::from((queries + Self::ROUND_MAX).min(SAVED_MAX)) - self.saved;
        if missing <= 0.0 { now } else { now + self.interval.mul_f64(missing / f64::from(ADDED)) }
    }

    /// Returns the number of queries that a round may send now: all, unless sooner rounds have used up what was saved.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and ROUND_MAX")]
    pub fn for_round(&mut self, now: Duration) -> u32 {
        self.add(now);
        self.saved.clamp(0.0, f64::from(Self::ROUND_MAX)) as u32
    }

    /// Returns the number of queries that may be sent now besides a round.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and SAVED_MAX")]
    pub fn left(&mut self, now: Duration) -> u32 {
        self.add(now);
        (self.saved - f64::from(Self::ROUND_MAX)).clamp(0.0, f64::from(SAVED_MAX)) as u32
    }

    fn add(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.until);
        self.until = self.until.max(now);
        let added = passed.as_secs_f64() / self.interval.as_secs_f64().max(f64::MIN_POSITIVE) * f64::from(ADDED);
        self.saved = (self.saved + added).min(f64::from(SAVED_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn any_hour_has_at_most_two_queries_a_second() {
        let mut budget = QueryBudget::new(INTERVAL);
        let (mut now, mut sent) = (Duration::ZERO, 0);
        while now < HOUR {
            let probe = budget.left(now).min(400);
            sent += probe;
            budget.spend(now, probe);
            now = budget.affords(now, 400);
        }
        assert!((6_600..=7_200).contains(&sent), "{sent}");
    }

    #[test]
    fn what_was_saved_may_be_spent_at_once() {
        let mut budget = QueryBudget::new(INTERVAL);
        budget.spend(Duration::ZERO, 2_400);
        assert_eq!((budget.affords(Duration::ZERO, 40), budget.left(Duration::ZERO)), (2 * INTERVAL, 0));
        assert_eq!((budget.for_round(Duration::ZERO), budget.for_round(INTERVAL)), (0, 40));
        assert_eq!((budget.affords(HOUR, 2_360), budget.left(HOUR)), (HOUR, 2_360));
    }

    #[test]
    fn a_probe_above_the_limit_waits_for_a_full_bucket_alone() {
        let mut budget = QueryBudget::new(INTERVAL);
        assert_eq!(budget.affords(Duration::ZERO, 5_000), Duration::ZERO);
    }
}
