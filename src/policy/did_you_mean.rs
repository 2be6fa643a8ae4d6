//! Proposals for words that are slightly wrong.

/// The least similarity, from 0 to 1, at which one word is proposed for another.
const SIMILAR: f64 = 0.7;

/// Returns ``did you mean `word`?`` for the known word that is most similar; `None` where the word is known, or where no known word
/// is similar.
pub fn did_you_mean<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    Some(format!("did you mean `{}`?", meant_word(word, known)?))
}

/// Returns the known word that was meant, if one is similar.
pub fn meant_word<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    closest(word, known).filter(|meant| *meant != word)
}

fn closest<'w>(word: &str, candidates: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // Words of very different lengths cannot be similar, and comparing takes memory for each byte of both.
    let may_be_similar = |candidate: &&str| {
        let (shorter, longer) = (candidate.len().min(word.len()), candidate.len().max(word.len()));
        shorter * 10 + 10 >= longer * 7
    };
    candidates
        .into_iter()
        .filter(may_be_similar)
        .map(|candidate| (strsim::normalized_damerau_levenshtein(candidate, word), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposes_a_similar_word_and_nothing_else() {
        let words = ["attempts-zero", "timeout-zero", "option-ignored"];
        assert_eq!(closest("atempts-zero", words), Some("attempts-zero"));
        assert_eq!(closest("options-ignored", words), Some("option-ignored"));
        assert_eq!(closest("musl", words), None);
        assert_eq!(did_you_mean("attempts-zero", words), None);
        assert_eq!(did_you_mean("attempt-zero", words).as_deref(), Some("did you mean `attempts-zero`?"));
    }
}
