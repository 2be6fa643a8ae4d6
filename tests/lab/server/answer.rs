//! Turns a query and a script into a message and its delay: counts queries for the rules and builds messages. Must not know of
//! sockets.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fnv::FnvHasher;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NULL, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::ReceivedQuery;
use super::script::{
    Capacity, Chance, Collisions, Count, Cut, EdnsManners, Per, Reply, Rule, Says, Script, Then, Transport, When, fits,
    truth,
};

/// The answer size that a client without EDNS accepts by UDP.
const UDP_MAX_BYTES: u16 = 512;

/// The message size that the server itself accepts.
const OWN_UDP_MAX_BYTES: u16 = 1232;

/// The state of a running script.
#[derive(Debug)]
pub(super) struct Answering {
    script: Script,
    /// Number of matching queries, by rule and by what the rule counts.
    counts: HashMap<(usize, Counted), u32>,
    /// Number of queries for each question.
    asked: HashMap<(String, RecordType), u32>,
    /// The first UDP query by socket and id.
    ids: HashMap<(SocketAddr, u16), Vec<u8>>,
    began: Instant,
    /// The time at which a server with a capacity has answered all that waits for it.
    busy_until: Instant,
    pub(super) seen: Vec<ReceivedQuery>,
}

/// The value of [`Per`] for one query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Name(String),
    Socket(SocketAddr),
    Server,
    Second(u64),
}

/// A message to send, and its delay after the query.
pub(super) struct Outgoing {
    pub(super) after: Duration,
    pub(super) bytes: Vec<u8>,
}

// === impl Answering ===

impl Answering {
    pub(super) fn new(script: Script) -> Self {
        Self {
            script,
            counts: HashMap::new(),
            asked: HashMap::new(),
            ids: HashMap::new(),
            began: Instant::now(),
            busy_until: Instant::now(),
            seen: Vec::new(),
        }
    }

    /// Replaces the script, and keeps the received queries.
    pub(super) fn follow(&mut self, script: Script) {
        self.script = script;
        self.counts.clear();
        self.asked.clear();
    }

    /// Returns the answer to a query; `None` if there is none.
    pub(super) fn answer(&mut self, bytes: &[u8], from: SocketAddr, transport: Transport) -> Result<Option<Outgoing>> {
        let Some(bytes) = self.resolve_collision(bytes, from, transport) else { return Ok(None) };
        let message = Message::from_vec(&bytes).context("reading a query")?;
        let question = message.queries.first().context("a query without a question")?;
        let name = question.name().to_ascii();
        let name = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
        let kind = question.query_type();
        let times = self.asked.entry((name.clone(), kind)).or_default();
        *times += 1;
        let times = *times;
        self.seen.push(ReceivedQuery {
            at: self.began.elapsed(),
            transport,
            from,
            id: message.metadata.id,
            kind,
            name: name.clone(),
            edns: message.edns.as_ref().map(Edns::max_payload),
        });

        let manners = self.script.edns;
        if message.edns.is_some() && manners == EdnsManners::Drops {
            return Ok(None);
        }
        let asked = Received { name: &name, kind, from, transport, edns: message.edns.is_some(), times };
        let then = self.decide(&asked);
        let Then::Say(mut reply) = then else { return Ok(None) };
        if message.edns.is_some() && manners == EdnsManners::Refuses {
            reply.says = Says::Code(ResponseCode::FormErr);
        }
        reply.without_edns |= manners != EdnsManners::Honours;
        let Some(turn) = self.wait_for_a_turn() else { return Ok(None) };
        let bytes = self.message(&message, question, &name, &reply, transport)?;
        Ok(Some(Outgoing { after: turn + reply.after + self.script.latency, bytes }))
    }

    /// Answers nothing for this time.
    pub(super) fn stall(&mut self, time: Duration) {
        self.busy_until = self.busy_until.max(Instant::now()) + time;
    }

