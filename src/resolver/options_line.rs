//! A line of resolv.conf as bytes: how long it is, what is left where a resolver's buffer cuts it, and the numbers in
//! it as C reads them. Knows nothing of options.

/// How long these words are in bytes, with one space between each two.
pub(super) fn length(words: &[&str]) -> usize {
    words.iter().map(|word| word.len() + 1).sum::<usize>().saturating_sub(1)
}

/// What a buffer holds of these words if it ends after `room` bytes: the last one may be cut short.
pub(super) fn cut<'a>(words: &[&'a str], room: usize) -> impl Iterator<Item = &'a str> {
    let mut start = 0;
    words.iter().map_while(move |word| {
        let left = room.checked_sub(start).filter(|left| *left > 0)?;
        start += word.len() + 1;
        if word.len() <= left { Some(*word) } else { word.get(..left) }
    })
}

/// The number that begins `text`, as C's `strtoul` reads it after a check that a digit stands there; `None` without a
/// digit. Numbers too large stay the largest.
pub(super) fn leading_digits(text: &str) -> Option<u64> {
    text.starts_with(|first: char| first.is_ascii_digit()).then(|| {
        let digits = text.bytes().take_while(u8::is_ascii_digit);
        digits.fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// What `int n = strtol(text, NULL, 10)` gives, as `atoi` does too: a sign is read, no number is 0, and what is too
/// large for the 64 bits of a `long` saturates there and then loses its upper half, so that it becomes -1.
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
