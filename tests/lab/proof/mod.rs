//! Measures that muslin keeps its promise: real resolvers under each fault, with the resolv.conf that Kubernetes writes and with
//! muslin's. The default profile injects no option, so the profile [`MEASURED`] is measured. A test that always runs checks the claim
//! with a few lookups each; another, run by hand, writes the tables of `docs/proof.md`.

mod compare;
pub(crate) mod fault;
mod measure;
pub(crate) mod node_domain;
pub(crate) mod page;
pub(crate) mod pods;
mod silence;
pub(crate) mod table;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use muslin::policy::Profile;
use muslin::resolver::{Family, Settings};

use crate::Topic;
use crate::common::harness::tests;
use crate::lab::resolvers::Program;
use crate::lab::world::World;
use compare::{Comparison, compare};
use fault::{DOMAIN, FAULTS, Fault, FaultKind, Lookups, Prediction};
use measure::{Measured, Run, Task, measure};
use pods::{Conf, Confs, Container};
use silence::resolvers_without_answers_give_up_as_predicted;

pub(crate) const TESTS: Topic = tests![
    the_default_profile_injects_nothing,
    muslin_harms_no_lookup_and_musl_recovers_sooner,
    the_page_shows_todays_options,
    resolvers_without_answers_give_up_as_predicted
];

/// Run by hand: `cargo test --test lab -- --ignored proof`.
pub(crate) const BY_HAND: Topic = tests![writes_the_proof_to_docs];

/// The profile whose options are measured: those that help musl most and cost least.
pub(crate) const MEASURED: &str = "three-attempts";

/// The delay that a lookup may have beyond the prediction: the model does not count round trips, of which there are eight here, and
/// this machine is busy.
const LATE: Duration = Duration::from_millis(450);

/// The percentage of its time with Kubernetes' options within which musl's p99 must be when one packet is lost: it sends again after
/// a third of its timeout instead of a half.
const RECOVERS_WITHIN_PERCENT: u32 = 75;

/// The most lookups of other programs under one fault, for the page. Interpreters take ten times the processor of the C libraries.
const BROUGHT_MAX: usize = 100;

/// Number of runs for the page, unless [`RUNS_VARIABLE`] has another.
const RUNS: usize = 5;
const RUNS_VARIABLE: &str = "MUSLIN_LAB_RUNS";

/// A program, and the pods that it can run in.
struct TestedProgram<'w> {
    program: &'w Program,
    /// Is true if the program uses its container's resolver, which `src/resolver/` models, without a deadline.
    is_modelled: bool,
    /// The containers of its pod if all are alike.
    alone: Vec<Container>,
    /// The containers of its pod if musl (or glibc, for musl) is in another.
    beside: Vec<Container>,
}

/// The tested programs and the measurements.
struct Proof<'w> {
    tested: Vec<TestedProgram<'w>>,
    /// The lookups of each program under a fault; without any, the fault is left out.
    lookups: fn(&Fault, &TestedProgram<'_>) -> usize,
    runs: Vec<Run>,
}

/// A cell of the page.
struct Cell<'p> {
    runs: Vec<&'p Measured>,
    conf: Conf,
    comparison: Comparison,
}

/// Where no option is injected, no lookup can be worse.
fn the_default_profile_injects_nothing(world: &World) -> Result<()> {
    for tested in TestedProgram::all(world)? {
        for fault in FAULTS {
            for pod in [&tested.alone, &tested.beside] {
                let Confs { kubernetes, muslin } = Confs::under(fault, &Profile::default(), pod)?;
                ensure!(muslin == kubernetes, "{}, {}: {muslin:?}", tested.program.title, fault.title);
            }
        }
    }
    Ok(())
}

