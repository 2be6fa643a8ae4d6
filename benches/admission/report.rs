//! Times as Markdown. It must not know how they were taken.

use std::time::Duration;

/// The run is cut into as many parts, and a ratio is shown with the least and the greatest ratio of the parts.
const PARTS: usize = 5;

/// Reports progress.
#[expect(clippy::print_stderr, reason = "progress is for the person who watches")]
pub(crate) fn progress(message: &str) {
    eprintln!("admission: {message}");
}

/// The table of the lanes, and how muslin compares with the two that matter.
pub(crate) fn table(lanes: &[&str], times: &[Vec<Duration>], pod_bytes: usize) -> String {
    let mut out = format!(
        "A pod of {pod_bytes} bytes, created {} times in each of {} namespaces, one at a time.\n\n\
         | called | p50 (ms) | p90 (ms) | p99 (ms) |\n|---|---:|---:|---:|\n",
        times[0].len(),
        lanes.len(),
    );
    for (lane, times) in lanes.iter().zip(times) {
        let at = |percent| percentile(times, percent).as_secs_f64() * 1e3;
        out.push_str(&format!("| {lane} | {:.2} | {:.2} | {:.2} |\n", at(50), at(90), at(99)));
    }
    out.push_str("\n| ratio | p50 | p90 | p99 |\n|---|---:|---:|---:|\n");
    let of = |name: &str| lanes.iter().position(|lane| *lane == name).map(|lane| times[lane].as_slice());
    for (one, other) in
        [("muslin", "replay"), ("muslin", "before"), ("muslin", "patch"), ("muslin", "policy"), ("replay", "patch")]
    {
        let (Some(first), Some(second)) = (of(one), of(other)) else { continue };
        let cells: Vec<String> = [50, 90, 99].map(|percent| ratio(first, second, percent)).to_vec();
        out.push_str(&format!("| {one} : {other} | {} |\n", cells.join(" | ")));
    }
    out
}

/// Of the whole run, and in brackets the least and the greatest of its parts.
fn ratio(first: &[Duration], second: &[Duration], percent: usize) -> String {
    let ratio = |first: &[Duration], second: &[Duration]| {
        percentile(first, percent).as_secs_f64() / percentile(second, percent).as_secs_f64()
    };
    let part = first.len().div_ceil(PARTS).max(1);
    let parts: Vec<f64> =
        first.chunks(part).zip(second.chunks(part)).map(|(first, second)| ratio(first, second)).collect();
    let least = parts.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = parts.iter().copied().fold(0.0, f64::max);
    format!("{:.3} ({least:.3} to {greatest:.3})", ratio(first, second))
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
