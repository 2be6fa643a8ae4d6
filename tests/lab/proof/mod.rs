//! Measures that muslin keeps its promise: real resolvers under each fault, with the resolv.conf that Kubernetes writes and with
//! muslin's. A test that always runs checks the claims with a few lookups each; another, run by hand, writes the tables of
//! `docs/proof.md`.

mod fault;
pub(crate) mod injected;
mod measure;
mod silence;
mod table;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use muslin::pod::ResolvConf;
use muslin::policy::Profile;
use muslin::resolver::{Family, Settings};

use crate::Topic;
use crate::common::harness::tests;
use crate::lab::resolvers::Program;
use crate::lab::world::World;
use fault::{DOMAIN, FAULTS, Fault, FaultKind, Names, Prediction};
use injected::Options;
use measure::{Measured, Measurements, Task, measure};
use silence::resolvers_without_answers_give_up_as_predicted;

pub(crate) const TESTS: Topic = tests![
    muslin_loses_no_lookup_and_musl_recovers_four_times_faster,
    the_page_shows_todays_options,
    resolvers_without_answers_give_up_as_predicted
];

/// Run by hand: `cargo test --test lab -- --ignored proof`.
pub(crate) const BY_HAND: Topic = tests![writes_the_proof_to_docs];

/// The page with the tables.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/proof.md");

/// The delay that a lookup may have beyond the prediction: the model does not count round trips, of which there are eight here, and
/// this machine is busy.
const LATE: Duration = Duration::from_millis(450);

/// The factor by which musl's p99 must improve when one packet is lost.
const TIMES_BETTER: u32 = 4;

/// A resolver, and the resolv.conf files that its container can get.
struct TestedResolver<'w> {
    program: &'w Program,
    /// Without muslin.
    kubernetes: ResolvConf,
    /// With muslin, in a pod where all containers use this resolver.
    alone: ResolvConf,
    /// With muslin, in a pod where the others use musl, glibc and Go.
    beside: ResolvConf,
    /// As [`Self::beside`], in a cluster whose pods have IPv6 addresses.
    beside_with_ipv6: ResolvConf,
}

/// The tested resolvers and the measurements.
struct Proof<'w> {
    resolvers: Vec<TestedResolver<'w>>,
    measurements: Measurements,
}

/// Runs twice if necessary, as this machine is busy: a claim is false if it fails twice.
fn muslin_loses_no_lookup_and_musl_recovers_four_times_faster(world: &World) -> Result<()> {
    let check = || Proof::make(world, |fault| fault.lookups.0)?.check();
    check().or_else(|first| check().with_context(|| format!("before: {first:#}")))
}

fn writes_the_proof_to_docs(world: &World) -> Result<()> {
    let proof = Proof::make(world, |fault| fault.lookups.1)?;
    proof.check()?;
    std::fs::write(PAGE, table::page(&proof)?).with_context(|| format!("writing {PAGE}"))
}

/// The figures on the page differ between machines, but the options they were measured with must be today's.
fn the_page_shows_todays_options(world: &World) -> Result<()> {
    let page = std::fs::read_to_string(PAGE).with_context(|| format!("reading {PAGE}"))?;
    let lines = |text: &str| -> BTreeSet<String> {
        text.split('`').skip(1).step_by(2).filter(|word| word.starts_with("ndots:")).map(str::to_owned).collect()
    };
    let resolvers = TestedResolver::all(world)?;
    let injected = resolvers.iter().flat_map(TestedResolver::confs).map(|conf| conf.options.join(" ")).collect();
    let table = page
        .split("## ")
        .find(|part| part.starts_with(table::INJECTED))
        .context("the table of injected options is missing")?;
    ensure!(lines(table) == injected, "muslin injects {injected:?}: run cargo test --test lab -- --ignored proof");
    let missing = FAULTS.iter().find(|fault| !page.contains(&format!("### Fault: {}\n", fault.title)));
    ensure!(missing.is_none(), "docs/proof.md lacks {:?}", missing.map(|fault| fault.title));
    Ok(())
}

// === impl TestedResolver ===

