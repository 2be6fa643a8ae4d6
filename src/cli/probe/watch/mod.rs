//! `muslin probe --watch`: probes until a signal ends it, and shows verdicts as they begin and end.

mod answers;
mod metrics;
mod output;
mod server;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::{Instant, sleep_until};

use crate::cli::outcome::{Failure, Outcome};
use crate::cli::{terminal, version};
use crate::cluster::{
    ObservedOrigin, ObservedWatch, RolloutLookups, SearchRounds, StandingVerdict, VerdictChange, WatchReport,
    WatchWriter, WatcherPod, connect_as,
};
use crate::os::Signals;
use crate::probe::{Probe, ProbeResult, send_round};
use crate::text::Line;
use crate::verdicts::nameserver_origins::NameserverOrigins;
use crate::verdicts::observations::Purpose;
use crate::verdicts::system_files::ResolvConf;
use crate::verdicts::verdicts;
use crate::watching::{Change, Found, ProbeSize, RoundPlan, Standing, Step, Symptom, Watcher, symptoms};

use super::args::ProbeArgs;
use answers::RecentAnswers;
use metrics::WatchMetrics;

/// The observation of the node is written at least this often.
const REPORT_EVERY: Duration = Duration::from_mins(5);

/// Intervals between two looks at the profiles that roll out.
const ROLLOUTS_EVERY: u32 = 2;

/// The most search domains that are watched, as many as a pod may have (kubernetes `pkg/apis/core/validation/validation.go`,
/// `MaxDNSSearchPaths`).
const DOMAINS_MAX: usize = 32;

/// Rounds in a row after which a resolv.conf without use is no file that is being written.
const UNUSABLE_ROUNDS: u32 = 2;

/// A running watch.
struct Watch<'a> {
    arguments: &'a ProbeArgs,
    /// The full probe of the current resolv.conf.
    probe: Probe,
    plan: RoundPlan,
    watcher: Watcher,
    began: Instant,
    rounds: usize,
    /// Rounds in a row in which resolv.conf was of no use.
    unusable: u32,
    probed_at: Option<Timestamp>,
    reported: Option<Instant>,
    answers: RecentAnswers,
    /// The answers of the search domains to names that do not exist.
    domains: BTreeMap<String, &'static str>,
    search_rounds: SearchRounds,
    metrics: Arc<WatchMetrics>,
    cluster: Option<Cluster>,
}

/// The writer of what a watch sees, and the rollouts that it tries.
struct Cluster {
    client: kube::Client,
    writer: WatchWriter,
    pod: String,
    rollouts: RolloutLookups,
}

/// Watches until a signal comes.
pub(super) fn run(arguments: &ProbeArgs) -> Outcome {
    // Few threads keep the memory small; a lookup of the API server's name is the only blocking work.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
    runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals").map_err(Failure::Outside)?;
        tokio::select! {
            _ = signals.next() => Ok(()),
            outcome = watch(arguments) => outcome,
        }
    })
}

async fn watch(arguments: &ProbeArgs) -> Outcome {
    let probe = arguments.probe().await.map_err(Failure::Input)?;
    if probe.targets.first_name().is_none() {
        return Err(Failure::Input(anyhow!("there is no name to ask for: give one with --name or --external-name")));
    }
    let node = arguments.watch.node().map_err(Failure::Input)?;
    let node = node.as_deref();
    let metrics = Arc::new(WatchMetrics::new(node, &probe.targets.servers));
    if let Some(bind) = arguments.watch.metrics_bind {
        let address = server::start(bind, &metrics, arguments.watch.interval).map_err(Failure::Outside)?;
        terminal::note(&Line::new(format!("serving /metrics at {address}")));
    }
    let cluster = match node.filter(|_| !arguments.watch.no_cluster) {
        Some(node) => Some(connect(arguments, &probe, node).await?),
        None => None,
    };
    let mut watch = Watch::new(arguments, probe, metrics, cluster);
    loop {
        watch.step().await?;
    }
}

async fn connect(arguments: &ProbeArgs, probe: &Probe, node: &str) -> Result<Cluster, Failure> {
    let (kubeconfig, context) = (arguments.pod.kubeconfig.as_deref(), arguments.pod.context.as_deref());
    let client = connect_as(kubeconfig, context).await;
    let client =
        client.context("cannot connect to the cluster (--no-cluster only prints)").map_err(Failure::Outside)?;
    let pod = WatcherPod::of_environment(node);
    let name = pod.name.clone();
    let dns = arguments.watch.dns_deployment.clone();
    let writer = WatchWriter::start(client.clone(), pod, dns, |trouble| terminal::note(&trouble));
    let rollouts = rollout_lookups(&client, probe, arguments);
    Ok(Cluster { client, writer, pod: name, rollouts })
}

