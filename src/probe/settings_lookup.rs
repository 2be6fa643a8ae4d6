//! Looks names up as a resolver with certain settings does: the names that it queries, in its order, as often and for as long as it
//! waits. Compares new settings with present ones by that. Must not know where settings come from, or what follows from the result.
//!
//! The queries for A and AAAA leave as the settings say (together, one after the other, by TCP). With `rotate`, each nameserver is tried as the
//! first one. If one query of a pair is lost, both are sent again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until};

use super::asker::Asker;
use super::dns_question::DnsQuestion;
use crate::resolver::{Answer, Family, QueryPairing, Resolver, Settings, Transport, Viability, lookup};
use crate::verdicts::observations::{Code, Half, PairMode, QueryOutcome, QueryType, Via};

/// Limit of the queries of one comparison: enough for ten pairs of settings, as a healthy lookup of four names takes some 30.
pub const COMPARISON_QUERIES_MAX: u32 = 300;

/// Time limit of one comparison.
const COMPARISON_MAX: Duration = Duration::from_secs(120);

/// Time limit of a lookup that no option bounds (glibc with `use-vc`), and of the query that shows whether a name has an address.
const LOOKUP_MAX: Duration = Duration::from_secs(30);
const ADDRESS_WAIT: Duration = Duration::from_secs(5);

/// Number of lookups with the new settings that must fail, with one of the present settings between each two that succeeds. So losses do not
/// make settings worse: where 10 % of packets are lost, two attempts fail in one of ten lookups, and this in one of a thousand.
const FAILURES: usize = 3;

/// The pause before a lookup that failed is tried once more.
const PAUSE: Duration = Duration::from_millis(200);

/// A pod's resolv.conf, as one resolver reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSettings {
    /// The options, and the resolver that reads them.
    pub options: Settings,
    /// The nameservers.
    pub nameservers: Vec<SocketAddr>,
    /// The search list.
    pub search: Vec<String>,
}

/// The present settings of a resolver, and the new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsPair {
    /// The settings of most pods.
    pub present: PodSettings,
    /// The settings to try.
    pub new: PodSettings,
}

/// A lookup that fails with new settings alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorseLookup {
    /// The resolver whose settings these are.
    pub resolver: Resolver,
    /// The name as a program gives it.
    pub name: String,
    /// The reason for the failure.
    pub why: String,
    /// The time that the present settings take to find an address.
    pub present: Duration,
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Number of lookups with the new settings that ended.
    pub lookups: u32,
    /// The first lookup that fails with the new settings alone.
    pub worse: Option<WorseLookup>,
    /// Number of queries.
    pub sent: u32,
}

/// The end of one lookup.
enum Ended {
    Found(Duration),
    Failed(String),
    /// A limit of the comparison was reached.
    Unknown,
}

/// Lookups within one budget.
struct Lookups {
    asker: Asker,
    /// The names that exist, by the nameserver that knows them, and whether they have an address.
    has_address: HashMap<(SocketAddr, String), bool>,
}

/// The codes of the answers to the queries for A and AAAA of one name.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    a: Option<Code>,
    aaaa: Option<Code>,
    has_address: Option<bool>,
}

/// Returns the names to look up: these as they are, the first one also in each short form that the search list completes.
pub fn names_as_given(names: &[String], search: &[String]) -> Vec<String> {
    let first = names.first().into_iter().flat_map(|name| {
        search.iter().filter_map(move |domain| name.strip_suffix(domain.trim_end_matches('.'))?.strip_suffix('.'))
    });
    let mut given: Vec<String> = Vec::new();
    for name in first.chain(names.iter().map(String::as_str)).filter(|name| !name.is_empty()) {
        if !given.iter().any(|known| known == name) {
            given.push(name.to_owned());
        }
    }
    given
}

/// Looks up names with new settings, and those that fail also with the present ones and once more. Ends at the first that is worse.
pub async fn compare(names: &[String], settings: &[SettingsPair]) -> Comparison {
    let asker = Asker::new(COMPARISON_QUERIES_MAX, Instant::now() + COMPARISON_MAX);
    let mut lookups = Lookups { asker, has_address: HashMap::new() };
    let mut comparison = Comparison::default();
    let tries = settings.iter().flat_map(|pair| pair.new.starts().map(move |new| (&pair.present, new)));
    'all: for (present, new) in tries {
        for name in names {
            let ended = lookups.look_up(&new, name).await;
            comparison.lookups += u32::from(!matches!(ended, Ended::Unknown));
            let Ended::Failed(why) = ended else { continue };
            if let Some((why, took)) = lookups.confirmed(present, &new, name, why).await {
                let resolver = new.options.resolver;
                comparison.worse = Some(WorseLookup { resolver, name: name.clone(), why, present: took });
                break 'all;
            }
        }
    }
    Comparison { sent: lookups.asker.sent(), ..comparison }
}

