//! What can go wrong in the model, with the names and titles of the laboratory's proof (`tests/lab/proof/fault.rs`).

use std::rc::Rc;
use std::time::Duration;

use crate::network::{Code, Loss, Network, Server};
use crate::servers::{Answer, Dead, Fails, Plain, Zone};

/// The name that is looked up; four names are asked for on the way.
pub(crate) const NAME: &str = "n0.example.com";

/// A Kubernetes pod's search list.
pub(crate) const SEARCH: [&str; 3] = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];

/// The search list of a pod on a node whose resolv.conf has a domain of its own.
pub(crate) const NODE_SEARCH: [&str; 4] = [SEARCH[0], SEARCH[1], SEARCH[2], "corp.example.net"];

/// The number of addresses that a wildcard gives. The name itself has another.
pub(crate) const WILDCARD: usize = 9;

/// The time a healthy server takes to answer.
const LATENCY: Duration = Duration::from_millis(4);

/// One thing that is wrong with DNS.
#[derive(Clone)]
pub(crate) struct Fault {
    pub(crate) title: String,
    servers: Vec<At>,
    zone: Zone,
    latency: Duration,
    loss: Loss,
    /// The number of lookups: many where chance decides.
    pub(crate) lookups: u64,
}

/// One nameserver.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Alive,
    Dead,
    /// Answers every query with this code.
    Fails(Code),
}

// === impl Fault ===

impl Fault {
    fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            servers: vec![At::Alive],
            zone: Zone::healthy(NAME),
            latency: LATENCY,
            loss: Loss::None,
            lookups: 1,
        }
    }

    fn with_servers(self, servers: &[At]) -> Self {
        Self { servers: servers.to_vec(), ..self }
    }

    fn slow(self, seconds: f64) -> Self {
        Self { latency: Duration::from_secs_f64(seconds), ..self }
    }

    fn answers(mut self, a: Answer, aaaa: Answer) -> Self {
        (self.zone.a, self.zone.aaaa) = (a, aaaa);
        self
    }

    fn odd(mut self, domain: &str, answer: Answer) -> Self {
        self.zone.odd = Some((domain.into(), answer));
        self
    }

    fn loss(self, loss: Loss, lookups: u64) -> Self {
        Self { loss, lookups, ..self }
    }

    /// Returns the number of nameservers.
    pub(crate) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The network that the `lookup`-th lookup meets. The same number meets the same losses.
    pub(crate) fn network(&self, lookup: u64) -> Network {
        let server = |at: &At| -> Rc<dyn Server> {
            match at {
                At::Alive => Rc::new(Plain { zone: self.zone.clone(), latency: self.latency }),
                At::Dead => Rc::new(Dead),
                At::Fails(code) => Rc::new(Fails { code: *code, latency: self.latency }),
            }
        };
        let loss = match self.loss {
            Loss::Share(share, seed) => Loss::Share(share, seed + lookup),
            other => other,
        };
        Network::new(self.servers.iter().map(server).collect(), loss, NAME)
    }
}

/// Every fault of the claim.
pub(crate) fn all() -> Vec<Fault> {
    use At::{Alive, Dead, Fails};
    let both = Answer::Addresses(1);
    let no_data = Answer::Is(Code::NoError);
    let mut faults = vec![Fault::new("none")];
    for nth in 1..=4 {
        faults.push(Fault::new(format!("query {nth} for the name lost")).loss(Loss::Nth(nth), 1));
    }
    faults.push(Fault::new("query 1 lost, of a name with IPv4 alone").answers(both, no_data).loss(Loss::Nth(1), 1));
    faults.push(Fault::new("query 2 lost, of a name with IPv6 alone").answers(no_data, both).loss(Loss::Nth(2), 1));
    faults.push(Fault::new("conntrack race").loss(Loss::Raced, 1));
    faults.push(Fault::new("nothing answers").with_servers(&[Dead]));
    for (title, servers) in [
        ("first of two servers dead", &[Dead, Alive][..]),
        ("second of two servers dead", &[Alive, Dead]),
        ("two of three servers dead", &[Dead, Dead, Alive]),
        ("first of two servers fails", &[Fails(Code::ServFail), Alive]),
        ("first of two servers refuses", &[Fails(Code::Refused), Alive]),
        ("two of three servers fail", &[Fails(Code::ServFail), Fails(Code::ServFail), Alive]),
        ("the server fails", &[Fails(Code::ServFail)]),
        ("the server refuses", &[Fails(Code::Refused)]),
    ] {
        faults.push(Fault::new(title).with_servers(servers));
    }
    for seconds in [0.5, 1.5, 2.5, 4.0, 4.8, 6.0] {
        faults.push(Fault::new(format!("answers take {seconds} s")).slow(seconds));
    }
    faults.push(Fault::new("answers take 2.5 s, of a name with IPv6 alone").answers(no_data, both).slow(2.5));
    for (title, aaaa) in [
        ("AAAA: NODATA", no_data),
        ("AAAA: NXDOMAIN", Answer::Is(Code::NxDomain)),
        ("AAAA: SERVFAIL", Answer::Is(Code::ServFail)),
        ("AAAA: REFUSED", Answer::Is(Code::Refused)),
        ("AAAA: never answered", Answer::Silence),
    ] {
        faults.push(Fault::new(title).answers(both, aaaa));
    }
    faults.push(Fault::new("UDP answers cut to nothing").answers(Answer::Truncated(40), Answer::Truncated(40)));
    for (title, code) in [("NODATA", Code::NoError), ("SERVFAIL", Code::ServFail), ("REFUSED", Code::Refused)] {
        faults.push(
            Fault::new(format!("a search domain says {title}")).odd("n0.example.com.cluster.local", Answer::Is(code)),
        );
    }
    for links in [1, 2, 6] {
        let chain = Answer::Chain(links);
        faults.push(Fault::new(format!("an alias, {links} links, one in each answer")).answers(chain, chain));
    }
    // Last, as they take many lookups each.
    for (share, lookups) in [(0.01, 60), (0.05, 60), (0.2, 200)] {
        faults.push(Fault::new(format!("{:.0} % of packets lost", share * 100.0)).loss(Loss::Share(share, 7), lookups));
    }
    faults
}

/// The faults of the node's search domain.
pub(crate) fn of_the_node_s_domain() -> Vec<Fault> {
    [
        ("NODATA", Answer::Is(Code::NoError)),
        ("SERVFAIL", Answer::Is(Code::ServFail)),
        ("REFUSED", Answer::Is(Code::Refused)),
        ("nothing", Answer::Silence),
        ("an address for every name", Answer::Addresses(WILDCARD)),
    ]
    .into_iter()
    .map(|(title, answer)| {
        Fault::new(format!("the node's domain answers {title}")).odd("n0.example.com.corp.example.net", answer)
    })
    .collect()
}
