//! The annotation in which muslin lists the options that it set, so that a second pass can tell them from the author's:
//! `timeout:5 attempts:10 (was attempts:0)`, or `(was attempts:0 at 2)` if the option's index is needed. Anyone can write the annotation,
//! so a reader must check it against the pod.

use std::fmt;

/// The content of the annotation `muslin.dev/injected`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// One entry for each option that muslin set, in order.
    pub options: Vec<InjectedOption>,
}

/// One option that muslin set, or the policy `dnsPolicy:None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InjectedOption {
    /// The option as muslin wrote it, such as `timeout:5`.
    pub option: String,
    /// The author's option that it replaced.
    pub replaced: Option<String>,
    /// The index in the pod's options, if other options have the same text.
    pub index: Option<usize>,
}

// === impl Injected ===

impl Injected {
    /// The most entries that are written or trusted: more than any honest pod needs.
    pub const OPTIONS_MAX: usize = 64;

    /// Options that the built-in profiles of 0.1.0 set and that can make lookups worse: they send too often, too seldom or too slowly
    /// for some resolver (`docs/proof.md`).
    pub const OUTDATED: [&str; 4] = ["timeout:5", "attempts:10", "attempts:5", "single-request-reopen"];

    /// Returns the entries of an annotation; malformed ones are skipped.
    pub fn parse(text: &str) -> Self {
        let mut options: Vec<InjectedOption> = Vec::new();
        let mut words = text.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if word != "(was" {
                if options.len() == Self::OPTIONS_MAX {
                    break;
                }
                options.push(InjectedOption { option: word.to_owned(), replaced: None, index: None });
                continue;
            }
            let (Some(replaced), Some(entry)) = (words.next(), options.last_mut()) else { continue };
            entry.index = None;
            entry.replaced = replaced.strip_suffix(')').map(str::to_owned);
            if entry.replaced.is_none() && words.next() == Some("at") {
                entry.index = words.next().and_then(|word| word.strip_suffix(')')?.parse().ok());
                entry.replaced = entry.index.is_some().then(|| replaced.to_owned());
            }
        }
        Self { options }
    }

    /// Returns whether muslin set nothing.
    pub fn is_empty(&self) -> bool {
        self.options.is_empty()
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, InjectedOption { option, replaced, index }) in self.options.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(option)?;
            match (replaced, index) {
                (Some(replaced), Some(index)) => write!(f, " (was {replaced} at {index})")?,
                (Some(replaced), None) => write!(f, " (was {replaced})")?,
                (None, _) => {}
            }
        }
        Ok(())
    }
}
