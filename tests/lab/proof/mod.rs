//! The proof that muslin's promise holds, by measurement: real resolvers under each fault, with what Kubernetes writes into
//! resolv.conf and with what muslin writes there. A test that always runs checks its claims on a few lookups each; another, which
//! is run by hand, makes the table of `docs/proof.md`.

mod fault;
mod injected;
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
use fault::{DOMAIN, FAULTS, Fault, Kind, Names, Prediction};
use injected::Options;
use measure::{Measured, Measurements, Task, measure};
use silence::who_hears_nothing_gives_up_when_the_model_says;

pub(crate) const TESTS: Topic = tests![
    muslin_never_costs_a_lookup_and_musl_recovers_four_times_as_fast,
    the_page_shows_what_is_injected_today,
    who_hears_nothing_gives_up_when_the_model_says
];

/// Run by hand: `cargo test --test lab -- --ignored proof`.
pub(crate) const BY_HAND: Topic = tests![proof_is_written_to_docs];

/// Where the table stands.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/proof.md");

/// How much later than the model says a lookup may be: the model counts no round trips, of which there are eight here, and this
/// machine does other things.
const LATE: Duration = Duration::from_millis(450);

/// How much better musl's p99 has to be under the loss of one packet.
const TIMES_BETTER: u32 = 4;

/// One resolver, and the resolv.conf that its container gets.
struct Subject<'w> {
    program: &'w Program,
    /// Without muslin.
    kubernetes: ResolvConf,
    /// With muslin, in a pod where all containers use this resolver.
    alone: ResolvConf,
    /// With muslin, in a pod where the others use musl, glibc and Go.
    beside: ResolvConf,
    /// The same, where pods have IPv6 addresses.
    beside_with_ipv6: ResolvConf,
}

/// What was measured, and of whom.
struct Proof<'w> {
    subjects: Vec<Subject<'w>>,
    measurements: Measurements,
}

/// This machine does other things, too: what does not hold twice does not hold.
fn muslin_never_costs_a_lookup_and_musl_recovers_four_times_as_fast(world: &World) -> Result<()> {
    let check = || Proof::make(world, |fault| fault.lookups.0)?.check();
    check().or_else(|first| check().with_context(|| format!("before: {first:#}")))
}

fn proof_is_written_to_docs(world: &World) -> Result<()> {
    let proof = Proof::make(world, |fault| fault.lookups.1)?;
    proof.check()?;
    std::fs::write(PAGE, table::page(&proof)?).with_context(|| format!("writing {PAGE}"))
}

/// The figures of the page differ from machine to machine; what they were measured with must not.
fn the_page_shows_what_is_injected_today(world: &World) -> Result<()> {
    let page = std::fs::read_to_string(PAGE).with_context(|| format!("reading {PAGE}"))?;
    let lines = |text: &str| -> BTreeSet<String> {
        text.split('`').skip(1).step_by(2).filter(|word| word.starts_with("ndots:")).map(str::to_owned).collect()
    };
    let subjects = Subject::all(world)?;
    let injected = subjects.iter().flat_map(Subject::confs).map(|conf| conf.options.join(" ")).collect();
    let table =
        page.split("## ").find(|part| part.starts_with(table::INJECTED)).context("what is injected is missing")?;
    ensure!(lines(table) == injected, "muslin injects {injected:?}: run cargo test --test lab -- --ignored proof");
    let missing = FAULTS.iter().find(|fault| !page.contains(&format!("### Fault: {}\n", fault.title)));
    ensure!(missing.is_none(), "docs/proof.md lacks {:?}", missing.map(|fault| fault.title));
    Ok(())
}

// === impl Subject ===

