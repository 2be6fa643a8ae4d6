//! Runs a probe: single queries, then pairs, then a burst, and lookups through C libraries beside them. Must not know what the
//! observations mean.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::future::{join_all, join4};
use futures::stream::FuturesUnordered;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::asker::Asker;
use super::dns_question::DnsQuestion;
use super::libraries::Libraries;
use super::program::ProgramSource;
use super::schedule::{
    COMPARED, COMPARED_SHORT, ScheduledQuery, fraction, nameserver_queries, search_domain_queries,
    search_expansion_queries, upstream_queries,
};
use super::system::{is_in_pod, kernel_release, names_in_hosts_file, read_conntrack, read_nsswitch, unroutable};
use crate::verdicts::TEST_NET_1;
use crate::verdicts::lookup_costs::name_spellings;
use crate::verdicts::nameserver_origins::NameserverOrigins;
use crate::verdicts::observations::{
    AskedQuery, Conntrack, Environment, Observations, Pair, PairMode, Program, Purpose, QueryOutcome, QueryType,
    SystemLookup, Targets, UnaskedLibrary, Upstream, Via,
};
use crate::verdicts::statistics::median;
use crate::verdicts::system_files::ResolvConf;

/// Number of UDP queries that find out which server answers.
const FIRST_TRIES: usize = 5;

/// Number of pairs of each mode in one round, and the time between two pairs.
const PAIRS_A_ROUND: u32 = 25;
const PAIR_EVERY: Duration = Duration::from_millis(8);
/// If some pairs are lost, this many times as many pairs may be sent.
const MORE_PAIRS: u32 = 3;
const MODES: [PairMode; 4] = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId];

/// The longest wait for one answer.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// The shortest wait for the answers to a pair or a burst, which tells a lost packet from a late one.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// The targets and limits of a probe.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Names to query and servers to ask.
    pub targets: Targets,
    /// The search list and the options.
    pub resolv_conf: ResolvConf,
    /// Path of nsswitch.conf.
    pub nsswitch: PathBuf,
    /// Path of the hosts file.
    pub hosts: PathBuf,
    /// Time limit of the whole probe.
    pub timeout: Duration,
    /// Number of queries that may be sent in all.
    pub queries_max: u32,
    /// Number of pairs of each mode, if none is lost.
    pub pairs: u32,
    /// Number of queries sent at once.
    pub burst: u32,
    /// Large answers, the names that the search list leads to, pairs and the burst are left out.
    pub is_short: bool,
    /// A query is sent to TEST-NET-1.
    pub interception: bool,
    /// C libraries whose `getaddrinfo` looks up names.
    pub libraries: Libraries,
    /// Programs whose resolver is identified.
    pub programs: Vec<ProgramSource>,
    /// Servers behind the nameservers to query too.
    pub upstreams: Vec<SocketAddr>,
    /// Known servers behind the nameservers.
    pub known_upstreams: Vec<Upstream>,
    /// The node's own nameservers.
    pub node_nameservers: Option<Vec<String>>,
    /// The places that name the node's nameservers.
    pub nameserver_origins: Option<NameserverOrigins>,
}

/// The progress of a probe.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The current step.
    pub doing: &'static str,
    /// Number of queries sent.
    pub sent: u32,
    /// Number of answered single queries, and of all finished ones.
    pub answered: (usize, usize),
}

/// The result of a probe.
#[derive(Debug)]
pub struct ProbeResult {
    /// The observations.
    pub seen: Observations,
    /// Number of queries sent.
    pub sent: u32,
    /// The probe was stopped before its end.
    pub stopped: bool,
}

/// A running probe.
struct Session<'p> {
    probe: &'p Probe,
    asker: Asker,
    asked: RefCell<Vec<AskedQuery>>,
    pairs: RefCell<Vec<Pair>>,
    lookups: RefCell<Vec<SystemLookup>>,
    /// Names of libraries through which a lookup could not be made, and why.
    unasked: RefCell<Vec<(String, String)>>,
    doing: RefCell<&'static str>,
    on_progress: &'p dyn Fn(Progress),
}

/// The server that gets the search list's names, the pairs and the burst.
struct ChosenServer {
    server: SocketAddr,
    /// Pairs and bursts need UDP.
    by_udp: bool,
}