/// Runs three times if necessary, as this machine is busy: a claim is false if it fails each time.
fn muslin_harms_no_lookup_and_musl_recovers_sooner(world: &World) -> Result<()> {
    let lookups = |fault: &Fault, tested: &TestedProgram<'_>| {
        let Lookups { long: _, short, brought } = fault.lookups;
        // A JVM takes a second of the processor to start.
        if tested.is_modelled {
            short
        } else if tested.holds_java() {
            0
        } else {
            brought
        }
    };
    let _alone = page::turn();
    let check = || Proof::make(world, lookups, 1)?.check();
    let again = |before: anyhow::Error| check().with_context(|| format!("before: {before:#}"));
    check().or_else(again).or_else(again)
}

/// Writes the page before the check, so that it shows what does not hold.
fn writes_the_proof_to_docs(world: &World) -> Result<()> {
    let _alone = page::turn();
    let lookups = |fault: &Fault, tested: &TestedProgram<'_>| {
        let Lookups { long, .. } = fault.lookups;
        if tested.is_compiled() { long } else { long.min(BROUGHT_MAX) }
    };
    let proof = Proof::make(world, lookups, runs()?)?;
    page::replace(page::Part::Proof, &table::page(&proof)?)?;
    proof.check()
}

/// Returns the number of runs that are compared.
pub(crate) fn runs() -> Result<usize> {
    std::env::var(RUNS_VARIABLE).map_or(Ok(RUNS), |runs| runs.parse().context(RUNS_VARIABLE))
}

/// The figures on the page differ between machines, but the options they were measured with must be today's.
fn the_page_shows_todays_options(world: &World) -> Result<()> {
    let page = page::read()?;
    let lines = |text: &str| -> BTreeSet<String> {
        text.split('`').skip(1).step_by(2).filter(|word| word.starts_with("ndots:")).map(str::to_owned).collect()
    };
    let mut injected = BTreeSet::new();
    for tested in TestedProgram::all(world)? {
        for several in [false, true] {
            injected.extend(tested.confs_with(several)?.map(|conf| conf.line()));
        }
    }
    let table = page.split("## ").find(|part| part.starts_with(table::INJECTED));
    let table = table.context("the table of injected options is missing")?;
    ensure!(lines(table) == injected, "muslin injects {injected:?}: run cargo test --test lab -- --ignored proof");
    let missing = FAULTS.iter().find(|fault| !page.contains(&format!("### Fault: {}\n", fault.title)));
    ensure!(missing.is_none(), "docs/proof.md lacks {:?}", missing.map(|fault| fault.title));
    ensure!(page.contains(page::STORMS), "docs/proof.md lacks storms: run cargo test --test lab -- --ignored storms");
    Ok(())
}

// === impl TestedProgram ===

impl<'w> TestedProgram<'w> {
    fn all(world: &'w World) -> Result<Vec<Self>> {
        let (musl, glibc) = (world.musl(|_| true)?.resolver, world.glibc()?.resolver);
        // The other list has this machine's glibc too, by its full version.
        let resolvers = world.resolvers().iter().filter(|program| program.resolver.family != Family::Glibc);
        let resolvers = resolvers.map(|program| (program, true));
        let programs = world.programs().iter().map(|program| (program, program.resolver.family == Family::Glibc));
        let tested = |(program, is_modelled): (&'w Program, bool)| {
            let own = Container { resolver: program.resolver, holds_java: program.title.starts_with("Netty") };
            let other = Container::of(if own.resolver.family == Family::Musl { glibc } else { musl });
            Self { program, is_modelled, alone: vec![own], beside: vec![own, other] }
        };
        Ok(resolvers.chain(programs).map(tested).collect())
    }

    /// Returns the files to compare under this fault: of Kubernetes, and of muslin in both pods.
    fn confs(&self, fault: &Fault) -> Result<[Conf; 3]> {
        let profile = Profile::builtin(MEASURED)?;
        let Confs { kubernetes, muslin: alone } = Confs::under(fault, &profile, &self.alone)?;
        let Confs { kubernetes: _, muslin: beside } = Confs::under(fault, &profile, &self.beside)?;
        Ok([kubernetes, alone, beside])
    }

