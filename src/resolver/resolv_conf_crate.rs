//! resolv-conf, the Rust crate by which hickory-resolver and the programs built on it read resolv.conf. The crate
//! resolves nothing; it matters because one option that it does not know is an error for the whole file. Knows nothing
//! of the programs that use it.

use super::version::Version;

/// The first hickory-resolver that skips such errors and takes the rest of the file (`src/system_conf/unix.rs`:
/// `Config::parse` in 0.26.2, `parse_with_errors` in 0.26.3).
pub const LENIENT_HICKORY: Version = Version::new(0, 26, 3);

/// The releases of the crate that accept an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Every release in use accepts it.
    Always,
    /// Releases before this one reject the file (`InvalidOption`).
    Since(Version),
    /// Every release rejects the file.
    Never,
}

/// The options accepted with any value or none, and their first release: resolv-conf 0.7.6 `src/lib.rs`
/// `Config::parse_with_errors`; those without a release stand in 0.6.0 (2018) too.
const SWITCHES: [(&str, Acceptance); 15] = [
    ("debug", Acceptance::Always),
    ("rotate", Acceptance::Always),
    ("no-check-names", Acceptance::Always),
    ("inet6", Acceptance::Always),
    ("ip6-bytestring", Acceptance::Always),
    ("ip6-dotint", Acceptance::Always),
    ("no-ip6-dotint", Acceptance::Always),
    ("edns0", Acceptance::Always),
    ("single-request", Acceptance::Always),
    ("single-request-reopen", Acceptance::Always),
    ("no-tld-query", Acceptance::Always),
    ("use-vc", Acceptance::Always),
    ("no-reload", Acceptance::Since(Version::new(0, 7, 0))),
    ("trust-ad", Acceptance::Since(Version::new(0, 7, 0))),
    ("no-aaaa", Acceptance::Since(Version::new(0, 7, 5))),
];

/// Returns the releases that accept the text of an option, `name[:value]`; if it holds several words, those that accept
/// all of them.
pub fn acceptance(option: &str) -> Acceptance {
    // A comment starts at `;` or `#`, wherever it stands.
    let text = option.split([';', '#']).next().unwrap_or_default();
    text.split_whitespace().map(word_acceptance).reduce(Acceptance::stricter).unwrap_or(Acceptance::Always)
}

fn word_acceptance(word: &str) -> Acceptance {
    let (name, value) = word.split_once(':').map_or((word, None), |(name, value)| (name, Some(value)));
    match (name, value) {
        ("ndots" | "timeout" | "attempts", Some(value)) if value.parse::<u32>().is_ok() => Acceptance::Always,
        _ => SWITCHES.iter().find(|(switch, _)| *switch == name).map_or(Acceptance::Never, |(_, since)| *since),
    }
}

// === impl Acceptance ===

impl Acceptance {
    fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Since(one), Self::Since(other)) => Self::Since(one.max(other)),
            (Self::Since(version), Self::Always) | (Self::Always, Self::Since(version)) => Self::Since(version),
            (Self::Always, Self::Always) => Self::Always,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resolver::known_options;

    /// The crate itself, in its newest release.
    fn is_rejected(option: &str) -> bool {
        resolv_conf::Config::parse(format!("options {option}\n")).is_err()
    }

    #[test]
    fn knows_the_first_release_of_an_option() {
        let rows = [
            ("ndots:5", Acceptance::Always),
            ("single-request-reopen", Acceptance::Always),
            ("trust-ad", Acceptance::Since(Version::new(0, 7, 0))),
            ("no-aaaa", Acceptance::Since(Version::new(0, 7, 5))),
            ("no-aaaa trust-ad", Acceptance::Since(Version::new(0, 7, 5))),
            ("strict-error", Acceptance::Never),
            ("ndots", Acceptance::Never),
            ("timeout:1.5", Acceptance::Never),
            ("rotate # and why", Acceptance::Always),
        ];
        for (option, expected) in rows {
            assert_eq!(acceptance(option), expected, "{option}");
        }
    }

    #[test]
    fn agrees_with_the_crate_on_every_known_option() {
        for name in known_options() {
            for option in [name.to_owned(), format!("{name}:1"), format!("{name}:x")] {
                assert_eq!(acceptance(&option) == Acceptance::Never, is_rejected(&option), "{option}");
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_crate_on_any_option(option in "[-a-z0-9:;# .+]{0,24}") {
            prop_assert_eq!(acceptance(&option) == Acceptance::Never, is_rejected(&option));
        }
    }
}
