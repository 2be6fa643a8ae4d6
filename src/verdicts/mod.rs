//! What can be wrong with DNS where a probe ran: one file a fault. Each file's doc comment is the fault's documentation (what is
//! claimed, how it is told apart, what to do), read from the source itself. A verdict is a pure function of what was seen. Must
//! not know how that was come by, nor how verdicts are shown.
//!
//! What holds for all of them:
//! - No verdict rests on one packet. What counts losses says a rate with its interval, and speaks only where chance explains the
//!   difference in less than one of 1,000 cases ([`statistics`]).
//! - What another fault explains is not claimed again: a rate limit is no lossy path.
//! - What a profile would change is computed by the model in [`crate::resolver`], for the resolvers that are there.

pub mod conf;
pub mod cost;
pub mod observations;
mod relief;
pub mod statistics;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::fmt;

use observations::Observations;

use crate::documentation;
use crate::policy::Level;

pub use fake_ip::NOBODY;
pub use relief::{Change, Relief, Trouble};

/// One thing that can be wrong.
pub struct Fault {
    /// Its name in messages and links, such as `stale-nameserver`.
    pub slug: &'static str,
    /// The fault's own source file, whose doc comment documents it.
    source: &'static str,
    check: fn(&Observations) -> Option<Verdict>,
}

/// A fault that was shown.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The fault.
    pub fault: &'static Fault,
    /// How serious this case of it is.
    pub level: Level,
    /// How sure it is.
    pub sureness: Sureness,
    /// What is wrong, in one clause that does not name the fault.
    pub what: String,
    /// What was seen, each in one clause.
    pub evidence: Vec<String>,
    /// What to do, the best first.
    pub help: Vec<String>,
    /// What profiles would change.
    pub relief: Relief,
}

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sureness {
    /// What was seen fits, and something else could look the same.
    Likely,
    /// Nothing else looks like this, or chance explains it in less than one of 1,000 cases.
    Sure,
}

/// What is wrong, the most serious first, and in the order of [`FAULTS`] among equals.
pub fn verdicts(seen: &Observations) -> Vec<Verdict> {
    let mut found: Vec<Verdict> = FAULTS.iter().filter_map(|fault| (fault.check)(seen)).collect();
    found.sort_by_key(|verdict| Reverse(verdict.level));
    found
}

// === impl Fault ===

impl Fault {
    /// The fault of this slug.
    pub fn named(slug: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.slug == slug).copied()
    }

    /// Its documentation, in Markdown.
    pub fn documentation(&self) -> String {
        documentation::of(self.source)
    }

    /// What it is, in one sentence: the first line of its documentation.
    pub fn summary(&self) -> &'static str {
        documentation::summary_of(self.source)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug)
    }
}

impl PartialEq for Fault {
    fn eq(&self, other: &Self) -> bool {
        self.slug == other.slug
    }
}

impl Eq for Fault {}

// === impl Verdict ===

impl Verdict {
    fn new(fault: &'static Fault, level: Level, sureness: Sureness, what: impl Into<String>) -> Self {
        let relief = Relief::default();
        Self { fault, level, sureness, what: what.into(), evidence: Vec::new(), help: Vec::new(), relief }
    }

    fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(text.into());
        self
    }

    fn evidence_if(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.evidence(text),
            None => self,
        }
    }

    fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    fn help_if(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.help(text),
            None => self,
        }
    }

    fn relief(mut self, relief: Relief) -> Self {
        self.relief = relief;
        self
    }
}

// === impl Sureness ===

impl Sureness {
    /// The word in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Sure => "certain",
        }
    }
}

/// Words with commas between, and `and` before the last.
fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match &*items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

macro_rules! faults {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every fault, the most useful to read first among those of one level.
        pub static FAULTS: &[&Fault] = &[$(&$module::FAULT),*];
    };
}

faults! {
    stale_nameserver,
    udp53_blocked_tcp_open,
    fake_ip,
    nxdomain_hijack,
    aaaa_broken,
    truncation,
    conntrack_race,
    id_collision,
    rate_limited,
    lossy_path,
    slow_server,
    search_expansion,
    libc_disagrees,
    clock,
}