// === impl PodSettings ===

impl PodSettings {
    /// Returns these settings with each nameserver first with which a lookup may begin.
    fn starts(&self) -> impl Iterator<Item = Self> {
        let starts = if self.options.rotate { self.nameservers.len() } else { 1 };
        (0..starts).map(|start| {
            let mut turned = self.clone();
            turned.nameservers.rotate_left(start);
            turned
        })
    }
}

// === impl Lookups ===

impl Lookups {
    /// Returns why a lookup fails with the new settings each time, and the time that it takes with the present ones; `None` if it does not.
    async fn confirmed(
        &mut self,
        present: &PodSettings,
        new: &PodSettings,
        name: &str,
        mut why: String,
    ) -> Option<(String, Duration)> {
        let mut longest = Duration::ZERO;
        for _ in 1..FAILURES {
            let Ended::Found(took) = self.look_up(present, name).await else { return None };
            longest = longest.max(took);
            sleep(PAUSE).await;
            let Ended::Failed(again) = self.look_up(new, name).await else { return None };
            why = again;
        }
        Some((why, longest))
    }

    async fn look_up(&mut self, settings: &PodSettings, name: &str) -> Ended {
        match settings.options.viability() {
            Viability::Works => {}
            Viability::NeverSends => return Ended::Failed("sends no query".to_owned()),
            Viability::NeverWaits => return Ended::Failed("waits for no answer".to_owned()),
            Viability::Crashes => return Ended::Failed("crashes".to_owned()),
        }
        let began = Instant::now();
        let search: Vec<&str> = settings.search.iter().map(String::as_str).collect();
        let Settings { resolver, ndots, .. } = settings.options;
        let mut answers: HashMap<String, Answer> = HashMap::new();
        let mut last = Answer::NxDomain;
        loop {
            // The model of the resolver says which name it queries next, after the answers so far.
            let next = RefCell::new(None);
            let answer = |name: &str| {
                answers.get(name).copied().unwrap_or_else(|| {
                    next.borrow_mut().get_or_insert_with(|| name.to_owned());
                    Answer::Timeout
                })
            };
            let ended = lookup(resolver, name, ndots, &search, answer);
            match (next.into_inner(), ended) {
                (Some(name), _) => {
                    let Some(answer) = self.answer(settings, &name).await else { return Ended::Unknown };
                    last = answer;
                    answers.insert(name, answer);
                }
                (None, Some(ended)) if ended.found.is_some() => return Ended::Found(began.elapsed()),
                (None, Some(_)) => return Ended::Failed(reason(last, began.elapsed())),
                (None, None) => return Ended::Unknown,
            }
        }
    }

    /// Returns the answer to the queries for one name, as a resolver with these settings gets it; `None` beyond the limits.
    async fn answer(&mut self, settings: &PodSettings, name: &str) -> Option<Answer> {
        let answers = self.ask_repeatedly(settings, name).await?;
        let (Some(a), Some(aaaa)) = (answers.a, answers.aaaa) else { return Some(Answer::Timeout) };
        Some(match (a, aaaa) {
            (Code::NxDomain, _) | (_, Code::NxDomain) => Answer::NxDomain,
            (Code::NoError, Code::NoError) => {
                let has_address = match answers.has_address {
                    Some(known) => known,
                    None => self.has_address(&settings.nameservers, name).await?,
                };
                if has_address { Answer::Address } else { Answer::NoData }
            }
            (Code::ServFail, _) | (_, Code::ServFail) => Answer::ServFail,
            _ => Answer::Refused,
        })
    }

