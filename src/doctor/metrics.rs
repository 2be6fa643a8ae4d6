//! Metrics in the text format of Prometheus.

/// Returns the samples of a metric: the labels as they are written, and the value.
pub(super) fn samples<'t>(text: &'t str, metric: &'t str) -> impl Iterator<Item = (&'t str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(metric)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once('}')?,
            None if rest.starts_with(' ') => ("", rest),
            None => return None,
        };
        Some((labels, value.split_ascii_whitespace().next()?.parse().ok()?))
    })
}

/// Returns the sum of a metric's samples; `None` if there are none.
pub(super) fn sum(text: &str, metric: &str) -> Option<f64> {
    samples(text, metric).map(|(_, value)| value).reduce(|sum, value| sum + value)
}

/// Returns the value of a label, as written.
pub(super) fn label<'l>(labels: &'l str, name: &str) -> Option<&'l str> {
    labels.split(',').find_map(|label| {
        let (found, value) = label.split_once('=')?;
        (found.trim() == name).then(|| value.trim_matches('"'))
    })
}
