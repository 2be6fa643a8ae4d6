//! What was meant by a word that is slightly wrong.

/// How alike two words must be, from 0 to 1, for one to be proposed for the other.
const ALIKE: f64 = 0.7;

/// Of the words that could have been meant, the likest; `None` where none is like it.
pub fn closest<'w>(word: &str, candidates: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // The likeness of words of different lengths has a bound, and comparing takes memory for each byte of both.
    let may_be_alike = |candidate: &&str| {
        let (shorter, longer) = (candidate.len().min(word.len()), candidate.len().max(word.len()));
        shorter * 10 + 10 >= longer * 7
    };
    candidates
        .into_iter()
        .filter(may_be_alike)
        .map(|candidate| (strsim::normalized_damerau_levenshtein(candidate, word), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposes_what_is_like_it_and_nothing_else() {
        let words = ["attempts-zero", "timeout-zero", "option-ignored"];
        assert_eq!(closest("atempts-zero", words), Some("attempts-zero"));
        assert_eq!(closest("options-ignored", words), Some("option-ignored"));
        assert_eq!(closest("musl", words), None);
    }
}
