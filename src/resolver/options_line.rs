//! A line of resolv.conf as bytes: its length, the part of it that fits a resolver's buffer, and the numbers in it as C
//! reads them. Knows nothing of the options' meaning.

use std::ops::Range;

/// The length of these words in bytes, with one space between each two.
pub(super) fn length(words: &[&str]) -> usize {
    words.iter().map(|word| word.len() + 1).sum::<usize>().saturating_sub(1)
}

/// The part of these words in the first `room` bytes of their line: the last one may be cut short.
pub(super) fn cut<'a>(words: &[&'a str], room: usize) -> impl Iterator<Item = &'a str> {
    let mut start = 0;
    words.iter().map_while(move |word| {
        let left = room.checked_sub(start).filter(|left| *left > 0)?;
        start += word.len() + 1;
        if word.len() <= left { Some(*word) } else { word.get(..left) }
    })
}

/// The number at the start of `text`, as C's `strtoul` reads it after a check for a digit; `None` without a digit.
/// Numbers too large become the largest.
pub(super) fn leading_digits(text: &str) -> Option<u64> {
    text.starts_with(|first: char| first.is_ascii_digit()).then(|| {
        let digits = text.bytes().take_while(u8::is_ascii_digit);
        digits.fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// The value of `int n = strtol(text, NULL, 10)`, and of `atoi`: a sign is read, a text without a number is 0, and a
/// number too large for the 64 bits of a `long` saturates and then loses its upper half, so that it becomes -1.
#[expect(clippy::cast_possible_truncation, reason = "C's conversion from long to int is what is modelled")]
pub(super) fn int(text: &str) -> i32 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = i64::try_from(leading_digits(digits).unwrap_or(0)).unwrap_or(i64::MAX);
    let long = match (negative, magnitude) {
        (true, i64::MAX) => i64::MIN,
        (true, magnitude) => -magnitude,
        (false, magnitude) => magnitude,
    };
    long as i32
}

/// The place in `text` of the digits that give `option` the number zero: `9..10` in `attempts:0`. Some resolvers read
/// them wherever the option's name and a colon stand before them, even within a word, as musl does.
pub fn zero_digits(text: &str, option: &str) -> Option<Range<usize>> {
    text.match_indices(option).find_map(|(start, _)| {
        let digits = text[start + option.len()..].strip_prefix(':')?;
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        let start = text.len() - digits.len();
        let zero = length > 0 && digits.bytes().take(length).all(|digit| digit == b'0');
        zero.then(|| start..start + length)
    })
}

/// Returns the text after the first `key`. A plain search is quicker than `split_once`, which prepares a search of long texts.
pub(super) fn after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let start = text.as_bytes().windows(key.len()).position(|window| window == key.as_bytes())?;
    text.get(start + key.len()..)
}
