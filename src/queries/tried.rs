//! The candidates that a client tried for each name, within a bound: the names used least recently are dropped.

use std::collections::HashMap;

/// The candidates of one name that a client asked for. Each set has one bit for each domain of the search list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// Domains below which the name does not exist.
    pub(super) missing: u32,
    /// Domains below which the name exists.
    pub(super) found: u32,
    /// Domains below which the query failed, or has no record of a type.
    pub(super) failed: u32,
    /// The answer to the name as the program gave it.
    pub(super) as_is: AsIs,
    /// The queries below domains that failed, before the name as it is was found.
    pub(super) wasted: u64,
}

/// The answer to a name as a program gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AsIs {
    /// There was no query.
    #[default]
    NotAsked,
    /// The name was not found.
    Missing,
    /// The name exists.
    Found,
}

/// The names of one client, in two generations: a name that is used moves to the young one, and the old one is dropped when the
/// young one is full.
#[derive(Default)]
pub(super) struct TriedNames {
    young: HashMap<Box<str>, Tried>,
    old: HashMap<Box<str>, Tried>,
}

/// The number of searches in a log, and of those that lack a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wholeness {
    /// Names that were searched for.
    pub(super) searches: u64,
    /// Searches of which a query is not in the log.
    pub(super) cut: u64,
}

// === impl Tried ===

impl Tried {
    /// Returns whether all domains before this one were asked in vain.
    pub(super) fn missed_before(&self, domain: usize) -> bool {
        let before = (1 << domain) - 1;
        // A name that has only A fails for AAAA, below a domain where it is found.
        (self.missing | self.failed & !self.found) & before == before
    }

    /// Returns whether any candidate failed, so that the name was surely searched for.
    pub(super) fn is_searched(&self) -> bool {
        self.missing != 0
    }

    /// Adds this search to the count. One that ends in the middle, or has a hole, has lost queries; an error can end it (musl).
    fn judge(&self, own_domains: usize, wholeness: &mut Wholeness) {
        if !self.is_searched() {
            return;
        }
        wholeness.searches += 1;
        let seen = self.missing | self.found | self.failed;
        let asked = (seen + 1).trailing_zeros();
        let has_hole = seen >> asked != 0;
        let has_end = self.found != 0 || self.failed != 0 || asked as usize >= own_domains;
        if has_hole || !has_end {
            wholeness.cut += 1;
        }
    }
}

// === impl TriedNames ===

impl TriedNames {
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Tried> {
        self.young.get(name).or_else(|| self.old.get(name))
    }

    /// Returns the entry of a name, new or known.
    pub(super) fn entry(&mut self, name: &str) -> &mut Tried {
        if !self.young.contains_key(name) {
            let known = self.old.remove(name).unwrap_or_default();
            self.young.insert(name.into(), known);
        }
        self.young.entry(name.into()).or_default()
    }

    /// Returns whether the young generation has this many names.
    pub(super) fn is_full(&self, generation: usize) -> bool {
        self.young.len() >= generation
    }

    /// Drops the older generation, and returns the number of its names. Counts how whole they are.
    pub(super) fn drop_old(&mut self, own_domains: usize, wholeness: &mut Wholeness) -> usize {
        let dropped = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        dropped.values().for_each(|tried| tried.judge(own_domains, wholeness));
        dropped.len()
    }

    /// Adds the searches of all names to the count.
    pub(super) fn judge(&self, own_domains: usize, wholeness: &mut Wholeness) {
        self.young.values().chain(self.old.values()).for_each(|tried| tried.judge(own_domains, wholeness));
    }
}

// === impl Wholeness ===

impl Wholeness {
    /// Returns whether the log has the queries of all searches: of 50 searches one may be cut, by the start and the end of the log, and
    /// one of ten. A log of one of two replicas lacks half of the queries.
    pub(super) fn is_whole(self) -> bool {
        let Self { searches, cut } = self;
        searches > 0 && cut <= (searches / 50).max(u64::from(searches >= 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(tried: Tried) -> u64 {
        let mut wholeness = Wholeness::default();
        tried.judge(3, &mut wholeness);
        assert_eq!(wholeness.searches, 1);
        wholeness.cut
    }

    #[test]
    fn a_search_is_cut_where_a_query_is_not_in_the_log() {
        let search = Tried { missing: 0b111, ..Tried::default() };
        assert_eq!(judged(search), 0);
        assert_eq!(judged(Tried { missing: 0b1111, ..search }), 0, "a domain of the node's");
        assert_eq!(judged(Tried { missing: 0b001, found: 0b010, ..search }), 0);
        assert_eq!(judged(Tried { missing: 0b001, failed: 0b010, ..search }), 0, "musl ends there");
        assert_eq!(judged(Tried { missing: 0b011, ..search }), 1);
        assert_eq!(judged(Tried { missing: 0b110, ..search }), 1);
        assert_eq!(judged(Tried { missing: 0b001, found: 0b100, ..search }), 1);
    }

    #[test]
    fn a_log_is_whole_if_at_most_its_ends_cut_a_search() {
        for (searches, cut, is_whole) in
            [(0, 0, false), (1, 0, true), (9, 1, false), (10, 1, true), (10, 2, false), (100, 2, true), (149, 3, false)]
        {
            assert_eq!(Wholeness { searches, cut }.is_whole(), is_whole, "{cut} of {searches}");
        }
    }

    #[test]
    fn the_names_used_least_recently_are_dropped() {
        let (mut names, mut wholeness) = (TriedNames::default(), Wholeness::default());
        for name in ["a", "b"] {
            names.entry(name).missing = 1;
        }
        assert_eq!(names.drop_old(3, &mut wholeness), 0);
        names.entry("a").found = 2;
        assert_eq!(names.drop_old(3, &mut wholeness), 1);
        assert_eq!(names.get("a"), Some(&Tried { missing: 1, found: 2, ..Tried::default() }));
        assert_eq!((names.get("b"), names.len(), wholeness), (None, 1, Wholeness { searches: 1, cut: 1 }));
    }
}