// === impl Probe ===

impl Probe {
    /// Runs the probe to its end, to its time limit, or until `stop` is ready.
    pub async fn run(&self, on_progress: &dyn Fn(Progress), stop: impl Future<Output = ()>) -> ProbeResult {
        let session = Session {
            probe: self,
            asker: Asker::new(self.queries_max, Instant::now() + self.timeout),
            asked: RefCell::default(),
            pairs: RefCell::default(),
            lookups: RefCell::default(),
            unasked: RefCell::default(),
            doing: RefCell::new("querying"),
            on_progress,
        };
        let before = read_conntrack();
        let programs = self.identify_programs();
        let stopped = tokio::select! {
            _ = join4(session.query_nameservers(), session.look_up(), session.query_test_net(), session.query_upstreams()) => false,
            () = stop => true,
        };
        let conntrack = before.zip(read_conntrack()).map(|(before, after)| after.since(before));
        let sent = session.asker.sent();
        let until = if stopped { Instant::now() } else { session.asker.deadline() };
        let programs = match timeout_at(until, programs).await {
            Ok(Ok(programs)) => programs,
            Ok(Err(_)) | Err(_) => self.programs.iter().map(ProgramSource::unread).collect(),
        };
        let libraries = session.libraries(stopped);
        let Session { asked, pairs, lookups, .. } = session;
        let (asked, pairs, lookups) = (asked.into_inner(), pairs.into_inner(), lookups.into_inner());
        let environment = self.environment(conntrack, programs, libraries, &asked);
        let seen = Observations { targets: self.targets.clone(), asked, pairs, lookups, environment };
        ProbeResult { seen, sent, stopped }
    }

    /// Identifies the programs on a thread of its own: a large one takes seconds, in which queries are sent, and the probe still ends in
    /// time.
    fn identify_programs(&self) -> oneshot::Receiver<Vec<Program>> {
        let (sender, receiver) = oneshot::channel();
        let programs = self.programs.clone();
        std::thread::spawn(move || sender.send(programs.iter().map(|program| program.identify(false)).collect()));
        receiver
    }

    /// Returns the environment, with the libraries that were really asked.
    fn environment(
        &self,
        conntrack: Option<Conntrack>,
        mut programs: Vec<Program>,
        libraries: Libraries,
        asked: &[AskedQuery],
    ) -> Environment {
        let Libraries { asked: libraries, unasked } = libraries;
        programs.extend(libraries.into_iter().map(|program| program.library));
        let names: Vec<String> = self.targets.names.iter().chain(&self.targets.external_names).cloned().collect();
        Environment {
            resolv_conf: self.resolv_conf.clone(),
            nsswitch: read_nsswitch(&self.nsswitch),
            in_hosts_file: names_in_hosts_file(&self.hosts, &names),
            programs,
            unasked,
            kernel: kernel_release(),
            conntrack,
            upstreams: self.known_upstreams.clone(),
            node_nameservers: self.node_nameservers.clone(),
            nameserver_origins: self.nameserver_origins.clone(),
            unroutable: unroutable(asked.iter().filter_map(AskedQuery::answer).flat_map(|answer| &answer.addresses)),
            in_pod: is_in_pod(),
            unix_time: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }
}

// === impl Session ===

impl Session<'_> {
    /// Sends single queries to all nameservers, then pairs, then the burst: steps that could disturb the others come last.
    async fn query_nameservers(&self) {
        let chosen = self.choose_server().await;
        let is_chosen = |server| chosen.as_ref().is_some_and(|chosen| chosen.server == server);
        join_all(self.probe.targets.servers.iter().map(|server| self.query_server(*server, is_chosen(*server)))).await;
        let Some(ChosenServer { server, by_udp: true }) = chosen else { return };
        if self.probe.is_short {
            return;
        }
        self.send_pairs(server).await;
        self.send_burst(server).await;
    }

