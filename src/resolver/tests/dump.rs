//! The answers of the model as data: a change in any of them shows in the snapshot. Releases and questions with equal
//! answers share a row.

use std::fmt::Write as _;

use super::super::{
    Answer, Family, Resolver, Settings, Version, changes, known_options, lookup, option_facts, query_names,
    search_domains_read,
};

/// Lines with one reading or another at the edges of a parser.
const LINES: [&str; 26] = [
    "",
    "ndots:5",
    "ndots:0",
    "ndots:99 timeout:99 attempts:99",
    "timeout:0",
    "timeout:1",
    "attempts:0",
    "attempts:1",
    "attempts:3",
    "timeout:3 attempts:6",
    "attempts:-1 timeout:1.5 ndots:x",
    "ndots: 3",
    "xattempts:4 ndots:2 ndots:1",
    "timeout:257 attempts:99999999999999999999",
    "single-request",
    "single-request attempts:1",
    "single-request-reopen",
    "single-request-reopen:true",
    "single-request single-request-reopen -single-request-reopen",
    "use-vc timeout:2",
    "usevc",
    "tcp rotate",
    "use-vc rotate -use-vc",
    "retrans:400",
    "retry:5 rotate",
    "no-aaaa edns0 trust-ad",
];

const NAMES: [&str; 7] = ["db", "db.shop", "db.shop.svc.cluster.local", "www.example.com", "x.", "x..", ""];

const SEARCHES: [&[&str]; 5] = [
    &[],
    &["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"],
    &[".", "a.test"],
    &["a", "b", "c", "d", "e", "f", "g."],
    &[
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.test",
        "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.test",
    ],
];

const ANSWERS: [Answer; 6] =
    [Answer::Address, Answer::NxDomain, Answer::NoData, Answer::ServFail, Answer::Timeout, Answer::Refused];

/// The family in an unknown release, and on both sides of each release in which something changed.
fn releases(family: Family) -> Vec<Resolver> {
    let rows = option_facts().filter(|fact| fact.family == family).flat_map(|fact| [fact.since, fact.until]).flatten();
    let mut releases: Vec<Version> = rows.chain(changes(family).map(|change| change.since)).collect();
    // Parsers changed at these too.
    releases
        .extend([(2, 41, 0), (1, 20, 0), (1, 28, 0), (1, 32, 0), (1, 33, 1)].map(|(a, b, c)| Version::new(a, b, c)));
    let before = |release: Version| match release {
        Version { patch: 1.., .. } => Version { patch: release.patch - 1, ..release },
        _ => Version { minor: release.minor.saturating_sub(1), patch: 99, ..release },
    };
    let mut releases: Vec<_> = releases.into_iter().flat_map(|release| [before(release), release]).collect();
    releases.sort_unstable();
    releases.dedup();
    [family.unversioned()].into_iter().chain(releases.into_iter().map(|release| family.at(release))).collect()
}

/// Rows of one family: an answer, and the questions and releases that have it.
#[derive(Default)]
struct Rows(Vec<(String, Vec<String>)>);

impl Rows {
    /// Adds a row for each run of releases in which the answer to `question` is the same.
    fn add(&mut self, question: &str, family: Family, answer: impl Fn(Resolver) -> String) {
        let mut runs: Vec<(Resolver, Resolver, String)> = Vec::new();
        for resolver in releases(family) {
            let answer = answer(resolver);
            match runs.last_mut() {
                Some((_, last, same)) if *same == answer => *last = resolver,
                _ => runs.push((resolver, resolver, answer)),
            }
        }
        let all = runs.len() == 1;
        for (first, last, answer) in runs {
            let name = |resolver: Resolver| resolver.version.map_or("?".to_owned(), |version| version.to_string());
            let asked = if all { question.to_owned() } else { format!("{question} ({}..{})", name(first), name(last)) };
            match self.0.iter_mut().find(|(same, _)| *same == answer) {
                Some((_, questions)) => questions.push(asked),
                None => self.0.push((answer, vec![asked])),
            }
        }
    }