/// Returns the lookups with the settings of profiles that roll out, as a pod with this resolv.conf makes them.
fn rollout_lookups(client: &kube::Client, probe: &Probe, arguments: &ProbeArgs) -> RolloutLookups {
    let ResolvConf { search, options, .. } = &probe.resolv_conf;
    RolloutLookups::new(client.clone(), &probe.targets, search, options, arguments.watch.interval * ROLLOUTS_EVERY)
}

/// Returns a random number from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "no bit matters")]
fn random_share() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

/// Returns the plan of the small rounds of a probe.
fn plan(probe: &Probe) -> RoundPlan {
    let search: Vec<String> = probe.resolv_conf.search.iter().take(DOMAINS_MAX).cloned().collect();
    RoundPlan::new(probe.targets.clone(), &search)
}

// === impl Watch ===

impl<'a> Watch<'a> {
    fn new(arguments: &'a ProbeArgs, probe: Probe, metrics: Arc<WatchMetrics>, cluster: Option<Cluster>) -> Self {
        let size = ProbeSize::of(probe.targets.servers.len());
        let plan = plan(&probe);
        let mut watcher = Watcher::new(arguments.watch.interval, size.queries_max);
        watcher.begin_rounds_at(arguments.watch.interval.mul_f64(random_share()));
        Self {
            arguments,
            watcher,
            began: Instant::now(),
            rounds: 0,
            unusable: 0,
            probed_at: None,
            reported: None,
            answers: RecentAnswers::default(),
            domains: BTreeMap::new(),
            search_rounds: SearchRounds::new(&probe.targets, plan.search()),
            plan,
            probe,
            metrics,
            cluster,
        }
    }

    /// Waits for the next round or full probe, and makes it.
    async fn step(&mut self) -> Outcome {
        let (at, step) = self.watcher.next(self.began.elapsed());
        sleep_until(self.began + at).await;
        let changes = match step {
            Step::Round => {
                self.round().await;
                Vec::new()
            }
            Step::Probe => self.full_probe().await,
        };
        self.metrics.note_step(self.probed_at.is_some());
        for change in &changes {
            output::show(self.arguments.output, change, self.time_of(change))?;
        }
        self.metrics.set_verdicts(self.watcher.standing().iter().map(|standing| standing.found.slug));
        self.report(&changes);
        Ok(())
    }

    async fn round(&mut self) {
        self.follow_resolv_conf().await;
        let queries_max = self.watcher.round_allowance(self.began.elapsed());
        let round = send_round(&self.plan, self.rounds, &self.watcher.focus(), queries_max).await;
        self.rounds += 1;
        self.metrics.count_round(&round);
        self.answers.add(&round.asked);
        self.watcher.after_round(self.began.elapsed(), &round.asked, round.sent);
        for asked in round.asked.iter().filter(|asked| asked.purpose == Purpose::Searched && asked.is_answered()) {
            let domain = asked.name.split_once('.').map_or("", |(_, domain)| domain);
            self.domains.insert(domain.to_owned(), "NXDOMAIN");
        }
        let mut is_suspicious = false;
        for symptom in symptoms(&round.asked) {
            if let Symptom::SearchDomain(domain, fault) = symptom {
                is_suspicious = true;
                self.domains.insert(domain, fault.name());
            }
        }
        self.domains.retain(|domain, _| self.plan.search().contains(domain));
        self.metrics.set_domains(&self.domains);
        self.check_search_domains(is_suspicious).await;
        self.try_rollouts().await;
    }

    /// Begins or ends the lookups with the new settings of profiles, if the query budget has room for them and a full probe.
    async fn try_rollouts(&mut self) {
        let Some(Cluster { rollouts, .. }) = &mut self.cluster else { return };
        match rollouts.finished().await {
            Some(Ok(sent)) => {
                self.watcher.spend(self.began.elapsed(), sent);
                self.metrics.count_queries(sent);
            }
            Some(Err(error)) => terminal::note(&Line::new(format!("cannot list the profiles that roll out: {error}"))),
            None => {}
        }
        let probe = ProbeSize::of(self.probe.targets.servers.len()).queries_max;
        if self.watcher.affords(self.began.elapsed(), probe.saturating_add(RolloutLookups::QUERIES_MAX)) {
            rollouts.begin();
        }
    }

    /// Begins or ends the checks of the search domains on which profiles depend, if the query budget has room for them.
    async fn check_search_domains(&mut self, is_suspicious: bool) {
        if let Some(sent) = self.search_rounds.finished().await {
            self.watcher.spend(self.began.elapsed(), sent);
            self.metrics.count_queries(sent);
        }
        if self.watcher.affords(self.began.elapsed(), SearchRounds::QUERIES_MAX) {
            self.search_rounds.begin(is_suspicious);
        }
    }

