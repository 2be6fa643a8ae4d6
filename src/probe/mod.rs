//! Asks the nameservers, and says what was seen: single questions, pairs, bursts, and lookups through C libraries. No root is needed.
//! Sends to the nameservers it is given and to no other address, but for one query to TEST-NET-1, which can be left out. What is sent
//! is counted and bounded, and so is the time. Must not know what the observations mean: that is [`crate::verdicts`].

mod ask;
mod files;
mod lookup;
mod program;
mod question;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::future::{join_all, join4};
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until};

use ask::{Asker, random};
use question::Question;

use crate::verdicts::NOBODY;
use crate::verdicts::lookup_costs::{names_on_the_way, ways_to_write};
use crate::verdicts::observations::{
    Asked, Kind, Observations, Outcome, Pair, PairMode, Purpose, Surroundings, SystemLookup, Targets, Upstream, Via,
};
use crate::verdicts::statistics::median;
use crate::verdicts::system_files::ResolvConf;

pub use lookup::LookupProgram;
pub use program::Subject;

/// How often each name is asked for, by each type.
const ROUNDS: usize = 6;
/// Between two rounds: some 40 queries a second, which no rate limit minds.
const ROUND_EVERY: Duration = Duration::from_millis(100);
/// How often a server is asked by UDP whether it answers.
const FIRST_TRIES: usize = 5;
/// How many names are invented for each server: a share of a quarter is then told from none.
const INVENTED: usize = 24;
const INVENTED_EVERY: Duration = Duration::from_millis(40);
/// How many names are invented below each search domain.
const SEARCHED: usize = 3;
/// How often each name on the way to another is asked for.
const CANDIDATE_TRIES: usize = 2;
/// How many letters an invented name has: nobody has it.
const INVENTED_LETTERS: usize = 20;
/// How often an answer is asked for that leaves in fragments: silence is then told from two lost packets.
const LARGE_TRIES: usize = 4;
/// EDNS sizes: what fits any path, and what leaves in fragments.
const EDNS_SIZES: [u16; 2] = [1232, 4096];

/// How many pairs of each mode one round asks, and how long after the one before each leaves.
const PAIRS_A_ROUND: u32 = 25;
const PAIR_EVERY: Duration = Duration::from_millis(8);
/// How many times as many pairs may be asked where some are lost.
const MORE_PAIRS: u32 = 3;
const MODES: [PairMode; 4] = [PairMode::OneSocket, PairMode::TwoSockets, PairMode::Serial, PairMode::SameId];

/// The longest that one answer is waited for.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// The shortest that the answers to a pair or a burst are waited for: a lost packet is then told from a late one.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// What to ask, and how much.
#[derive(Clone, Debug)]
pub struct Probe {
    /// For what, and whom.
    pub targets: Targets,
    /// The search list and the options.
    pub resolv_conf: ResolvConf,
    /// nsswitch.conf.
    pub nsswitch: PathBuf,
    /// The hosts file.
    pub hosts: PathBuf,
    /// How long all may take.
    pub timeout: Duration,
    /// How many queries may be sent in all.
    pub queries_max: u32,
    /// How many pairs are asked of each mode, where none is lost.
    pub pairs: u32,
    /// How many questions leave at once.
    pub burst: u32,
    /// Whether a query is sent to TEST-NET-1.
    pub interception: bool,
    /// Who looks names up by `getaddrinfo`.
    pub lookup_programs: Vec<LookupProgram>,
    /// Programs of which the resolver is told.
    pub subjects: Vec<Subject>,
    /// Servers behind the nameservers that are asked too.
    pub upstreams: Vec<SocketAddr>,
    /// Servers behind the nameservers that are known.
    pub known_upstreams: Vec<Upstream>,
    /// The node's own nameservers.
    pub node_nameservers: Option<Vec<String>>,
}

/// How far a probe has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What it does.
    pub doing: &'static str,
    /// How many queries it has sent.
    pub sent: u32,
    /// How many of the single ones were answered, of those that are over.
    pub answered: (usize, usize),
}

/// Reads a resolv.conf.
///
/// # Errors
/// It cannot be read.
pub fn resolv_conf(path: &Path) -> std::io::Result<ResolvConf> {
    files::resolv_conf(path)
}

/// A probe that runs.
struct Run<'p> {
    probe: &'p Probe,
    asker: Asker,
    asked: RefCell<Vec<Asked>>,
    doing: RefCell<&'static str>,
    on_progress: &'p dyn Fn(Progress),
}

/// The server of which more is asked.
struct Chosen {
    server: SocketAddr,
    /// Pairs and bursts go by UDP.
    by_udp: bool,
}

// === impl Probe ===

