//! Questions about options over all resolvers. Knows nothing of the values on a line.

use std::sync::LazyLock;

use super::family::{Family, Resolver};
use super::option_fact::{ANY_OTHER, OptionFact, Support};
use super::stubs::stub;

/// Every row, one family after the other.
pub fn option_facts() -> impl Iterator<Item = &'static OptionFact> {
    Family::KNOWN.into_iter().filter_map(stub).flat_map(|stub| stub.options().rows)
}

/// Returns true if some resolver acts on an option of this name, or once did.
pub fn known_option(name: &str) -> bool {
    name != ANY_OTHER && option_facts().any(|fact| fact.option == name)
}

/// The names of all options that some resolver acts on, or once did, in alphabetical order.
pub fn known_options() -> impl Iterator<Item = &'static str> {
    // Sorted once, because every review asks for it.
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let mut names: Vec<_> = option_facts().map(|fact| fact.option).filter(|name| *name != ANY_OTHER).collect();
        names.sort_unstable();
        names.dedup();
        names
    });
    NAMES.iter().copied()
}

// === impl Resolver ===

impl Resolver {
    /// The effect of the option of this name (without a value). If the release is unknown, all releases found in images
    /// have to agree; otherwise the effect varies.
    pub fn support(self, option: &str) -> Support {
        stub(self.family).map_or(Support::Unclear, |stub| stub.options().support(self.version, option))
    }

    /// The rows about the option of this name: those of this release, or of all releases if it is unknown; the row for
    /// any other option if the option has no row of its own.
    pub fn facts(self, option: &str) -> impl Iterator<Item = &'static OptionFact> + use<> {
        let stub = stub(self.family);
        stub.map(|stub| stub.options().facts(self.version, option)).into_iter().flatten()
    }
}