    fn write(self, dump: &mut String, title: &str) {
        let _ = writeln!(dump, "\n{title}");
        for (answer, questions) in self.0 {
            let _ = writeln!(dump, "{}\n    {answer}", questions.join(", "));
        }
    }
}

fn settings_row(resolver: Resolver, options: &[&str]) -> String {
    let Some(read) = Settings::read_options(resolver, options) else { return "none".to_owned() };
    let Settings { ndots, timeout, attempts, pairing, transport, rotate, .. } = read;
    let fate = read.viability();
    let environment = read.after_environment("attempts:4 single-request -single-request-reopen timeout:2");
    format!(
        "ndots {ndots} timeout {timeout:?} attempts {attempts} {pairing:?} {transport:?} rotate {rotate} {fate:?}; resend {:?} \
         slowest {:?} gives up {:?} dead {:?} loss {:?} race {:?}; RES_OPTIONS {} {:?} {:?}",
        read.resend_after(),
        read.slowest_answer(),
        [(0, 1), (1, 4), (2, 4), (5, 2), (3, 0)].map(|(servers, names)| read.gives_up_after(servers, names)),
        [(1, 2, 4), (2, 3, 4), (9, 5, 1)]
            .map(|(dead, servers, names)| read.dead_nameserver_delay(dead, servers, names)),
        read.one_loss_delay(),
        [0, 1, 4].map(|names| read.conntrack_race_delay(names)),
        environment.attempts,
        environment.pairing,
        environment.timeout,
    )
}

/// The names of a lookup; the queries and the name found if all names, or the first alone, get each of the answers.
fn lookup_row(resolver: Resolver, name: &str, ndots: u32, search: &[&str]) -> String {
    let names = query_names(resolver, name, ndots, search);
    let ends = ANSWERS.map(|answer| {
        let all = lookup(resolver, name, ndots, search, |_| answer);
        let first = lookup(resolver, name, ndots, search, |asked| {
            if names.first().is_some_and(|first| first == asked) { answer } else { Answer::Address }
        });
        let queries = |lookup: &Option<super::super::Lookup>| lookup.as_ref().map(|lookup| lookup.queries);
        let found = first.as_ref().and_then(|lookup| lookup.found.clone());
        let place = found.and_then(|found| names.iter().position(|name| *name == found));
        format!("{:?} {:?} {place:?}", queries(&all), queries(&first))
    });
    format!("{} | read {} | {}", names.join(" "), search_domains_read(resolver, search), ends.join(", "))
}

#[test]
fn the_model_answers_as_recorded() {
    let mut dump = String::new();
    for family in Family::KNOWN.into_iter().chain([Family::Static, Family::Unknown]) {
        let (mut supports, mut readings, mut lookups) = (Rows::default(), Rows::default(), Rows::default());
        for option in known_options().chain(["no-such-option", "*"]) {
            let text =
                |resolver: Resolver| format!("{:?} {}", resolver.support(option), resolver.facts(option).count());
            supports.add(option, family, text);
        }
        for line in LINES {
            let options: Vec<&str> = line.split_ascii_whitespace().collect();
            readings.add(&format!("`{line}`"), family, |resolver| settings_row(resolver, &options));
        }
        for (index, search) in SEARCHES.into_iter().enumerate() {
            for name in NAMES {
                for ndots in [1, 5] {
                    let title = format!("`{name}` list {index} ndots {ndots}");
                    lookups.add(&title, family, |resolver| lookup_row(resolver, name, ndots, search));
                }
            }
        }
        for (rows, title) in [(supports, "options"), (readings, "settings"), (lookups, "lookups")] {
            rows.write(&mut dump, &format!("{}: {title}", family.name()));
        }
    }
    insta::assert_snapshot!(dump);
}