    /// Returns the first server that answers by UDP, or else one that answers by TCP. Several UDP queries allow for lost packets.
    async fn choose_server(&self) -> Option<ChosenServer> {
        let (purpose, name) = self.probe.targets.first_name()?;
        let question = &DnsQuestion::new(name, QueryType::A);
        // All queries wait until the same moment, the last one half as long as the first.
        let by_udp = (0..FIRST_TRIES).map(|index| (fraction(index, 2 * FIRST_TRIES, self.longest_wait()), Via::Udp));
        let tries: Vec<_> = by_udp.chain([(Duration::ZERO, Via::Tcp)]).collect();
        let servers = self.probe.targets.servers.iter();
        let mut answers: FuturesUnordered<_> = servers
            .flat_map(|server| tries.iter().map(move |(pause, via)| (*server, *pause, *via)))
            .map(|(server, pause, via)| async move {
                sleep(pause).await;
                let wait = self.longest_wait().saturating_sub(pause);
                (server, via, self.send_within(purpose, server, via, question, wait).await)
            })
            .collect();
        let mut by_tcp = None;
        while let Some((server, via, is_answered)) = answers.next().await {
            match via {
                Via::Udp if is_answered => return Some(ChosenServer { server, by_udp: true }),
                Via::Tcp if is_answered => by_tcp = Some(ChosenServer { server, by_udp: false }),
                Via::Udp | Via::Tcp => {}
            }
        }
        by_tcp
    }

    /// Sends all single queries to one server.
    async fn query_server(&self, server: SocketAddr, is_chosen: bool) {
        let targets = &self.probe.targets;
        let search_list = async {
            if is_chosen {
                let search = &self.probe.resolv_conf.search;
                let mut queries = search_domain_queries(search);
                if !self.probe.is_short {
                    queries.extend(search_expansion_queries(targets, search));
                }
                self.send_all(server, queries).await;
            }
        };
        let compared = if self.probe.is_short && is_chosen { COMPARED_SHORT } else { COMPARED };
        let queries = nameserver_queries(targets, self.probe.is_short, compared);
        futures::join!(self.send_all(server, queries), search_list);
    }

    /// Sends rounds of pairs, the modes in turn; more of them while some are lost.
    async fn send_pairs(&self, server: SocketAddr) {
        let Some((_, name)) = self.probe.targets.first_name() else { return };
        *self.doing.borrow_mut() = "sending pairs";
        let questions = (DnsQuestion::new(name, QueryType::A), DnsQuestion::new(name, QueryType::Aaaa));
        let wait = self.lost_after(server);
        let mut left = self.probe.pairs;
        let mut more = self.probe.pairs * (MORE_PAIRS - 1);
        while left > 0 {
            let now = left.min(PAIRS_A_ROUND);
            left -= now;
            let round = (0..now).flat_map(|_| MODES).zip(0_u32..);
            let sent = round.map(|(mode, position)| {
                let (a, aaaa) = &questions;
                async move {
                    sleep(PAIR_EVERY * position).await;
                    let pair = self.asker.ask_pair(server, mode, (a, aaaa), wait).await;
                    self.pairs.borrow_mut().extend(pair);
                }
            });
            join_all(sent).await;
            self.report_progress();
            if left == 0 && more > 0 && self.pairs.borrow().iter().any(|pair| !pair.is_whole()) {
                let needed = PAIR_EVERY * PAIRS_A_ROUND * 4 + 2 * wait;
                if Instant::now() + needed < self.asker.deadline() {
                    left = more.min(PAIRS_A_ROUND);
                    more -= left;
                }
            }
        }
    }

    /// Sends many queries at once.
    async fn send_burst(&self, server: SocketAddr) {
        let Some((_, name)) = self.probe.targets.first_name() else { return };
        *self.doing.borrow_mut() = "sending a burst";
        let question = DnsQuestion::new(name, QueryType::A);
        let wait = self.lost_after(server);
        let sent = (0..self.probe.burst).map(|_| self.send_within(Purpose::Burst, server, Via::Udp, &question, wait));
        join_all(sent).await;
    }

    /// Returns the time after which an answer of this server counts as lost.
    fn lost_after(&self, server: SocketAddr) -> Duration {
        let asked = self.asked.borrow();
        let times = asked.iter().filter(|asked| asked.server == server && asked.is_answered()).map(|asked| asked.took);
        median(times).map_or(LOST_AFTER, |median| (3 * median).clamp(LOST_AFTER, WAIT_MAX))
    }