    async fn full_probe(&mut self) -> Vec<Change> {
        let size = ProbeSize::of(self.probe.targets.servers.len());
        let queries_max = self.watcher.allowance(self.began.elapsed());
        (self.probe.queries_max, self.probe.pairs, self.probe.burst) = (queries_max, size.pairs, size.burst);
        self.probe.is_short = !self.watcher.is_whole_due();
        match self.arguments.origins(self.arguments.uses_the_systems_file()) {
            Ok(origins) => self.probe.nameserver_origins = origins,
            Err(error) => terminal::note(&Line::new(format!("{error:#}"))),
        }
        let ProbeResult { seen, sent, stopped: _ } = self.probe.run(&|_| {}, std::future::pending()).await;
        self.probed_at = Some(Timestamp::now());
        self.metrics.count_probe(sent);
        let found = Found::of(&verdicts(&seen));
        self.watcher.after_probe(self.began.elapsed(), found, sent)
    }

    /// Probes anew if resolv.conf has other nameservers or domains. While the file cannot be used, the watch goes on with what it knows, and
    /// says so once: a file that is being written may be empty or missing for a moment.
    async fn follow_resolv_conf(&mut self) {
        let probe = match self.arguments.read_resolv_conf() {
            Ok(conf) if conf == self.probe.resolv_conf => {
                self.unusable = 0;
                return;
            }
            Ok(_) => self.arguments.probe().await,
            Err(error) => Err(error),
        };
        let probe = match probe {
            Ok(probe) => probe,
            Err(error) => {
                self.unusable += 1;
                if self.unusable == UNUSABLE_ROUNDS {
                    terminal::note(&Line::new(format!(
                        "{error:#}; the watch goes on with the nameservers that it knows"
                    )));
                }
                return;
            }
        };
        self.unusable = 0;
        terminal::note(&Line::new("resolv.conf has changed"));
        self.probe = probe;
        self.plan = plan(&self.probe);
        self.search_rounds = SearchRounds::new(&self.probe.targets, self.plan.search());
        if let Some(cluster) = &mut self.cluster {
            cluster.rollouts = rollout_lookups(&cluster.client, &self.probe, self.arguments);
        }
        self.answers = RecentAnswers::default();
        self.watcher.probe_at(self.began.elapsed());
    }

    /// Returns the time of a change: when the verdict began, or when it ended.
    fn time_of(&self, change: &Change) -> Timestamp {
        match change {
            Change::Raised(standing) => self.timestamp(standing.since),
            Change::Cleared(_) => Timestamp::now(),
        }
    }

    /// Returns the time of a clock for a time since the start.
    fn timestamp(&self, since_start: Duration) -> Timestamp {
        let ago = self.began.elapsed().saturating_sub(since_start);
        SystemTime::now().checked_sub(ago).and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default()
    }

    /// Passes the observation on to the cluster, if something has changed or some time has passed.
    fn report(&mut self, changes: &[Change]) {
        let is_due = self.reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY);
        let mut has_news = self.search_rounds.take_news();
        if let Some(cluster) = &mut self.cluster {
            has_news |= cluster.rollouts.take_news();
        }
        let Some(cluster) = &self.cluster else { return };
        if self.probed_at.is_none() || (changes.is_empty() && !is_due && !has_news) {
            return;
        }
        let changes = changes.iter().map(|change| {
            let (standing, is_raised) = match change {
                Change::Raised(standing) => (standing, true),
                Change::Cleared(standing) => (standing, false),
            };
            VerdictChange { verdict: self.standing_verdict(standing), help: standing.found.help.clone(), is_raised }
        });
        let report = WatchReport {
            nameservers: self.probe.targets.servers.iter().map(|server| server.ip()).collect(),
            domains: self.search_rounds.observed(),
            watch: self.observed(cluster),
            changes: changes.collect(),
        };
        cluster.writer.send(report);
        self.reported = Some(Instant::now());
    }

    fn observed(&self, cluster: &Cluster) -> ObservedWatch {
        let origins = self.probe.nameserver_origins.as_ref();
        ObservedWatch {
            pod: cluster.pod.clone(),
            version: version::RELEASE.to_owned(),
            checked_at: Time(Timestamp::now()),
            rounds: i64::try_from(self.rounds).unwrap_or(i64::MAX),
            probed_at: self.probed_at.map(Time),
            verdicts: self.watcher.standing().iter().map(|standing| self.standing_verdict(standing)).collect(),
            nameservers: self.answers.nameservers(&self.probe.targets.servers),
            origins: origins.map(|origins: &NameserverOrigins| ObservedOrigin::all_of(origins)).unwrap_or_default(),
            rollouts: cluster.rollouts.observed(),
        }
    }

    fn standing_verdict(&self, standing: &Standing) -> StandingVerdict {
        let Found { slug, level, subject, what, help: _ } = &standing.found;
        StandingVerdict {
            verdict: (*slug).to_owned(),
            level: (*level).to_owned(),
            subject: subject.clone(),
            text: Line::new(what.clone()).into_string(),
            since: Time(self.timestamp(standing.since)),
        }
    }
}
