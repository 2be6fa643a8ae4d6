//! The annotation in which muslin notes what it set, so that a second pass knows its own work from the author's:
//! `timeout:5 attempts:10 (was attempts:0)`. Anybody can write it: it is read as a claim, to be checked against the pod.

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
}

// === impl Injected ===

impl Injected {
    /// Reads the annotation. What is not of its form is passed over: the claim is then not made.
    pub fn parse(text: &str) -> Self {
        let mut claims: Vec<Claim> = Vec::new();
        let mut words = text.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if word != "(was" {
                claims.push(Claim { set: word.to_owned(), was: None });
                continue;
            }
            let was = words.next().and_then(|word| word.strip_suffix(')'));
            if let Some(claim) = claims.last_mut() {
                claim.was = was.map(str::to_owned);
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
        for (index, Claim { set, was }) in self.claims.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(set)?;
            if let Some(was) = was {
                write!(f, " (was {was})")?;
            }
        }
        Ok(())
    }
}
