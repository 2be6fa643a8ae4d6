//! Statistics of losses: a rate with its confidence interval, and a test of whether two rates differ by more than chance. Must not
//! know what is counted.

use std::fmt;

/// Two rates count as equal if chance explains their difference more often than this. A probe compares some six pairs of rates, so
/// fewer than one probe in 150 accuses a healthy network.
const CHANCE_MAX: f64 = 0.001;

/// The quantile of the normal distribution for a 95 % interval.
const Z: f64 = 1.959_963_985;

/// A number of hits among a number of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Number of hits.
    pub hits: u64,
    /// Number of trials.
    pub total: u64,
}

// === impl Rate ===

impl Rate {
    /// Counts the items for which `is_hit` holds.
    pub fn count<T>(items: impl IntoIterator<Item = T>, is_hit: impl Fn(&T) -> bool) -> Self {
        items.into_iter().fold(Self::default(), |Self { hits, total }, item| Self {
            hits: hits + u64::from(is_hit(&item)),
            total: total + 1,
        })
    }

    /// Returns the rate of both sets of trials together.
    #[must_use]
    pub(super) const fn plus(self, other: Self) -> Self {
        Self { hits: self.hits + other.hits, total: self.total + other.total }
    }

    /// Returns the share of hits, between 0 and 1; 0 if there were no trials.
    pub fn share(self) -> f64 {
        if self.total == 0 { 0.0 } else { real(self.hits) / real(self.total) }
    }

    /// Returns the 95 % Wilson confidence interval of the rate (E. B. Wilson 1927, "Probable inference, the law of succession, and
    /// statistical inference"), which also holds for few trials and for none that hit.
    pub fn interval(self) -> (f64, f64) {
        if self.total == 0 {
            return (0.0, 1.0);
        }
        let (n, share) = (real(self.total), self.share());
        let centre = share + Z * Z / (2.0 * n);
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
    }

    /// Returns the probability that chance puts this rate as far above `other` if both have the same true value: Fisher's exact
    /// test, one-sided.
    pub(super) fn chance_of_exceeding(self, other: Self) -> f64 {
        let (all, hits) = (self.total + other.total, self.hits + other.hits);
        let most = hits.min(self.total);
        let whole = ln_choose(all, hits);
        let sum: f64 = (self.hits..=most)
            .filter(|mine| hits - mine <= other.total)
            .map(|mine| (ln_choose(self.total, mine) + ln_choose(other.total, hits - mine) - whole).exp())
            .sum();
        sum.min(1.0)
    }

    /// Returns whether this rate is above the other by more than chance.
    pub fn exceeds(self, other: Self) -> bool {
        self.hits > 0 && other.total > 0 && self.chance_of_exceeding(other) < CHANCE_MAX
    }
}

impl fmt::Display for Rate {
    /// Writes `7 of 50 (14 %; 95 % interval 7 to 26 %)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hits, total } = self;
        let (low, high) = self.interval();
        let percent = |share: f64| (share * 100.0).round();
        let (share, low, high) = (percent(self.share()), percent(low), percent(high));
        write!(f, "{hits} of {total} ({share} %; 95 % interval {low} to {high} %)")
    }
}

/// Returns the logarithm of the binomial coefficient.
fn ln_choose(n: u64, k: u64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    let k = k.min(n - k);
    (1..=k).map(|i| (real(n - k + i) / real(i)).ln()).sum()
}

/// Returns the middle value; `None` if there is no value.
pub fn median<T: Ord + Copy>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[expect(clippy::cast_precision_loss, reason = "counts of queries are far below 2^52")]
const fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rate(hits: u64, total: u64) -> Rate {
        Rate { hits, total }
    }

    fn close(one: f64, other: f64) {
        assert!((one - other).abs() < 5e-4, "{one} is not {other}");
    }

    #[test]
    fn intervals_match_those_of_r() {
        // R: prop.test(x, n, correct = FALSE)$conf.int
        for (rate, low, high) in
            [(rate(7, 50), 0.0695, 0.2619), (rate(0, 50), 0.0, 0.0713), (rate(1, 20), 0.0089, 0.2361)]
        {
            close(rate.interval().0, low);
            close(rate.interval().1, high);
        }
    }

    #[test]
    fn chance_follows_the_hypergeometric_distribution() {
        // The lady tasting tea (R. A. Fisher 1935): 3 of 4 against 1 of 4 is 17/70, 4 of 4 against none 1/70.
        close(rate(3, 4).chance_of_exceeding(rate(1, 4)), 17.0 / 70.0);
        close(rate(4, 4).chance_of_exceeding(rate(0, 4)), 1.0 / 70.0);
        close(rate(0, 50).chance_of_exceeding(rate(0, 50)), 1.0);
    }

    #[test]
    fn one_lost_packet_is_not_significant() {
        assert!(!rate(1, 50).exceeds(rate(0, 100)));
        assert!(!rate(5, 50).exceeds(rate(2, 100)));
        assert!(rate(8, 50).exceeds(rate(0, 100)));
        assert!(!rate(5, 5).exceeds(rate(0, 0)), "nothing to compare with");
    }

    #[test]
    fn writes_a_rate_with_its_interval() {
        assert_eq!(rate(7, 50).to_string(), "7 of 50 (14 %; 95 % interval 7 to 26 %)");
    }

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median([3, 1, 2]), Some(2));
        assert_eq!(median::<u8>([]), None);
    }
}
