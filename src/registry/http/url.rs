//! Helpers for URLs and for errors of the HTTP client. Must not send anything.

use hyper::Uri;

use crate::registry::error::Error;
use crate::text::one_line;

/// The longest part of a URL that a message shows, in characters.
const SHOWN_MAX: usize = 200;

/// Returns `host` or `host:port` of a URL, without a user name.
pub(super) fn authority(uri: &Uri) -> String {
    uri.authority()
        .map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default().to_owned())
        .unwrap_or_default()
}

/// Returns a URL without its query, which may hold a signature.
pub(super) fn without_query(uri: &Uri) -> String {
    let shown: String = format!("{}://{}{}", uri.scheme_str().unwrap_or("https"), authority(uri), uri.path());
    one_line(&shown, SHOWN_MAX).into_owned()
}

/// Encodes pairs as `application/x-www-form-urlencoded`.
pub(super) fn encode_form(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
                other => out.push_str(&format!("%{other:02X}")),
            }
            out
        })
    };
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// Returns our own error if the HTTP client's error wraps one, and otherwise a [`Error::Transport`] with the innermost message.
pub(super) fn transport_error(host: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    let mut innermost = error;
    loop {
        if let Some(own) = innermost.downcast_ref::<Error>() {
            return own.clone();
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => return Error::Transport { host: host.to_owned(), problem: innermost.to_string() },
        }
    }
}
