//! The annotation in which muslin notes what it set, so that a second pass knows its own work from the author's:
//! `timeout:5 attempts:10 (was attempts:0)`, or `(was attempts:0 at 2)` where the option's index is needed to tell which it is. Anybody can write it: it is read as a claim, to be checked against the pod.

use std::fmt;

/// What [`super::INJECTED_ANNOTATION`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// One claim for each thing set, in order.
    pub claims: Vec<Claim>,
}

/// One thing that muslin says it set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What stands there now, such as `timeout:5`.
    pub set: String,
    /// What the author had written, where muslin replaced it.
    pub was: Option<String>,
    /// Which of the options it is, by index, where others read the same.
    pub at: Option<usize>,
}

// === impl Injected ===

impl Injected {
    /// So many claims are made at most, and believed: more than any pod needs that was written in earnest.
    pub const CLAIMS_MAX: usize = 64;

    /// Reads the annotation. What is not of its form is passed over: the claim is then not made.
    pub fn parse(text: &str) -> Self {
        let mut claims: Vec<Claim> = Vec::new();
        let mut words = text.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if word != "(was" {
                if claims.len() == Self::CLAIMS_MAX {
                    break;
                }
                claims.push(Claim { set: word.to_owned(), was: None, at: None });
                continue;
            }
            let (Some(was), Some(claim)) = (words.next(), claims.last_mut()) else { continue };
            claim.at = None;
            claim.was = was.strip_suffix(')').map(str::to_owned);
            if claim.was.is_none() && words.next() == Some("at") {
                claim.at = words.next().and_then(|word| word.strip_suffix(')')?.parse().ok());
                claim.was = claim.at.is_some().then(|| was.to_owned());
            }
        }
        Self { claims }
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Claim { set, was, at }) in self.claims.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(set)?;
            match (was, at) {
                (Some(was), Some(at)) => write!(f, " (was {was} at {at})")?,
                (Some(was), None) => write!(f, " (was {was})")?,
                (None, _) => {}
            }
        }
        Ok(())
    }
}
