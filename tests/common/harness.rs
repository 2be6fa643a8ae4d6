//! A harness for test programs whose tests share one thing that is slow to start (a control plane, a registry, a node), which libtest
//! can neither share nor stop. Must not know the shared thing.

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};

/// The part of the files whose tests run: `1/2` is every second one from the first on. So two programs can run at once, each with a shared
/// thing of its own.
const PART: &str = "MUSLIN_TESTS_PART";

/// The tests of one file, by name, from `tests!`.
pub(crate) type Topic<Test> = &'static [(&'static str, Test)];

/// Makes a [`Topic`] of functions. A test has the name of its function.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { &[$((stringify!($test), $test)),*] };
}
pub(crate) use tests;

/// The tests of one program.
pub(crate) struct Suite<Test: 'static> {
    /// The tests that always run, in this order if one at a time.
    pub(crate) topics: &'static [Topic<Test>],
    /// The tests that run with `--ignored` only, before the others.
    pub(crate) on_request: &'static [Topic<Test>],
}

// === impl Suite ===

impl<Test: Copy + Send> Suite<Test> {
    /// Starts the shared thing unless the tests are only listed, runs the tests, and drops the shared thing.
    pub(crate) fn run<Shared: Send + Sync + 'static>(
        &self,
        arguments: &Arguments,
        start: impl FnOnce() -> Result<Shared>,
        call: fn(&Shared, Test) -> Result<()>,
    ) -> ExitCode {
        let part = match part() {
            Ok(part) => part,
            Err(error) => {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        };
        if arguments.list {
            return libtest_mimic::run(arguments, self.trials(part, |_| Ok(()))).exit_code();
        }
        let shared = match start() {
            Ok(shared) => Arc::new(shared),
            Err(error) => {
                eprintln!("cannot start what the tests share: {error:?}");
                return ExitCode::FAILURE;
            }
        };
        let trials = self.trials(part, move |test| call(&shared, test));
        // `exit_code` ends no process, so the shared thing was dropped with the trials.
        libtest_mimic::run(arguments, trials).exit_code()
    }

    fn trials(
        &self,
        (first, parts): (usize, usize),
        call: impl Fn(Test) -> Result<()> + Clone + Send + 'static,
    ) -> Vec<Trial> {
        let trial = |&(name, test): &(&'static str, Test)| {
            let call = call.clone();
            Trial::test(name, move || call(test).map_err(|error| Failed::from(format!("{error:?}"))))
        };
        let on_request = self.on_request.iter().copied().flatten().map(|test| trial(test).with_ignored_flag(true));
        let topics = self.topics.iter().copied().skip(first).step_by(parts);
        on_request.chain(topics.flatten().map(trial)).collect()
    }
}

/// Returns the index of the part, from 0, and the number of parts.
fn part() -> Result<(usize, usize)> {
    let Ok(text) = env::var(PART) else { return Ok((0, 1)) };
    let context = || format!("{PART}={text} is no part: use 1/2, for example");
    let (part, parts) = text.split_once('/').with_context(context)?;
    let (part, parts): (usize, usize) = (part.parse().with_context(context)?, parts.parse().with_context(context)?);
    ensure!((1..=parts).contains(&part), context());
    Ok((part - 1, parts))
}
