//! The deadline of a review: the API server passes its own time limit as `?timeout=`, a Go duration, rounded up to seconds
//! (kubernetes `staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/request`).

use std::time::Duration;

/// The API server's default limit (`timeoutSeconds` of a webhook configuration).
const DEFAULT: Duration = Duration::from_secs(10);

/// The longest limit that the API server allows.
const LONGEST: Duration = Duration::from_secs(30);

/// The share of the limit that is kept for the network: the limit began before the request reached us, and the answer has to travel
/// back.
const MARGIN: f64 = 0.1;

/// Returns the time for a review, from the query of its request.
pub(in crate::admission) fn budget(query: Option<&str>) -> Duration {
    let limit = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(go_duration)
        .unwrap_or(DEFAULT);
    limit.min(LONGEST).mul_f64(1.0 - MARGIN)
}

/// Parses a duration as Go prints it (`time.Duration.String`): `2s`, `1.5s`, `1m30s`, `500ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |length| digits + length);
        let number: f64 = rest[..digits].parse().ok()?;
        seconds += number
            * match &rest[digits..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_tenth_of_the_api_server_s_limit() {
        assert_eq!(budget(Some("timeout=2s")), Duration::from_millis(1800));
        assert_eq!(budget(Some("foo=1&timeout=500ms")), Duration::from_millis(450));
        assert_eq!(budget(Some("timeout=1m30s")), Duration::from_secs(27));
    }

    #[test]
    fn uses_the_api_server_s_default_for_an_invalid_limit() {
        for query in [None, Some(""), Some("timeout="), Some("timeout=soon"), Some("timeout=0s"), Some("timeout=-3s")] {
            assert_eq!(budget(query), Duration::from_secs(9), "{query:?}");
        }
    }
}
