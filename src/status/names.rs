//! Names of nodes and times in sentences.

use jiff::{SignedDuration, Timestamp};

/// The most names in a sentence.
const NAMED_MAX: usize = 3;

/// Returns a count and what is counted.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Returns a few names, and the number of the others.
pub(super) fn some_of(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let named = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// Returns `node-1`, or `3 nodes (a, b, c)`, or the number alone if all have it.
pub(super) fn nodes(names: &[&str], all: usize) -> String {
    match names {
        [one] => format!("node {one}"),
        names if names.len() == all => format!("all {all} nodes"),
        names => format!("{} of {all} nodes ({})", names.len(), some_of(names)),
    }
}

/// Returns the time between two times in one unit that a person would use.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let age: SignedDuration = now.duration_since(since).abs();
    match (age.as_hours() / 24, age.as_hours(), age.as_mins(), age.as_secs()) {
        (days @ 2.., ..) => format!("{days} days"),
        (_, hours @ 2.., ..) => format!("{hours} hours"),
        (_, _, minutes @ 2.., _) => format!("{minutes} minutes"),
        (_, _, _, 1) => "1 second".to_owned(),
        (_, _, _, seconds) => format!("{seconds} seconds"),
    }
}