    /// Returns the files of pods with one nameserver, or with several.
    fn confs_with(&self, several: bool) -> Result<[Conf; 3]> {
        let (profile, nameservers) = (Profile::builtin(MEASURED)?, if several { 3 } else { 1 });
        let Confs { kubernetes, muslin: alone } = Confs::of_pod(&profile, &self.alone, nameservers, None)?;
        let Confs { kubernetes: _, muslin: beside } = Confs::of_pod(&profile, &self.beside, nameservers, None)?;
        Ok([kubernetes, alone, beside])
    }

    /// Returns the prediction of the model in `src/resolver/`.
    fn predict(&self, fault: &Fault, conf: &Conf) -> Result<Option<Prediction>> {
        if !self.is_modelled {
            return Ok(None);
        }
        let options: Vec<&str> = conf.options.iter().map(String::as_str).collect();
        let searches: Vec<&str> = conf.searches.iter().map(String::as_str).collect();
        let settings = Settings::read_options(self.program.resolver, &options).context("an unknown resolver")?;
        Ok(fault.predict(&settings, &format!("n0.{DOMAIN}"), &searches))
    }

    /// Returns whether the program is one of a C library or of Go.
    fn is_compiled(&self) -> bool {
        self.is_modelled || self.program.resolver.family == Family::Go
    }

    /// Returns whether a JVM runs the program.
    fn holds_java(&self) -> bool {
        self.alone.iter().any(|container| container.holds_java)
    }

    /// Returns whether the program uses musl's own resolver.
    fn is_musl(&self) -> bool {
        self.is_modelled && self.program.resolver.family == Family::Musl
    }
}

// === impl Proof ===

impl<'w> Proof<'w> {
    fn make(world: &'w World, lookups: fn(&Fault, &TestedProgram<'_>) -> usize, runs: usize) -> Result<Self> {
        let tested = TestedProgram::all(world)?;
        // Interpreters keep the processor busy, for which the C libraries and Go would have to wait: they have a turn of their own, except
        // where a single run has few lookups.
        let mut turns = [Vec::new(), Vec::new()];
        for fault in FAULTS {
            for each in tested.iter().filter(|each| lookups(fault, each) > 0) {
                for conf in each.confs(fault)? {
                    let (program, lookups) = (each.program, lookups(fault, each));
                    let prediction = each.predict(fault, &conf)?;
                    let task = Task { fault, program, lookups, prediction, conf };
                    turns[usize::from(runs > 1 && !each.is_compiled())].push(task);
                }
            }
        }
        let mut all = Vec::new();
        for _ in 0..runs {
            let mut run = Run::new();
            for tasks in &turns {
                run.extend(measure(world, tasks)?);
            }
            all.push(run);
        }
        drop(turns);
        let runs = all;
        Ok(Self { tested, lookups, runs })
    }

    /// Returns the cells of a program under a fault: Kubernetes' options, and muslin's in both pods. `None` if the fault is left out.
    fn cells(&self, fault: &Fault, tested: &TestedProgram<'_>) -> Result<Option<[Cell<'_>; 3]>> {
        if (self.lookups)(fault, tested) == 0 {
            return Ok(None);
        }
        let runs = |conf: &Conf| -> Result<Vec<&Measured>> {
            let key = (fault.title, tested.program.title.clone(), conf.line());
            self.runs.iter().map(|run| run.get(&key).with_context(|| format!("{key:?} was not measured"))).collect()
        };
        let [kubernetes, alone, beside] = tested.confs(fault)?;
        let default = runs(&kubernetes)?;
        let cell = |conf: Conf| {
            let runs = runs(&conf)?;
            let is_healthy = fault.kind == FaultKind::Healthy;
            let is_same = conf == kubernetes;
            let is_node = tested.program.title.starts_with("Node");
            let comparison = if is_same { Comparison::Equal } else { compare(&default, &runs, is_healthy, is_node) };
            anyhow::Ok(Cell { runs, conf, comparison })
        };
        Ok(Some([cell(kubernetes.clone())?, cell(alone)?, cell(beside)?]))
    }

    /// Returns every program under every fault, with its cells.
    fn rows(&self) -> Result<Vec<(&'static Fault, &TestedProgram<'w>, [Cell<'_>; 3])>> {
        let mut rows = Vec::new();
        for fault in FAULTS {
            for tested in &self.tested {
                if let Some(cells) = self.cells(fault, tested)? {
                    rows.push((fault, tested, cells));
                }
            }
        }
        Ok(rows)
    }

    /// Checks all claims, and lists those that do not hold.
    fn check(&self) -> Result<()> {
        let mut wrong = Vec::new();
        for (fault, tested, cells) in self.rows()? {
            let [kubernetes, muslin @ ..] = &cells;
            for cell in muslin {
                let against = against_promise(fault, tested, kubernetes, cell);
                wrong.extend(against.map(|what| format!("{}, {}: {what}", tested.program.title, fault.title)));
            }
            for Cell { runs, conf, comparison: _ } in &cells {
                let prediction = tested.predict(fault, conf)?;
                // Most runs must contradict it.
                let against = runs.iter().filter_map(|run| against_model(prediction?, run));
                let against: Vec<String> = against.collect();
                if against.len() * 2 > runs.len() {
                    let what = against.last().cloned().unwrap_or_default();
                    wrong.push(format!("{}, {}, {}: {what}", tested.program.title, fault.title, conf.line()));
                }
            }
        }
        wrong.dedup();
        ensure!(wrong.is_empty(), "{} claims do not hold:\n{}", wrong.len(), wrong.join("\n"));
        Ok(())
    }
}