    /// Returns the time after which a query is answered; `None` if there is no room for it to wait.
    fn wait_for_a_turn(&mut self) -> Option<Duration> {
        let Some(Capacity { queries_a_second, room }) = self.script.capacity else { return Some(Duration::ZERO) };
        let (now, service) = (Instant::now(), Duration::from_secs_f64(queries_a_second.recip()));
        let waiting = self.busy_until.saturating_duration_since(now);
        if waiting.as_nanos() / service.as_nanos() >= room as u128 {
            return None;
        }
        self.busy_until = now + waiting + service;
        Some(waiting + service)
    }

    /// Returns the query to answer: this one, or after an id collision the earlier one or none.
    fn resolve_collision(&mut self, bytes: &[u8], from: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
        let id = u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
        let collisions = self.script.collisions;
        if transport == Transport::Tcp || collisions == Collisions::Harmless {
            return Some(bytes.to_vec());
        }
        let first = self.ids.entry((from, id)).or_insert_with(|| bytes.to_vec());
        if first == bytes {
            return Some(bytes.to_vec());
        }
        (collisions == Collisions::Swapped).then(|| first.clone())
    }

    /// Returns the reaction of the first rule that matches. A rule also counts queries that an earlier rule took, so that counts do
    /// not depend on the order of rules.
    fn decide(&mut self, asked: &Received<'_>) -> Then {
        let Self { script, counts, began, .. } = self;
        let mut decided = None;
        for (index, Rule { when, then }) in script.rules.iter().enumerate() {
            if !asked.fits(when) {
                continue;
            }
            let taken = when.count.is_none_or(|count| {
                let counted = match (count, when.per) {
                    (Count::MoreThanASecond(_), _) => Counted::Second(began.elapsed().as_secs()),
                    (_, Per::Name) => Counted::Name(asked.name.to_owned()),
                    (_, Per::Socket) => Counted::Socket(asked.from),
                    (_, Per::Server) => Counted::Server,
                };
                let seen = counts.entry((index, counted)).or_default();
                *seen += 1;
                match count {
                    Count::Nth(nth) => *seen == nth,
                    Count::UpTo(most) => *seen <= most,
                    Count::After(some) | Count::MoreThanASecond(some) => *seen > some,
                }
            });
            if taken && decided.is_none() {
                decided = Some(then.clone());
            }
        }
        decided.unwrap_or_else(|| truth().into())
    }

    /// Returns the answer to a query. One arm for each reply, hence its length.
    fn message(
        &self,
        query: &Message,
        question: &Query,
        name: &str,
        reply: &Reply,
        transport: Transport,
    ) -> Result<Vec<u8>> {
        let id = query.metadata.id ^ u16::from(reply.wrong_id);
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        message.metadata.recursion_desired = query.metadata.recursion_desired;
        message.metadata.recursion_available = true;
        message.add_query(question.clone());
        let with_edns = query.edns.as_ref().filter(|_| !reply.without_edns);
        if with_edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(OWN_UDP_MAX_BYTES);
            message.set_edns(edns);
        }
        let canonical = self.script.zone.canonical(name).filter(|_| matches!(reply.says, Says::Truth));
        let (code, addresses) = match &reply.says {
            Says::Truth if canonical.is_some() => (ResponseCode::NoError, &[][..]),
            Says::Truth => match self.script.zone.find(name) {
                Some(addresses) => (ResponseCode::NoError, addresses),
                None => (ResponseCode::NXDomain, &[][..]),
            },
            Says::Code(code) => (*code, &[][..]),
            Says::Addresses(addresses) => (ResponseCode::NoError, &addresses[..]),
        };
        message.metadata.response_code = code;
        let owner = match &reply.owner {
            Some(owner) => Name::from_ascii(format!("{owner}."))?,
            None => question.name().clone(),
        };
        let records = addresses.iter().filter_map(|address| {
            let data = match (address, question.query_type()) {
                (IpAddr::V4(address), RecordType::A) => RData::A(A(*address)),
                (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA(AAAA(*address)),
                _ => return None,
            };
            Some(Record::from_rdata(owner.clone(), reply.ttl, data))
        });
        message.answers.extend(records);
        if let Some(canonical) = canonical {
            let data = RData::CNAME(CNAME(Name::from_ascii(format!("{canonical}."))?));
            message.answers.push(Record::from_rdata(question.name().clone(), reply.ttl, data));
        }
        if let (true, RecordType::DNSKEY, Some(times)) =
            (name.is_empty(), question.query_type(), self.script.root_signed)
        {
            message.metadata.response_code = ResponseCode::NoError;
            message.answers.extend(signed_root(times, reply.ttl));
        }
        if message.answers.is_empty() && matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            message.authorities.push(start_of_authority(reply.ttl));
        }

