//! Headers of an answer that asks for a login or for patience (RFC 9110). Must not know how either is met.

use std::time::{Duration, SystemTime};

use hyper::header::{HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};

/// The pause where a registry limits the rate and gives no time, and the longest that is believed.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(60);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// The login that `WWW-Authenticate` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A name and a password.
    Basic,
    /// A token of the server at `realm`.
    Bearer { realm: String, service: Option<String> },
}

// === impl Challenge ===

impl Challenge {
    /// Reads the challenge of an answer; a bearer token is preferred.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let texts = || headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let after = |scheme: &str| {
            texts().find_map(|text| {
                let head = text.get(..scheme.len())?;
                head.eq_ignore_ascii_case(scheme).then(|| text[scheme.len()..].trim())
            })
        };
        if let Some(parameters) = after("bearer ") {
            let realm = parameter(parameters, "realm")?;
            return Some(Self::Bearer { realm, service: parameter(parameters, "service") });
        }
        after("basic").map(|_| Self::Basic)
    }
}

/// Returns the value of `name="…"` in a list of such parameters; a quoted value may hold commas.
fn parameter(list: &str, name: &str) -> Option<String> {
    let mut rest = list;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',', '\t']);
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
    None
}

/// Returns the pause that a registry asks for: seconds or a date (RFC 9110 10.2.3), or a minute if it gives neither.
pub(super) fn retry_after(headers: &HeaderMap) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let date = || httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok();
    let asked = text.parse().ok().map(Duration::from_secs).or_else(date).unwrap_or(RETRY_AFTER_DEFAULT);
    asked.min(RETRY_AFTER_MAX)
}