impl Probe {
    /// Asks; returns when all is seen, or the time is over: what was seen, and how many queries that took.
    pub async fn run(&self, on_progress: &dyn Fn(Progress)) -> (Observations, u32) {
        let asker = Asker::new(self.queries_max, Instant::now() + self.timeout);
        let run = Run { probe: self, asker, asked: RefCell::default(), doing: RefCell::new("asking"), on_progress };
        let before = files::conntrack();
        let (pairs, lookups, _, _) = join4(run.main(), run.lookups(), run.interception(), run.upstreams()).await;
        let conntrack = before.zip(files::conntrack()).map(|(before, after)| after.since(before));
        let mut programs: Vec<_> = self.subjects.iter().map(|subject| subject.identify(false)).collect();
        programs.extend(self.lookup_programs.iter().map(|program| Subject::File(program.path.clone()).identify(true)));
        let names: Vec<String> = self.targets.names.iter().chain(&self.targets.external_names).cloned().collect();
        let unix_time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let sent = run.asker.sent();
        let seen = Observations {
            targets: self.targets.clone(),
            asked: run.asked.into_inner(),
            pairs,
            lookups,
            surroundings: Surroundings {
                resolv_conf: self.resolv_conf.clone(),
                nsswitch: files::nsswitch(&self.nsswitch),
                in_hosts_file: files::in_hosts(&self.hosts, &names),
                programs,
                kernel: files::kernel(),
                conntrack,
                upstreams: self.known_upstreams.clone(),
                node_nameservers: self.node_nameservers.clone(),
                unix_time,
            },
        };
        (seen, sent)
    }
}

// === impl Run ===

