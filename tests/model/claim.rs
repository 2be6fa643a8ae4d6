//! The claim: with muslin's options a lookup is no worse than with Kubernetes' own. Each lookup is compared with its twin under the
//! same loss pattern.
//!
//! - A name that the default finds is found, with as many families, as fast, by as many queries where the network is healthy.
//! - A name that the default does not find may take up to 1.5 times its time plus 0.5 s.

use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, timeout};

use crate::faults::{Fault, NAME, SEARCH};
use crate::stubs::{Found, Question, Stub};

/// One lookup.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lookup {
    pub(crate) found: Found,
    pub(crate) took: Duration,
    pub(crate) queries: usize,
}

/// One way in which options are worse.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "tests print it")]
pub(crate) struct Worse {
    pub(crate) stub: &'static str,
    pub(crate) fault: String,
    pub(crate) default: Lookup,
    pub(crate) with: Lookup,
}

/// Runs on a clock that jumps to the next event.
pub(crate) fn simulate<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.unwrap_or_else(|error| unreachable!("no runtime: {error}")), run)
}

/// Looks [`NAME`] up in a pod with these options beside Kubernetes' own.
pub(crate) fn look_up(stub: &Stub, fault: &Fault, options: &[&str], number: u64) -> Lookup {
    look_up_in(&SEARCH, stub, fault, options, number)
}

/// Does the same with a search list.
pub(crate) fn look_up_in(search: &[&str], stub: &Stub, fault: &Fault, options: &[&str], number: u64) -> Lookup {
    // The kubelet leaves its own ndots out where the pod has one.
    let cluster = Some("ndots:5").filter(|_| !options.iter().any(|option| option.starts_with("ndots:")));
    let options = cluster.into_iter().chain(options.iter().copied()).map(str::to_owned).collect();
    let question =
        Question { name: NAME.into(), search: search.iter().map(|domain| (*domain).to_owned()).collect(), options };
    simulate(async {
        let network = fault.network(number);
        let start = Instant::now();
        let looking = (stub.look_up)(&network, &question, stub.resolver);
        let found = match stub.deadline {
            Some(deadline) => timeout(deadline, looking).await.unwrap_or_default(),
            None => looking.await,
        };
        Lookup { found, took: start.elapsed(), queries: network.sent() }
    })
}

/// Returns whether a lookup is worse than its twin with the default options.
pub(crate) fn is_worse(default: Lookup, with: Lookup, is_healthy: bool) -> bool {
    /// Two runs of the default differ by as much in the laboratory.
    const NOISE: Duration = Duration::from_millis(50);
    if default.found.any() {
        with.found.v4 < default.found.v4
            || with.found.v6 < default.found.v6
            || with.took > default.took + NOISE
            || is_healthy && with.queries > default.queries
    } else {
        !with.found.any() && with.took > default.took.mul_f64(1.5) + Duration::from_millis(500)
    }
}

/// Returns the first fault under which options are worse for a stub than `default`, both beside Kubernetes' own.
pub(crate) fn harm<'f>(
    stub: &Stub,
    faults: impl IntoIterator<Item = &'f Fault>,
    default: &[&str],
    options: &[&str],
) -> Option<Worse> {
    faults.into_iter().find_map(|fault| {
        (0..fault.lookups).find_map(|number| {
            let (default, with) = (look_up(stub, fault, default, number), look_up(stub, fault, options, number));
            let worse = || Worse { stub: stub.name, fault: fault.title.clone(), default, with };
            is_worse(default, with, fault.title == "none").then(worse)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults, stubs};

    fn stub(name: &str) -> Stub {
        stubs::all().into_iter().find(|stub| stub.name == name).unwrap_or_else(|| panic!("no stub {name}"))
    }

    fn fault(title: &str) -> Fault {
        faults::all().into_iter().find(|fault| fault.title == title).unwrap_or_else(|| panic!("no fault {title}"))
    }

    /// The measured table of `facts/harm.md`, in seconds: nothing answers, by default.
    #[test]
    fn a_lookup_that_nobody_answers_takes_as_long_as_was_measured() {
        for (name, seconds) in [("musl 1.2.5", 5.0), ("glibc 2.36", 20.0), ("go", 40.0), ("uclibc", 30.0)] {
            let took = look_up(&stub(name), &fault("nothing answers"), &[], 0).took.as_secs_f64();
            assert!((took - seconds).abs() < 0.2, "{name}: {took}");
        }
    }

    /// Measured with real programs on scripted servers (shared/facts/harm.md), in seconds: default, then with these options.
    #[test]
    fn times_are_those_that_were_measured() {
        let t5a10: &[&str] = &["timeout:5", "attempts:10"];
        let reopen: &[&str] = &["single-request-reopen", "timeout:5", "attempts:5"];
        for (name, title, options, default, with) in [
            ("musl 1.2.5", "nothing answers", t5a10, 5.0, 5.0),
            ("glibc 2.36", "nothing answers", reopen, 20.0, 50.0),
            ("glibc 2.31", "a search domain says SERVFAIL", reopen, 0.02, 25.02),
            ("go", "nothing answers", reopen, 40.0, 200.0),
            ("go", "first of two servers dead", reopen, 20.0, 40.0),
            ("uclibc", "nothing answers", reopen, 30.0, 30.0),
            ("node dns.resolve4", "query 1 for the name lost", reopen, 3.0, 6.0),
            ("netty IPv4", "first of two servers dead", &["attempts:3"], 20.0, 20.0),
            ("netty IPv4", "two of three servers dead", &["attempts:3"], 40.0, 40.0),
        ] {
            let took = |options| look_up(&stub(name), &fault(title), options, 0).took.as_secs_f64();
            let (measured, model) = ((default, with), (took(&[]), took(options)));
            assert!(
                (model.0 - default).abs() < 0.1 && (model.1 - with).abs() < 0.1,
                "{name}, {title}: {model:?} for {measured:?}"
            );
        }
    }

    #[test]
    fn packets_are_those_that_were_measured() {
        for (title, options, packets) in [
            ("nothing answers", &[][..], 4),
            ("nothing answers", &["timeout:5", "attempts:10"], 20),
            ("nothing answers", &["timeout:5", "attempts:5"], 10),
            ("the server fails", &[], 12),
            ("the server fails", &["timeout:5", "attempts:10"], 60),
            ("the server fails", &["timeout:5", "attempts:5"], 30),
        ] {
            let queries = look_up(&stub("musl 1.2.5"), &fault(title), options, 0).queries;
            assert_eq!(queries, packets, "{title} {options:?}");
        }
    }

    /// Lookups that Kubernetes' options find and the first built-in rows of muslin lost.
    #[test]
    fn the_rows_of_0_1_0_are_found_to_do_harm() {
        for (name, title) in [
            ("grpc", "query 1 for the name lost"),
            ("dnspython", "query 1 for the name lost"),
            ("dnspython", "first of two servers dead"),
        ] {
            for options in [&["timeout:5", "attempts:10"][..], &["single-request-reopen", "timeout:5", "attempts:5"]] {
                let (stub, fault) = (stub(name), fault(title));
                assert!(look_up(&stub, &fault, &[], 0).found.any(), "{name}, {title}");
                assert!(!look_up(&stub, &fault, options, 0).found.any(), "{name}, {title}, {options:?}");
            }
        }
    }
}