        let room = match transport {
            Transport::Udp if reply.oversized => u16::MAX,
            Transport::Udp => with_edns.map_or(UDP_MAX_BYTES, |edns| edns.max_payload().max(UDP_MAX_BYTES)),
            Transport::Tcp => u16::MAX,
        };
        encode(message, reply.cut.filter(|_| transport == Transport::Udp), room)
    }
}

/// Encodes a message, truncated as the script says, and then as far as the room demands.
fn encode(mut message: Message, cut: Option<Cut>, room: u16) -> Result<Vec<u8>> {
    if let Some(cut) = cut {
        message.metadata.truncation = true;
        message.authorities.clear();
        if cut == Cut::Empty {
            message.answers.clear();
        }
    }
    let mut bytes = message.to_vec()?;
    while bytes.len() > room.into() {
        message.metadata.truncation = true;
        message.answers.pop().context("an answer is too large without records")?;
        bytes = message.to_vec()?;
    }
    Ok(bytes)
}

/// Returns the root's keys with a signature in which only the times are meaningful (RFC 4034, 2.1 and 3.1).
fn signed_root((inception, expiration): (u64, u64), ttl: u32) -> [Record; 2] {
    let time = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX).to_be_bytes();
    let record =
        |code, data: Vec<u8>| Record::from_rdata(Name::root(), ttl, RData::Unknown { code, rdata: NULL::with(data) });
    let key = [&[1, 1, 3, 8][..], &[7; 64]].concat();
    let covers = u16::from(RecordType::DNSKEY).to_be_bytes();
    let signature =
        [&covers[..], &[8, 0], &ttl.to_be_bytes(), &time(expiration), &time(inception), &[0, 1, 0], &[7; 64]].concat();
    [record(RecordType::DNSKEY, key), record(RecordType::RRSIG, signature)]
}

/// Returns the record of negative answers.
fn start_of_authority(ttl: u32) -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap_or_default();
    let soa = SOA::new(name("ns.invalid."), name("nobody.invalid."), 1, 7200, 1800, 86400, ttl);
    Record::from_rdata(Name::root(), ttl, RData::SOA(soa))
}

/// The properties of a query that rules match.
struct Received<'a> {
    name: &'a str,
    kind: RecordType,
    from: SocketAddr,
    transport: Transport,
    edns: bool,
    times: u32,
}

// === impl Received ===

impl Received<'_> {
    /// Returns whether a rule matches the query, apart from the rule's count.
    fn fits(&self, when: &When) -> bool {
        let When { kind, name, transport, edns, count: _, per: _, chance } = when;
        kind.is_none_or(|kind| kind == self.kind)
            && name.as_ref().is_none_or(|pattern| fits(pattern, self.name))
            && transport.is_none_or(|transport| transport == self.transport)
            && edns.is_none_or(|edns| edns == self.edns)
            && chance.is_none_or(|chance| self.strikes(chance))
    }

    fn strikes(&self, Chance { share, seed }: Chance) -> bool {
        let mut hasher = FnvHasher::with_key(seed);
        (self.name, u16::from(self.kind), self.times).hash(&mut hasher);
        // FNV leaves the high bits of short inputs similar, so they are mixed once more (the last step of SplitMix64).
        let mut mixed = hasher.finish();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let luck = (mixed ^ (mixed >> 31)) >> 32;
        u32::try_from(luck).is_ok_and(|luck| f64::from(luck) / f64::from(u32::MAX) < share)
    }
}