    /// Sends the queries for one name as often as the settings say, and returns as soon as both have an answer.
    async fn ask_repeatedly(&self, settings: &PodSettings, name: &str) -> Option<Answers> {
        let PodSettings { options: settings, nameservers, .. } = settings;
        let (sends, end) = schedule(settings, nameservers);
        let began = Instant::now();
        let (end, slowest) = (began + end, settings.slowest_answer());
        let mut waiting = FuturesUnordered::new();
        let (mut all, mut sends) = (Answers::default(), sends.into_iter().peekable());
        loop {
            let due = sends.peek().map_or(end, |(at, _)| (began + *at).min(end));
            tokio::select! {
                Some(answers) = waiting.next() => {
                    all.add(answers?);
                    let is_failed = [all.a, all.aaaa].iter().any(|code| !matches!(code, Some(Code::NoError | Code::NxDomain)));
                    if !is_failed || (sends.peek().is_none() && waiting.is_empty()) {
                        return Some(all);
                    }
                }
                () = sleep_until(due) => match sends.next() {
                    Some((_, server)) if due < end => {
                        waiting.push(self.ask_once(settings, server, name, slowest.min(end - Instant::now())));
                    }
                    _ => return Some(all),
                },
            }
        }
    }

    /// Sends the queries for one name once to one server; `None` beyond the limits.
    async fn ask_once(&self, settings: &Settings, server: SocketAddr, name: &str, wait: Duration) -> Option<Answers> {
        let [a, aaaa] = [QueryType::A, QueryType::Aaaa].map(|kind| DnsQuestion::new(name, kind));
        if settings.transport == Transport::Tcp {
            let ask = |question| self.asker.ask(server, Via::Tcp, question, wait);
            let ((_, a), (_, aaaa)) = tokio::join!(ask(&a), ask(&aaaa));
            if a == QueryOutcome::NotAsked || aaaa == QueryOutcome::NotAsked {
                return None;
            }
            let has_address = [&a, &aaaa].iter().any(|outcome| has_address(outcome));
            return Some(Answers { a: code(&a), aaaa: code(&aaaa), has_address: Some(has_address) });
        }
        let mode = match settings.pairing {
            QueryPairing::OneSocket => PairMode::OneSocket,
            QueryPairing::TwoSockets => PairMode::TwoSockets,
            QueryPairing::OneSocketSerial | QueryPairing::TwoSocketsSerial => PairMode::Serial,
        };
        let pair = self.asker.ask_pair(server, mode, (&a, &aaaa), wait).await?;
        let code = |half| match half {
            Half::Answered(_, code) => Some(code),
            Half::Malformed | Half::Lost | Half::SwappedAnswer => None,
        };
        Some(Answers { a: code(pair.a), aaaa: code(pair.aaaa), has_address: None })
    }

    /// Returns whether a name that exists has an address; `None` beyond the limits.
    async fn has_address(&mut self, nameservers: &[SocketAddr], name: &str) -> Option<bool> {
        let key = (*nameservers.first()?, name.to_owned());
        if let Some(known) = self.has_address.get(&key) {
            return Some(*known);
        }
        let mut found = false;
        for (server, kind) in
            nameservers.iter().flat_map(|server| [(*server, QueryType::A), (*server, QueryType::Aaaa)])
        {
            let question = DnsQuestion::new(name, kind);
            let (_, outcome) = self.asker.ask(server, Via::Udp, &question, ADDRESS_WAIT).await;
            if outcome == QueryOutcome::NotAsked {
                return None;
            }
            found = has_address(&outcome);
            if found {
                break;
            }
        }
        self.has_address.insert(key, found);
        Some(found)
    }
}

/// Returns the time of each send after the first, with its server, and the time at which the resolver gives up.
fn schedule(settings: &Settings, servers: &[SocketAddr]) -> (Vec<(Duration, SocketAddr)>, Duration) {
    let again = settings.resend_after();
    let nameservers = u32::try_from(servers.len()).unwrap_or(u32::MAX);
    let end = settings.gives_up_after(nameservers, 1).unwrap_or(LOOKUP_MAX);
    let attempts = 0..settings.attempts;
    // musl asks all nameservers at once, the others one after the other.
    let sends: Vec<(Duration, SocketAddr)> = if settings.resolver.family == Family::Musl {
        attempts
            .flat_map(|attempt| servers.iter().map(move |server| (again.saturating_mul(attempt), *server)))
            .collect()
    } else {
        let turns = attempts.flat_map(|_| servers.iter()).zip(0_u32..);
        turns.map(|(server, turn)| (again.saturating_mul(turn), *server)).collect()
    };
    (sends, end)
}

