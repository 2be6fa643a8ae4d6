//! How much a count of losses says: a rate with the interval it lies in, and whether two rates differ by more than chance. Knows
//! nothing of what is counted.

use std::fmt;

/// Rates of which the difference could be chance more often than this are taken to be the same. A probe asks this some six times
/// over, so a healthy network is accused by one probe in less than 150.
pub const CHANCE_MAX: f64 = 0.001;

/// The quantile of the normal distribution for an interval of 95 %.
const Z: f64 = 1.959_963_985;

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub hits: u64,
    /// Of how many.
    pub of: u64,
}

// === impl Rate ===

impl Rate {
    /// How many of these things are so.
    pub fn of<T>(things: impl IntoIterator<Item = T>, is_so: impl Fn(&T) -> bool) -> Self {
        things.into_iter().fold(Self::default(), |Self { hits, of }, thing| Self {
            hits: hits + u64::from(is_so(&thing)),
            of: of + 1,
        })
    }

    /// Both together.
    pub const fn and(self, other: Self) -> Self {
        Self { hits: self.hits + other.hits, of: self.of + other.of }
    }

    /// Between 0 and 1; 0 of nothing.
    pub fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { real(self.hits) / real(self.of) }
    }

    /// Between which shares the true one lies, with 95 % confidence (E. B. Wilson 1927, "Probable inference, the law of
    /// succession, and statistical inference"): it holds for few trials and for none that hit, too.
    pub fn interval(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, share) = (real(self.of), self.share());
        let centre = share + Z * Z / (2.0 * n);
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
    }

    /// How likely it is that a rate as much above `other` as this one comes about by chance where both are the same: Fisher's exact
    /// test, one-sided.
    pub fn exceeds_by_chance(self, other: Self) -> f64 {
        let (all, hits) = (self.of + other.of, self.hits + other.hits);
        let most = hits.min(self.of);
        let whole = ln_choose(all, hits);
        let sum: f64 = (self.hits..=most)
            .filter(|mine| hits - mine <= other.of)
            .map(|mine| (ln_choose(self.of, mine) + ln_choose(other.of, hits - mine) - whole).exp())
            .sum();
        sum.min(1.0)
    }

    /// Whether this rate is above the other by more than chance.
    pub fn exceeds(self, other: Self) -> bool {
        self.hits > 0 && other.of > 0 && self.exceeds_by_chance(other) < CHANCE_MAX
    }
}

impl fmt::Display for Rate {
    /// `7 of 50 (14 %; 95 % interval 7 to 26 %)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.interval();
        let percent = |share: f64| (share * 100.0).round();
        write!(
            f,
            "{} of {} ({} %; 95 % interval {} to {} %)",
            self.hits,
            self.of,
            percent(self.share()),
            percent(low),
            percent(high)
        )
    }
}

fn ln_choose(n: u64, k: u64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    let k = k.min(n - k);
    (1..=k).map(|i| (real(n - k + i) / real(i)).ln()).sum()
}

/// The middle one of these values; `None` of nothing.
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

    const fn rate(hits: u64, of: u64) -> Rate {
        Rate { hits, of }
    }

    fn close(one: f64, other: f64) {
        assert!((one - other).abs() < 5e-4, "{one} is not {other}");
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // R: prop.test(x, n, correct = FALSE)$conf.int
        for (rate, low, high) in
            [(rate(7, 50), 0.0695, 0.2619), (rate(0, 50), 0.0, 0.0713), (rate(1, 20), 0.0089, 0.2361)]
        {
            close(rate.interval().0, low);
            close(rate.interval().1, high);
        }
    }

    #[test]
    fn chance_is_that_of_the_hypergeometric_distribution() {
        // The lady tasting tea (R. A. Fisher 1935): 3 of 4 against 1 of 4 is 17/70, 4 of 4 against none 1/70.
        close(rate(3, 4).exceeds_by_chance(rate(1, 4)), 17.0 / 70.0);
        close(rate(4, 4).exceeds_by_chance(rate(0, 4)), 1.0 / 70.0);
        close(rate(0, 50).exceeds_by_chance(rate(0, 50)), 1.0);
    }

    #[test]
    fn one_lost_packet_says_nothing() {
        assert!(!rate(1, 50).exceeds(rate(0, 100)));
        assert!(!rate(5, 50).exceeds(rate(2, 100)));
        assert!(rate(8, 50).exceeds(rate(0, 100)));
        assert!(!rate(5, 5).exceeds(rate(0, 0)), "nothing to compare with");
    }

    #[test]
    fn a_rate_is_written_with_its_interval() {
        assert_eq!(rate(7, 50).to_string(), "7 of 50 (14 %; 95 % interval 7 to 26 %)");
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3, 1, 2]), Some(2));
        assert_eq!(median::<u8>([]), None);
    }
}
