//! The stub resolvers that a container can hold, each as its source has it. Knows no fault and no claim.

mod c_ares;
mod dnspython;
mod glibc;
mod go;
mod musl;
mod netty;
mod uclibc;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use muslin::resolver::{Answer, Family, Resolver, Settings, Version, lookup};

use crate::network::{Code, Network, Query, Reply, Type};

/// A pod's resolv.conf, and the name that a program looks up.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) name: Rc<str>,
    pub(crate) search: Vec<String>,
    /// The options line, Kubernetes' own included.
    pub(crate) options: Vec<String>,
}

/// The number of addresses that a lookup found, by family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) v4: usize,
    pub(crate) v6: usize,
}

/// A program that looks names up.
pub(crate) struct Stub {
    pub(crate) name: &'static str,
    /// The family and release whose settings it reads, where muslin knows the family.
    pub(crate) resolver: Option<Resolver>,
    pub(crate) look_up: for<'n> fn(&'n Network, &'n Question, Option<Resolver>) -> LocalBoxFuture<'n, Found>,
    /// The time after which the program itself gives up.
    pub(crate) deadline: Option<Duration>,
}

/// Every stub of the proof.
pub(crate) fn all() -> Vec<Stub> {
    let at = |family: Family, major, minor, patch| Some(family.at(Version::new(major, minor, patch)));
    let stub = |name, resolver, look_up, deadline: Option<u64>| Stub {
        name,
        resolver,
        look_up,
        deadline: deadline.map(Duration::from_secs),
    };
    vec![
        stub("musl 1.1.24", at(Family::Musl, 1, 1, 24), musl::look_up, None),
        stub("musl 1.2.0", at(Family::Musl, 1, 2, 0), musl::look_up, None),
        stub("musl 1.2.2", at(Family::Musl, 1, 2, 2), musl::look_up, None),
        stub("musl 1.2.3", at(Family::Musl, 1, 2, 3), musl::look_up, None),
        stub("musl 1.2.5", at(Family::Musl, 1, 2, 5), musl::look_up, None),
        stub("musl 1.2.6", at(Family::Musl, 1, 2, 6), musl::look_up, None),
        stub("glibc 2.31", at(Family::Glibc, 2, 31, 0), glibc::look_up_before_fix, None),
        stub("glibc 2.36", at(Family::Glibc, 2, 36, 0), glibc::look_up, None),
        stub("glibc 2.41", at(Family::Glibc, 2, 41, 0), glibc::look_up, None),
        stub("go", at(Family::Go, 1, 26, 8), go::look_up, None),
        stub("go http.Get", at(Family::Go, 1, 26, 8), go::look_up, Some(30)),
        stub("c-ares 1.34", at(Family::CAres, 1, 34, 6), c_ares::look_up, None),
        stub("node dns.resolve4", at(Family::CAres, 1, 34, 6), c_ares::look_up_as_node, None),
        stub("grpc", at(Family::CAres, 1, 34, 6), c_ares::look_up, Some(4)),
        stub("dnspython", None, dnspython::look_up, None),
        stub("eventlet", None, dnspython::look_up_as_eventlet, None),
        stub("netty", None, netty::look_up, None),
        stub("netty IPv4", None, netty::look_up_v4, None),
        stub("uclibc", at(Family::Uclibc, 1, 0, 45), uclibc::look_up, None),
    ]
}

// === impl Found ===

impl Found {
    pub(crate) const fn any(self) -> bool {
        self.v4 + self.v6 > 0
    }

    fn of(replies: [Option<Reply>; 2]) -> Self {
        let [v4, v6] = replies.map(|reply| reply.map_or(0, |reply| reply.addresses));
        Self { v4, v6 }
    }
}

// === impl Question ===

impl Question {
    fn settings(&self, resolver: Resolver) -> Settings {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        Settings::read_options(resolver, &options).unwrap_or_else(|| unreachable!("muslin knows {resolver}"))
    }

    /// Returns the number after `name:`, of the last such option.
    fn number(&self, name: &str) -> Option<u64> {
        let mut numbers =
            self.options.iter().filter_map(|option| option.strip_prefix(name)?.strip_prefix(':')?.parse().ok());
        numbers.next_back()
    }
}

fn query(name: &str, kind: Type, server: usize) -> Query {
    Query { name: name.into(), kind, server, is_tcp: false }
}

/// The types of a pair, in the order in which musl and glibc send them.
const PAIR: [Type; 2] = [Type::A, Type::Aaaa];

/// Asks for one name after another, by the search list as `resolver` reads it, until the model in `muslin::resolver` says that the
/// lookup is done. `ask` returns what one name gave.
async fn search<'q, F>(
    question: &'q Question,
    resolver: Resolver,
    settings: &Settings,
    mut ask: impl FnMut(String) -> F,
) -> Found
where
    F: Future<Output = (Answer, Found)> + 'q,
{
    let search: Vec<&str> = question.search.iter().map(String::as_str).collect();
    let mut known: HashMap<String, (Answer, Found)> = HashMap::new();
    loop {
        let unknown = RefCell::new(None);
        let done = lookup(resolver, &question.name, settings.ndots, &search, |name| match known.get(name) {
            Some((answer, _)) => *answer,
            None => {
                unknown.replace(Some(name.to_owned()));
                Answer::Address
            }
        });
        let Some(name) = unknown.into_inner() else {
            let found = done.and_then(|lookup| lookup.found);
            return found.and_then(|name| known.get(&name)).map_or(Found::default(), |(_, found)| *found);
        };
        let result = ask(name.clone()).await;
        known.insert(name, result);
    }
}

/// Returns the meaning for the search of the replies to one name, A and AAAA taken together.
fn answer_of(replies: [Option<Reply>; 2]) -> Answer {
    let codes = replies.map(|reply| reply.map(|reply| reply.code));
    if Found::of(replies).any() {
        Answer::Address
    } else if codes.contains(&Some(Code::NxDomain)) {
        Answer::NxDomain
    } else if codes.contains(&Some(Code::NoError)) {
        Answer::NoData
    } else if codes.contains(&Some(Code::ServFail)) {
        Answer::ServFail
    } else {
        Answer::Timeout
    }
}