    /// Looks up names through C libraries, as programs spell them.
    async fn look_up(&self) {
        let targets = &self.probe.targets;
        let spellings = &name_spellings(&targets.names, &targets.external_names, &targets.cluster_domain);
        // Some time remains to end lookups that hang.
        let deadline = self.asker.deadline() - self.probe.timeout / 20;
        join_all(self.probe.libraries.asked.iter().map(|program| {
            join_all(spellings.iter().map(|name| async move {
                match program.look_up(name, deadline).await {
                    Ok(lookup) => self.lookups.borrow_mut().push(lookup),
                    Err(error) => self.unasked.borrow_mut().push((program.library.name.clone(), error.to_string())),
                }
            }))
        }))
        .await;
        let position = |lookup: &SystemLookup| {
            let program = self.probe.libraries.asked.iter().position(|program| program.library.name == lookup.program);
            (program, spellings.iter().position(|name| *name == lookup.name))
        };
        self.lookups.borrow_mut().sort_by_key(position);
    }

    /// Returns the libraries that were asked, and the others with the reason.
    fn libraries(&self, stopped: bool) -> Libraries {
        let Libraries { asked, unasked } = &self.probe.libraries;
        let mut libraries = Libraries { asked: Vec::new(), unasked: unasked.clone() };
        for program in asked {
            let name = &program.library.name;
            let errors = self.unasked.borrow();
            let error = errors.iter().find(|(failed, _)| failed == name).map(|(_, error)| error.clone());
            if self.lookups.borrow().iter().any(|lookup| lookup.program == *name) {
                libraries.asked.push(program.clone());
            } else if let Some(because) = error.or_else(|| stopped.then(|| "the probe was stopped before".to_owned())) {
                let library = program.library.resolver.to_string();
                libraries.unasked.push(UnaskedLibrary { library, because });
            } else {
                libraries.asked.push(program.clone());
            }
        }
        libraries
    }

    /// Sends one query to an address that no host has.
    async fn query_test_net(&self) {
        let name = self.probe.targets.external_names.first().filter(|_| self.probe.interception);
        let Some(name) = name else { return };
        let (server, question) = (SocketAddr::new(TEST_NET_1.into(), 53), DnsQuestion::new(name, QueryType::A));
        self.send_within(Purpose::Interception, server, Via::Udp, &question, LOST_AFTER * 2).await;
    }

    /// Queries the servers behind the nameservers that may be queried.
    async fn query_upstreams(&self) {
        let servers = self.probe.upstreams.iter();
        join_all(servers.map(|server| self.send_all(*server, upstream_queries(&self.probe.targets)))).await;
    }

    /// Sends scheduled queries to a server, each after its pause.
    async fn send_all(&self, server: SocketAddr, queries: impl IntoIterator<Item = ScheduledQuery>) {
        let began = Instant::now();
        let send = |query: ScheduledQuery| async move {
            let ScheduledQuery { pause, purpose, via, question } = query;
            sleep_until(began + pause).await;
            self.send_within(purpose, server, via, &question, self.longest_wait()).await
        };
        join_all(queries.into_iter().map(send)).await;
    }

    /// Returns the longest wait for one answer.
    fn longest_wait(&self) -> Duration {
        WAIT_MAX.min(self.probe.timeout * 3 / 10)
    }

    /// Sends a query and records its outcome; returns whether it was answered.
    async fn send_within(
        &self,
        purpose: Purpose,
        server: SocketAddr,
        via: Via,
        question: &DnsQuestion,
        wait: Duration,
    ) -> bool {
        let (took, outcome) = self.asker.ask(server, via, question, wait).await;
        let is_answered = matches!(outcome, QueryOutcome::Answer(_));
        let DnsQuestion { name, kind, edns, signatures: _, unchecked: _ } = question;
        let asked = AskedQuery { purpose, server, via, name: name.clone(), kind: *kind, edns: *edns, took, outcome };
        self.asked.borrow_mut().push(asked);
        self.report_progress();
        is_answered
    }

    fn report_progress(&self) {
        let asked = self.asked.borrow();
        let answered = asked.iter().filter(|asked| asked.is_answered()).count();
        let doing = *self.doing.borrow();
        (self.on_progress)(Progress { doing, sent: self.asker.sent(), answered: (answered, asked.len()) });
    }
}