impl<'w> Subject<'w> {
    fn all(world: &'w World) -> Result<Vec<Self>> {
        let newest = world.musl(|_| true)?.resolver;
        let others = [newest, world.glibc()?.resolver, world.go()?.resolver];
        let subject = |program: &'w Program| {
            let resolver = program.resolver;
            let beside: Vec<_> = others.into_iter().filter(|other| other.family != resolver.family).collect();
            let together = [&[resolver], &beside[..]].concat();
            let (default, ipv6) = (Profile::default(), Profile::builtin("ipv6")?);
            let Options { kubernetes, muslin: alone } = Options::of(&[resolver], &default)?;
            let Options { muslin: beside, .. } = Options::of(&together, &default)?;
            let Options { muslin: beside_with_ipv6, .. } = Options::of(&together, &ipv6)?;
            Ok(Self { program, kubernetes, alone, beside, beside_with_ipv6 })
        };
        world.resolvers().iter().map(subject).collect()
    }

    fn confs(&self) -> [&ResolvConf; 4] {
        let Self { program: _, kubernetes, alone, beside, beside_with_ipv6 } = self;
        [kubernetes, alone, beside, beside_with_ipv6]
    }

    /// Those that are held against this fault. A name that has IPv6 addresses alone is of use where pods have them, too; there
    /// muslin's default is another.
    fn confs_for(&self, fault: &Fault) -> [&ResolvConf; 3] {
        let Self { program: _, kubernetes, alone, beside, beside_with_ipv6 } = self;
        [kubernetes, alone, if fault.names == Names::V6 { beside_with_ipv6 } else { beside }]
    }

    fn settings(&self, conf: &ResolvConf) -> Result<Settings> {
        Settings::read(self.program.resolver, &conf.option_texts()).context("a resolver that is not known")
    }

    /// What the model says of it.
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
        let subjects = Subject::all(world)?;
        let mut tasks = Vec::new();
        for fault in FAULTS {
            for subject in &subjects {
                for conf in subject.confs_for(fault) {
                    let prediction = subject.predict(fault, conf)?;
                    tasks.push(Task { fault, program: subject.program, conf, lookups: lookups(fault), prediction });
                }
            }
        }
        let measurements = measure(world, &tasks)?;
        drop(tasks);
        Ok(Self { subjects, measurements })
    }

    /// What was measured of a resolver under a fault, with each resolv.conf.
    fn of(&self, fault: &Fault, subject: &Subject<'_>) -> Result<[&Measured; 3]> {
        let resolver = subject.program.resolver;
        let [kubernetes, alone, beside] = subject.confs_for(fault).map(|conf| {
            let key = (fault.title, resolver, conf.options.join(" "));
            self.measurements.get(&key).with_context(|| format!("{key:?} was not measured"))
        });
        Ok([kubernetes?, alone?, beside?])
    }

    /// Checks all that the proof claims, and says all that does not hold.
    fn check(&self) -> Result<()> {
        let mut wrong = Vec::new();
        for fault in FAULTS {
            for subject in &self.subjects {
                let measured = self.of(fault, subject)?;
                let where_ = format!("{}, {}", subject.program.resolver, fault.title);
                wrong.extend(against_promise(fault, subject, measured).map(|what| format!("{where_}: {what}")));
                for (conf, measured) in subject.confs_for(fault).into_iter().zip(measured) {
                    let prediction = subject.predict(fault, conf)?;
                    let against = prediction.and_then(|prediction| against_model(prediction, measured));
                    wrong.extend(against.map(|what| format!("{where_}, {}: {what}", conf.options.join(" "))));
                }
            }
        }
        ensure!(wrong.is_empty(), "{} claims do not hold:\n{}", wrong.len(), wrong.join("\n"));
        Ok(())
    }
}

/// What muslin promises and these figures do not show.
fn against_promise(fault: &Fault, subject: &Subject<'_>, measured: [&Measured; 3]) -> Option<String> {
    let [kubernetes, alone, beside] = measured;
    for muslin in [alone, beside] {
        if muslin.succeeded < kubernetes.succeeded {
            return Some(format!("{} of {} succeeded, not {}", muslin.succeeded, muslin.lookups, kubernetes.succeeded));
        }
        if fault.kind == Kind::Healthy && muslin.queries > kubernetes.queries {
            return Some(format!("{} queries, not {}", muslin.queries, kubernetes.queries));
        }
    }
    if fault.is_loss_of_one_packet() && subject.is_musl() && kubernetes.p99 < alone.p99 * TIMES_BETTER {
        return Some(format!("p99 is {:?}, and {:?} without muslin", alone.p99, kubernetes.p99));
    }
    None
}

/// What the model says and these figures do not.
fn against_model(prediction: Prediction, measured: &Measured) -> Option<String> {
    let Measured { lookups, succeeded, median, .. } = measured;
    let holds = match prediction {
        Prediction::Fails => *succeeded == 0,
        Prediction::Succeeds(after) => succeeded == lookups && (after..after + LATE).contains(median),
    };
    (!holds)
        .then(|| format!("the model says {prediction:?}; {succeeded} of {lookups} succeeded, half within {median:?}"))
}
