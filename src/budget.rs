//! The work that one input from outside may cause: a number of steps, which everything that the input makes muslin do is charged to. The
//! weights of all kinds of work are in one table, [`Work::steps`]. Must not know what the work is for.
//!
//! [`Budget::run`] makes a budget the current one of its thread, so that parsers and rules need not pass it on. A budget that is exceeded
//! stays so: lists stop growing and texts stay empty, and the caller discards the result. Code that runs without a budget, such as
//! the command line on a file of its user, is never stopped.

use std::cell::Cell;
use std::fmt;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A container of a pod.
    Container,
    /// A resolver option.
    Option,
    /// A search domain.
    Search,
    /// An item of another list.
    Item,
    /// A word of an annotation.
    Word,
    /// A finding of a rule.
    Finding,
    /// A command of a shell script, each time it is examined.
    ShellCommand,
    /// 16 components of a path in an image.
    Path,
    /// [`TEXT`] bytes of text that is kept, or built.
    Text,
}

/// A number of steps, and what used them up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    limit: u32,
    left: u32,
    exceeded_by: Option<Work>,
}

/// The error of work beyond the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has too many {by} (the limit is {limit} steps of work)")]
pub(crate) struct Exceeded {
    by: Work,
    limit: u32,
}

/// The bytes of text that are charged as one.
const TEXT: usize = 64;

thread_local! {
    /// Turns of loops whose number the input decides, counted by debug builds, so that tests and fuzz targets need no clock.
    #[cfg(any(test, debug_assertions))]
    static TURNS: Cell<u64> = const { Cell::new(0) };
    static CURRENT: Cell<Option<Budget>> = const { Cell::new(None) };
}

/// Charges work to the current budget.
///
/// # Errors
/// The budget is exceeded, by this or by earlier work.
pub(crate) fn charge(work: Work, count: usize) -> Result<(), Exceeded> {
    let Some(mut budget) = CURRENT.get() else { return Ok(()) };
    let charged = budget.charge(work, count);
    CURRENT.set(Some(budget));
    charged
}

/// Returns whether all work so far was within the current budget.
///
/// # Errors
/// The budget is exceeded.
pub(crate) fn check() -> Result<(), Exceeded> {
    CURRENT.get().map_or(Ok(()), |budget| budget.check())
}

/// Charges this many bytes of text to the current budget; fewer than [`TEXT`] are free.
///
/// # Errors
/// The budget is exceeded.
pub(crate) fn charge_text(bytes: usize) -> Result<(), Exceeded> {
    charge(Work::Text, bytes / TEXT)
}

/// Counts turns of a loop whose number the input decides. Does nothing in a release build.
pub(crate) fn count_turns(turns: usize) {
    #[cfg(any(test, debug_assertions))]
    TURNS.set(TURNS.get() + turns as u64);
    #[cfg(not(any(test, debug_assertions)))]
    let _ = turns;
}

/// Runs code, and returns how many turns its loops took. Debug builds count them, for tests and fuzz targets: unlike time, they are the
/// same on every machine.
#[cfg(any(test, debug_assertions))]
pub fn turns_of<T>(code: impl FnOnce() -> T) -> (T, u64) {
    let before = TURNS.get();
    let result = code();
    (result, TURNS.get() - before)
}

// === impl Work ===

impl Work {
    /// Returns the weight: a step takes at most two microseconds and 100 bytes, by `src/admission/tests/bounds.rs`.
    const fn steps(self) -> u32 {
        match self {
            Self::Container => 40,
            Self::Search | Self::ShellCommand => 20,
            Self::Finding => 8,
            Self::Option | Self::Item => 4,
            Self::Word => 2,
            Self::Path | Self::Text => 1,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "containers",
            Self::Option => "resolver options",
            Self::Search => "search domains",
            Self::Item => "items in lists",
            Self::Word => "words in annotations",
            Self::Finding => "findings",
            Self::ShellCommand => "shell commands",
            Self::Path => "links and folders",
            Self::Text => "bytes of text",
        })
    }
}

// === impl Budget ===

impl Budget {
    /// A budget of this many steps.
    pub(crate) const fn new(limit: u32) -> Self {
        Self { limit, left: limit, exceeded_by: None }
    }

    /// Runs code that charges its work to this budget, on this thread.
    pub(crate) fn run<T>(&mut self, code: impl FnOnce() -> T) -> T {
        /// Takes the budget back, also if the code panics.
        struct Guard<'b> {
            budget: &'b mut Budget,
            before: Option<Budget>,
        }

        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                if let Some(spent) = CURRENT.replace(self.before) {
                    *self.budget = spent;
                }
            }
        }

        let before = CURRENT.replace(Some(*self));
        let _guard = Guard { budget: self, before };
        code()
    }

    /// Returns the steps that are spent.
    pub(crate) const fn spent(&self) -> u32 {
        self.limit - self.left
    }

    /// Returns whether all work so far was within the budget.
    ///
    /// # Errors
    /// The budget was exceeded.
    pub(crate) fn check(&self) -> Result<(), Exceeded> {
        let limit = self.limit;
        self.exceeded_by.map_or(Ok(()), |by| Err(Exceeded { by, limit }))
    }

    fn charge(&mut self, work: Work, count: usize) -> Result<(), Exceeded> {
        self.check()?;
        let steps = u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(work.steps());
        match self.left.checked_sub(steps) {
            Some(left) => self.left = left,
            None => self.exceeded_by = Some(work),
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_without_a_budget_is_free() {
        assert_eq!(charge(Work::Container, usize::MAX), Ok(()));
    }

    #[test]
    fn a_budget_is_spent_over_several_runs() {
        let mut budget = Budget::new(100);
        assert_eq!(budget.run(|| charge(Work::Container, 2)), Ok(()));
        assert_eq!(budget.run(|| charge(Work::Search, 1)), Ok(()));
        assert_eq!(budget.check(), Ok(()));
        assert!(budget.run(|| charge(Work::Text, 1)).is_err());
        assert_eq!(budget.check(), Err(Exceeded { by: Work::Text, limit: 100 }));
    }

    #[test]
    fn an_exceeded_budget_stays_exceeded() {
        let mut budget = Budget::new(100);
        assert!(budget.run(|| charge(Work::Option, usize::MAX)).is_err());
        assert!(budget.run(|| charge(Work::Text, 0)).is_err());
        let message = "it has too many resolver options (the limit is 100 steps of work)";
        assert_eq!(budget.check().unwrap_err().to_string(), message);
    }

    #[test]
    fn text_costs_by_64_bytes() {
        let mut budget = Budget::new(2);
        assert_eq!(budget.run(|| charge_text(63 + 2 * 64)), Ok(()));
        assert!(budget.run(|| charge_text(64)).is_err());
    }

    #[test]
    fn a_budget_survives_a_panic_in_its_code() {
        let mut budget = Budget::new(100);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            budget.run(|| {
                let _ = charge(Work::Container, 3);
                panic!("as planned");
            })
        }));
        assert!(panicked.is_err() && budget.check().is_err());
        assert_eq!(charge(Work::Container, 3), Ok(()), "no budget is left behind");
    }
}