impl Run<'_> {
    /// Servers first, then pairs, then the burst: what could disturb the others comes last.
    async fn main(&self) -> Vec<Pair> {
        let chosen = self.first_to_answer().await;
        let is_chosen = |server| chosen.as_ref().is_some_and(|chosen| chosen.server == server);
        join_all(self.probe.targets.servers.iter().map(|server| self.of_server(*server, is_chosen(*server)))).await;
        let Some(Chosen { server, by_udp: true }) = chosen else { return Vec::new() };
        let pairs = self.pairs(server).await;
        self.burst(server).await;
        pairs
    }

    /// The first server to answer by UDP, so that what is asked of one alone is asked of one that lives; where none does, one that
    /// answers by TCP. One packet may be lost on the way: UDP is tried some times.
    async fn first_to_answer(&self) -> Option<Chosen> {
        let targets = &self.probe.targets;
        let name = targets.names.first().or(targets.external_names.first())?;
        let purpose = if targets.names.is_empty() { Purpose::External } else { Purpose::Name };
        let question = &Question::new(name, Kind::A);
        // All wait until the same moment, the last one half as long as the first.
        let by_udp = (0..FIRST_TRIES).map(|index| (spread(index, 2 * FIRST_TRIES, self.longest_wait()), Via::Udp));
        let tries: Vec<_> = by_udp.chain([(Duration::ZERO, Via::Tcp)]).collect();
        let of_all =
            targets.servers.iter().flat_map(|server| tries.iter().map(move |(pause, via)| (*server, *pause, *via)));
        let mut tried: FuturesUnordered<_> = of_all
            .map(|(server, pause, via)| async move {
                sleep(pause).await;
                let wait = self.longest_wait().saturating_sub(pause);
                (server, via, self.ask_within(purpose, server, via, question, wait).await)
            })
            .collect();
        let mut by_tcp = None;
        while let Some((server, via, is_answered)) = tried.next().await {
            match via {
                Via::Udp if is_answered => return Some(Chosen { server, by_udp: true }),
                Via::Tcp if is_answered => by_tcp = Some(Chosen { server, by_udp: false }),
                Via::Udp | Via::Tcp => {}
            }
        }
        by_tcp
    }

    /// All single questions to one server.
    async fn of_server(&self, server: SocketAddr, is_chosen: bool) {
        let targets = &self.probe.targets;
        let mut asked = Vec::new();
        let names = targets.names.iter().map(|name| (Purpose::Name, name));
        let named: Vec<_> = names.chain(targets.external_names.iter().map(|name| (Purpose::External, name))).collect();
        for round in 0..ROUNDS {
            for (index, (purpose, name)) in named.iter().enumerate() {
                for (half, kind) in [Kind::A, Kind::Aaaa].into_iter().enumerate() {
                    let after = after(round, ROUND_EVERY) + spread(2 * index + half, 2 * named.len(), ROUND_EVERY);
                    asked.push(self.later(after, *purpose, server, Via::Udp, Question::new(name, kind)));
                }
            }
        }
        for (purpose, name) in &named {
            for index in 0..2 {
                let (question, pause) = (Question::new(name, Kind::A), after(index, 2 * ROUND_EVERY));
                asked.push(self.later(pause, *purpose, server, Via::Tcp, question.clone()));
                asked.push(self.later(
                    pause + ROUND_EVERY,
                    *purpose,
                    server,
                    Via::Udp,
                    question.with_edns(EDNS_SIZES[0]),
                ));
            }
        }
        let large = match &targets.large_name {
            Some(name) => Question::new(name, Kind::A),
            None => Question::new("", Kind::Dnskey).with_edns(EDNS_SIZES[0]).with_signatures(),
        };
        for index in 0..LARGE_TRIES {
            for size in EDNS_SIZES {
                asked.push(self.later(
                    after(index, ROUND_EVERY) + ROUND_EVERY,
                    Purpose::Large,
                    server,
                    Via::Udp,
                    large.clone().with_edns(size),
                ));
            }
        }
        for index in 0..2 {
            let pause = after(index, 2 * ROUND_EVERY);
            let plain = Question { edns: None, signatures: false, ..large.clone() };
            asked.push(self.later(pause, Purpose::Large, server, Via::Udp, plain));
            let signed = Question::new("", Kind::Dnskey).with_edns(EDNS_SIZES[0]).with_signatures();
            asked.push(self.later(pause, Purpose::Signed, server, Via::Udp, signed.clone()));
            asked.push(self.later(pause, Purpose::Unchecked, server, Via::Udp, signed.without_checks()));
        }
        asked.push(self.later(Duration::ZERO, Purpose::Large, server, Via::Tcp, large));
        for index in 0..if targets.invented_below.is_empty() { 0 } else { INVENTED } {
            let below = &targets.invented_below[index % targets.invented_below.len()];
            let question = Question::new(&format!("{}.{below}", invented()), Kind::A);
            asked.push(self.later(after(index, INVENTED_EVERY), Purpose::Invented, server, Via::Udp, question));
        }
        let of_search_list = async {
            if is_chosen {
                self.of_search_list(server).await;
            }
        };
        futures::join!(join_all(asked), of_search_list);
    }

    /// What a search list leads to.
    async fn of_search_list(&self, server: SocketAddr) {
        let (targets, search) = (&self.probe.targets, &self.probe.resolv_conf.search);
        let mut asked = Vec::new();
        for (index, domain) in search.iter().filter(|domain| *domain != ".").enumerate() {
            for _ in 0..SEARCHED {
                let name = format!("{}.{}", invented(), domain.trim_end_matches('.'));
                for kind in [Kind::A, Kind::Aaaa] {
                    let pause = after(index, INVENTED_EVERY);
                    asked.push(self.later(pause, Purpose::Searched, server, Via::Udp, Question::new(&name, kind)));
                }
            }
        }
        let ways = ways_to_write(&targets.names, &targets.external_names, &targets.cluster_domain);
        for (index, name) in names_on_the_way(&ways, search).iter().enumerate() {
            for (kind, time) in
                [Kind::A, Kind::Aaaa].into_iter().flat_map(|kind| (0..CANDIDATE_TRIES).map(move |time| (kind, time)))
            {
                let pause = after(index, INVENTED_EVERY) + after(time, ROUND_EVERY);
                asked.push(self.later(pause, Purpose::Candidate, server, Via::Udp, Question::new(name, kind)));
            }
        }
        join_all(asked).await;
    }

    /// Rounds of pairs, all modes in turn; more of them while some are lost.
    async fn pairs(&self, server: SocketAddr) -> Vec<Pair> {
        let Some(name) = self.probe.targets.names.first().or(self.probe.targets.external_names.first()) else {
            return Vec::new();
        };
        *self.doing.borrow_mut() = "asking pairs";
        let questions = (Question::new(name, Kind::A), Question::new(name, Kind::Aaaa));
        let wait = self.lost_after(server);
        let mut pairs: Vec<Pair> = Vec::new();
        let mut left = self.probe.pairs;
        let mut more = self.probe.pairs * (MORE_PAIRS - 1);
        while left > 0 {
            let now = left.min(PAIRS_A_ROUND);
            left -= now;
            let round = (0..now).flat_map(|index| MODES.map(|mode| (index, mode))).zip(0_u32..);
            let asked = round.map(|((_, mode), position)| {
                let (a, aaaa) = &questions;
                async move {
                    sleep(PAIR_EVERY * position).await;
                    self.asker.ask_pair(server, mode, (a, aaaa), wait).await
                }
            });
            pairs.extend(join_all(asked).await.into_iter().flatten());
            self.report();
            if left == 0 && more > 0 && pairs.iter().any(|pair| !pair.is_whole()) {
                let needed = PAIR_EVERY * PAIRS_A_ROUND * 4 + 2 * wait;
                if Instant::now() + needed < self.asker.deadline() {
                    left = more.min(PAIRS_A_ROUND);
                    more -= left;
                }
            }
        }
        pairs
    }

    /// Many questions at once.
    async fn burst(&self, server: SocketAddr) {
        let Some(name) = self.probe.targets.names.first().or(self.probe.targets.external_names.first()) else { return };
        *self.doing.borrow_mut() = "asking many at once";
        let question = Question::new(name, Kind::A);
        let wait = self.lost_after(server);
        let asked = (0..self.probe.burst).map(|_| self.ask_within(Purpose::Burst, server, Via::Udp, &question, wait));
        join_all(asked).await;
    }

    /// When an answer of this server counts as lost.
    fn lost_after(&self, server: SocketAddr) -> Duration {
        let asked = self.asked.borrow();
        let times = asked.iter().filter(|asked| asked.server == server && asked.is_answered()).map(|asked| asked.took);
        median(times).map_or(LOST_AFTER, |middle| (3 * middle).clamp(LOST_AFTER, WAIT_MAX))
    }

    /// Names as programs write them, through C libraries.
    async fn lookups(&self) -> Vec<SystemLookup> {
        let targets = &self.probe.targets;
        let ways = ways_to_write(&targets.names, &targets.external_names, &targets.cluster_domain);
        // Some time is left to end those that hang.
        let deadline = self.asker.deadline() - self.probe.timeout / 20;
        let programs = self.probe.lookup_programs.iter();
        let asked = programs.flat_map(|program| ways.iter().map(move |name| program.look_up(name, deadline)));
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// One query to where nobody can be.
    async fn interception(&self) {
        let name = self.probe.targets.external_names.first().filter(|_| self.probe.interception);
        let Some(name) = name else { return };
        let nobody = SocketAddr::new(NOBODY.into(), 53);
        self.ask_within(Purpose::Interception, nobody, Via::Udp, &Question::new(name, Kind::A), LOST_AFTER * 2).await;
    }

    /// What the servers behind the nameservers answer, if they may be asked.
    async fn upstreams(&self) {
        let names = self.probe.targets.external_names.iter();
        let questions: Vec<Question> = names.map(|name| Question::new(name, Kind::A)).collect();
        let asked = self.probe.upstreams.iter().flat_map(|server| {
            let rounds = questions.iter().flat_map(|question| (0..ROUNDS).map(move |round| (question, round)));
            rounds.map(move |(question, round)| {
                self.later(after(round, ROUND_EVERY), Purpose::Upstream, *server, Via::Udp, question.clone())
            })
        });
        join_all(asked).await;
    }

    /// Asks after a pause.
    async fn later(&self, pause: Duration, purpose: Purpose, server: SocketAddr, via: Via, question: Question) {
        sleep_until(Instant::now() + pause).await;
        self.ask(purpose, server, via, &question).await;
    }

    async fn ask(&self, purpose: Purpose, server: SocketAddr, via: Via, question: &Question) -> bool {
        self.ask_within(purpose, server, via, question, self.longest_wait()).await
    }

    /// The longest that one answer is waited for.
    fn longest_wait(&self) -> Duration {
        WAIT_MAX.min(self.probe.timeout * 3 / 10)
    }

    /// Asks, and writes down what came; whether that is an answer.
    async fn ask_within(
        &self,
        purpose: Purpose,
        server: SocketAddr,
        via: Via,
        question: &Question,
        wait: Duration,
    ) -> bool {
        let (took, outcome) = self.asker.ask(server, via, question, wait).await;
        let is_answered = matches!(outcome, Outcome::Answer(_));
        let Question { name, kind, edns, signatures: _, unchecked: _ } = question;
        let asked = Asked { purpose, server, via, name: name.clone(), kind: *kind, edns: *edns, took, outcome };
        self.asked.borrow_mut().push(asked);
        self.report();
        is_answered
    }

    fn report(&self) {
        let asked = self.asked.borrow();
        let answered = asked.iter().filter(|asked| asked.is_answered()).count();
        let doing = *self.doing.borrow();
        (self.on_progress)(Progress { doing, sent: self.asker.sent(), answered: (answered, asked.len()) });
    }
}

/// So many times this pause.
fn after(times: usize, every: Duration) -> Duration {
    every * u32::try_from(times).unwrap_or(u32::MAX)
}

/// The place of one of `of` within a time.
fn spread(index: usize, of: usize, within: Duration) -> Duration {
    within * u32::try_from(index).unwrap_or(0) / u32::try_from(of.max(1)).unwrap_or(1)
}

/// A label that nobody has.
fn invented() -> String {
    (0..INVENTED_LETTERS).map(|_| char::from(b'a' + u8::try_from(random::<u32>() % 26).unwrap_or(0))).collect()
}