impl<'w> TestedResolver<'w> {
    fn all(world: &'w World) -> Result<Vec<Self>> {
        let newest = world.musl(|_| true)?.resolver;
        let others = [newest, world.glibc()?.resolver, world.go()?.resolver];
        let tested = |program: &'w Program| {
            let resolver = program.resolver;
            let beside: Vec<_> = others.into_iter().filter(|other| other.family != resolver.family).collect();
            let together = [&[resolver], &beside[..]].concat();
            let (default, ipv6) = (Profile::default(), Profile::builtin("ipv6")?);
            let Options { kubernetes, muslin: alone } = Options::for_pod(&[resolver], &default)?;
            let Options { muslin: beside, .. } = Options::for_pod(&together, &default)?;
            let Options { muslin: beside_with_ipv6, .. } = Options::for_pod(&together, &ipv6)?;
            Ok(Self { program, kubernetes, alone, beside, beside_with_ipv6 })
        };
        world.resolvers().iter().map(tested).collect()
    }

    fn confs(&self) -> [&ResolvConf; 4] {
        let Self { program: _, kubernetes, alone, beside, beside_with_ipv6 } = self;
        [kubernetes, alone, beside, beside_with_ipv6]
    }

    /// Returns the files to compare under this fault. Names with only IPv6 addresses need pods with such addresses, for which
    /// muslin has another default.
    fn confs_for(&self, fault: &Fault) -> [&ResolvConf; 3] {
        let Self { program: _, kubernetes, alone, beside, beside_with_ipv6 } = self;
        [kubernetes, alone, if fault.names == Names::V6 { beside_with_ipv6 } else { beside }]
    }

    fn settings(&self, conf: &ResolvConf) -> Result<Settings> {
        Settings::read_options(self.program.resolver, &conf.option_texts()).context("an unknown resolver")
    }

    /// Returns the model's prediction.
    fn predict(&self, fault: &Fault, conf: &ResolvConf) -> Result<Option<Prediction>> {
        Ok(fault.predict(&self.settings(conf)?, &format!("n0.{DOMAIN}"), &conf.search_texts()))
    }

    fn is_musl(&self) -> bool {
        self.program.resolver.family == Family::Musl
    }
}

// === impl Proof ===

impl<'w> Proof<'w> {
    fn make(world: &'w World, lookups: impl Fn(&Fault) -> usize) -> Result<Self> {
        let resolvers = TestedResolver::all(world)?;
        let mut tasks = Vec::new();
        for fault in FAULTS {
            for tested in &resolvers {
                for conf in tested.confs_for(fault) {
                    let prediction = tested.predict(fault, conf)?;
                    tasks.push(Task { fault, program: tested.program, conf, lookups: lookups(fault), prediction });
                }
            }
        }
        let measurements = measure(world, &tasks)?;
        drop(tasks);
        Ok(Self { resolvers, measurements })
    }

    /// Returns the results of a resolver under a fault, with each resolv.conf.
    fn results(&self, fault: &Fault, tested: &TestedResolver<'_>) -> Result<[&Measured; 3]> {
        let resolver = tested.program.resolver;
        let [kubernetes, alone, beside] = tested.confs_for(fault).map(|conf| {
            let key = (fault.title, resolver, conf.options.join(" "));
            self.measurements.get(&key).with_context(|| format!("{key:?} was not measured"))
        });
        Ok([kubernetes?, alone?, beside?])
    }

    /// Checks all claims, and lists those that do not hold.
    fn check(&self) -> Result<()> {
        let mut wrong = Vec::new();
        for fault in FAULTS {
            for tested in &self.resolvers {
                let measured = self.results(fault, tested)?;
                let where_ = format!("{}, {}", tested.program.resolver, fault.title);
                wrong.extend(against_promise(fault, tested, measured).map(|what| format!("{where_}: {what}")));
                for (conf, measured) in tested.confs_for(fault).into_iter().zip(measured) {
                    let prediction = tested.predict(fault, conf)?;
                    let against = prediction.and_then(|prediction| against_model(prediction, measured));
                    wrong.extend(against.map(|what| format!("{where_}, {}: {what}", conf.options.join(" "))));
                }
            }
        }
        ensure!(wrong.is_empty(), "{} claims do not hold:\n{}", wrong.len(), wrong.join("\n"));
        Ok(())
    }
}

/// Returns a promise of muslin that these results break.
fn against_promise(fault: &Fault, tested: &TestedResolver<'_>, measured: [&Measured; 3]) -> Option<String> {
    let [kubernetes, alone, beside] = measured;
    for muslin in [alone, beside] {
        if muslin.succeeded < kubernetes.succeeded {
            return Some(format!("{} of {} succeeded, not {}", muslin.succeeded, muslin.lookups, kubernetes.succeeded));
        }
        if fault.kind == FaultKind::Healthy && muslin.queries > kubernetes.queries {
            return Some(format!("{} queries, not {}", muslin.queries, kubernetes.queries));
        }
    }
    if fault.is_loss_of_one_packet() && tested.is_musl() && kubernetes.p99 < alone.p99 * TIMES_BETTER {
        return Some(format!("p99 is {:?}, and {:?} without muslin", alone.p99, kubernetes.p99));
    }
    None
}

/// Returns a prediction of the model that these results contradict.
fn against_model(prediction: Prediction, measured: &Measured) -> Option<String> {
    let Measured { lookups, succeeded, median, .. } = measured;
    let holds = match prediction {
        Prediction::Fails => *succeeded == 0,
        Prediction::Succeeds(after) => succeeded == lookups && (after..after + LATE).contains(median),
    };
    (!holds).then(|| {
        format!("the model predicts {prediction:?}; {succeeded} of {lookups} succeeded, half within {median:?}")
    })
}