fn has_address(outcome: &QueryOutcome) -> bool {
    matches!(outcome, QueryOutcome::Answer(answer) if !answer.addresses.is_empty())
}

fn code(outcome: &QueryOutcome) -> Option<Code> {
    match outcome {
        QueryOutcome::Answer(answer) => Some(answer.code),
        _ => None,
    }
}

/// Returns why a lookup failed, by the last answer.
fn reason(last: Answer, took: Duration) -> String {
    let what = match last {
        Answer::NxDomain => "NXDOMAIN",
        Answer::Address | Answer::NoData => "no address",
        Answer::ServFail => "SERVFAIL",
        Answer::Refused => "REFUSED",
        Answer::Timeout => "no answer in time",
    };
    format!("{what} after {} ms", took.as_millis())
}

// === impl Answers ===

impl Answers {
    /// Takes over the answers of another try. A failure makes room for an answer.
    fn add(&mut self, Self { a, aaaa, has_address }: Self) {
        let better = |known: Option<Code>, new: Option<Code>| match known {
            Some(Code::NoError | Code::NxDomain) => known,
            _ => new.or(known),
        };
        (self.a, self.aaaa) = (better(self.a, a), better(self.aaaa, aaaa));
        self.has_address = has_address.or(self.has_address);
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use hickory_proto::op::{Message, MessageType, ResponseCode};
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{RData, Record};
    use tokio::net::UdpSocket;

    use super::*;

    const FULL: &str = "kubernetes.default.svc.cluster.local.";

    /// Starts a nameserver that knows one name, and answers after this time.
    async fn server(after: Duration) -> SocketAddr {
        start(FULL, after).await
    }

    /// Starts a nameserver for which no name exists.
    async fn knows_nothing() -> SocketAddr {
        start("", Duration::ZERO).await
    }

    async fn start(known: &'static str, after: Duration) -> SocketAddr {
        let socket = std::sync::Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let mut message = Message::from_vec(&buffer[..length]).unwrap();
                let name = message.queries[0].name().clone();
                message.metadata.message_type = MessageType::Response;
                if name.to_ascii() == known {
                    message.answers.push(Record::from_rdata(name, 5, RData::A(A::new(10, 96, 0, 1))));
                } else {
                    message.metadata.response_code = ResponseCode::NXDomain;
                }
                let (socket, answer) = (socket.clone(), message.to_vec().unwrap());
                tokio::spawn(async move {
                    sleep(after).await;
                    let _ = socket.send_to(&answer, from).await;
                });
            }
        });
        address
    }

    fn pod(family: Family, nameservers: &[SocketAddr], options: &[&str]) -> PodSettings {
        let options = Settings::read_options(family.unversioned(), options).unwrap();
        PodSettings { options, nameservers: nameservers.to_vec(), search: search() }
    }

    fn search() -> Vec<String> {
        ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"].map(str::to_owned).to_vec()
    }

    fn names() -> Vec<String> {
        names_as_given(&["kubernetes.default.svc.cluster.local".to_owned()], &search())
    }

    async fn compared(present: PodSettings, new: PodSettings) -> Comparison {
        compare(&names(), &[SettingsPair { present, new }]).await
    }

    async fn compared_options(server: SocketAddr, family: Family, present: &[&str], new: &[&str]) -> Comparison {
        compared(pod(family, &[server], present), pod(family, &[server], new)).await
    }

    #[test]
    fn names_are_looked_up_in_full_and_in_each_form_that_the_search_list_completes() {
        assert_eq!(names(), ["kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]);
        let outside = names_as_given(&["example.com".to_owned(), "example.com".to_owned()], &search());
        assert_eq!(outside, ["example.com"]);
    }

    #[tokio::test]
    async fn an_ndots_that_loses_a_short_name_is_worse_for_the_resolver_that_loses_it() {
        let server = server(Duration::ZERO).await;
        let musl = compared_options(server, Family::Musl, &["ndots:5"], &["ndots:1"]).await;
        let worse = musl.worse.unwrap();
        assert_eq!((worse.name.as_str(), worse.resolver.family), ("kubernetes.default", Family::Musl));
        assert!(worse.why.starts_with("NXDOMAIN"), "{}", worse.why);
        // glibc searches after the name as it is.
        let glibc = compared_options(server, Family::Glibc, &["ndots:5"], &["ndots:1"]).await;
        assert_eq!((glibc.worse, glibc.lookups), (None, 3));
    }

    #[tokio::test]
    async fn settings_that_only_differ_find_the_same_names_within_a_bound_of_queries() {
        let server = server(Duration::ZERO).await;
        for (family, new) in [
            (Family::Musl, "attempts:4"),
            (Family::Glibc, "single-request"),
            (Family::Glibc, "single-request-reopen"),
            (Family::Go, "timeout:3"),
        ] {
            let same = compared_options(server, family, &["ndots:5"], &["ndots:5", new]).await;
            assert_eq!((same.worse, same.lookups), (None, 3), "{family:?} {new}");
            // Two, three and four names to try, each in a pair, and one query that shows the address.
            assert!(same.sent <= 20, "{family:?} {new}: {}", same.sent);
        }
    }

    #[tokio::test]
    async fn a_timeout_that_is_shorter_than_the_nameserver_takes_is_worse() {
        let server = server(Duration::from_millis(1_200)).await;
        let names = ["kubernetes.default.svc.cluster.local.".to_owned()];
        let worse = |family| {
            let present = pod(family, &[server], &["ndots:5"]);
            let new = pod(family, &[server], &["ndots:5", "timeout:1", "attempts:1"]);
            let names = &names;
            async move { compare(names, &[SettingsPair { present, new }]).await.worse }
        };
        for worse in join_all([Family::Musl, Family::Glibc, Family::Go].map(worse)).await {
            let worse = worse.unwrap();
            assert!(worse.why.starts_with("no answer in time after 1"), "{}", worse.why);
            assert!((1_200..3_000).contains(&worse.present.as_millis()), "{:?}", worse.present);
        }
    }

    #[tokio::test]
    async fn a_nameserver_that_is_silent_makes_no_settings_worse() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        tokio::time::pause();
        let server = silent.local_addr().unwrap();
        let comparison = compared_options(server, Family::Musl, &[], &["timeout:1", "attempts:1"]).await;
        assert_eq!(comparison.worse, None);
        assert!(comparison.sent <= COMPARISON_QUERIES_MAX);
    }

    #[tokio::test]
    async fn a_cache_that_does_not_know_the_clusters_names_is_worse() {
        let (present, cache) = (server(Duration::ZERO).await, knows_nothing().await);
        for family in [Family::Musl, Family::Glibc, Family::Go] {
            let cached = compared(pod(family, &[present], &[]), pod(family, &[cache], &[])).await;
            assert!(cached.worse.unwrap().why.starts_with("NXDOMAIN"));
        }
    }

    #[tokio::test]
    async fn a_cache_that_is_missing_on_the_node_is_worse() {
        let present = server(Duration::ZERO).await;
        let missing = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let missing = [missing.local_addr().unwrap()];
        let options = ["timeout:1", "attempts:1"];
        let cached = compared(pod(Family::Musl, &[present], &options), pod(Family::Musl, &missing, &options)).await;
        assert!(cached.worse.unwrap().why.starts_with("no answer in time"));
    }

    #[tokio::test]
    async fn a_search_list_that_loses_a_short_name_is_worse() {
        let server = server(Duration::ZERO).await;
        let present = pod(Family::Musl, &[server], &["ndots:5"]);
        let new = PodSettings { search: vec!["corp.example.net".to_owned()], ..present.clone() };
        let worse = compared(present, new).await.worse.unwrap();
        assert_eq!(worse.name, "kubernetes.default");
    }

    #[tokio::test]
    async fn rotate_is_worse_if_another_nameserver_does_not_know_the_clusters_names() {
        let servers = [server(Duration::ZERO).await, knows_nothing().await];
        for (family, is_worse) in [(Family::Glibc, true), (Family::Go, true), (Family::Musl, false)] {
            let [present, new] = [&[][..], &["rotate"]].map(|options| pod(family, &servers, options));
            assert_eq!(compared(present, new).await.worse.is_some(), is_worse, "{family:?}");
        }
        let alike = [servers[0], server(Duration::ZERO).await];
        let [present, new] = [&[][..], &["rotate"]].map(|options| pod(Family::Glibc, &alike, options));
        assert_eq!(compared(present, new).await.worse, None);
    }
}