// === impl Cell ===

impl Cell<'_> {
    /// Returns the middle of a figure over all runs.
    fn middle<T: Ord>(&self, figure: impl Fn(&Measured) -> T) -> Option<T> {
        let mut figures: Vec<T> = self.runs.iter().map(|run| figure(run)).collect();
        figures.sort_unstable();
        let middle = figures.len() / 2;
        figures.into_iter().nth(middle)
    }
}

/// Returns a promise of muslin that this cell breaks.
fn against_promise(
    fault: &Fault,
    tested: &TestedProgram<'_>,
    kubernetes: &Cell<'_>,
    muslin: &Cell<'_>,
) -> Option<String> {
    let figures = |cell: &Cell<'_>| {
        let (found, p99) = (cell.middle(Measured::succeeded), cell.middle(Measured::p99));
        format!("`{}` found {found:?}, p99 {p99:?}", cell.conf.line())
    };
    let both = format!("{}; {}", figures(muslin), figures(kubernetes));
    if let Comparison::Worse(lookups) = &muslin.comparison {
        let examples = lookups.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ");
        return Some(format!("{} lookups are worse: {both}: {examples}", lookups.len()));
    }
    let is_injected = muslin.conf != kubernetes.conf;
    let p99 = |cell: &Cell<'_>| cell.middle(Measured::p99).unwrap_or_default();
    let recovers_late = p99(muslin) * 100 > p99(kubernetes) * RECOVERS_WITHIN_PERCENT;
    (fault.is_loss_of_one_packet() && tested.is_musl() && is_injected && recovers_late)
        .then(|| format!("musl does not recover sooner: {both}"))
}

/// Returns a prediction of the model that these results contradict.
fn against_model(prediction: Prediction, measured: &Measured) -> Option<String> {
    let (lookups, succeeded, median) = (measured.lookups.len(), measured.succeeded(), measured.median());
    let holds = match prediction {
        Prediction::Fails => succeeded == 0,
        Prediction::Succeeds(after) => succeeded == lookups && (after..after + LATE).contains(&median),
    };
    (!holds).then(|| {
        format!("the model predicts {prediction:?}; {succeeded} of {lookups} succeeded, half within {median:?}")
    })
}
