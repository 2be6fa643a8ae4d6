//! Encodes a question as a DNS message, and reads messages as answers to it. Must not know of sockets.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::verdicts::observations::{Answer, Code, QueryType, Validity};

/// Offset of the times in a signature record: two bytes of the type covered, two of the algorithm and the labels, four of the time
/// to live; then four of each time (RFC 4034, 3.1).
const SIGNATURE_TIMES_AT: usize = 8;

/// A question, and the flags to send with it.
#[derive(Clone, Debug)]
pub(super) struct DnsQuestion {
    /// The name, without a final dot; the root is empty.
    pub(super) name: String,
    pub(super) kind: QueryType,
    /// The answer size that EDNS allows; `None` without EDNS.
    pub(super) edns: Option<u16>,
    /// Requests signatures (DO); only with EDNS.
    pub(super) signatures: bool,
    /// Requests that signatures are not checked (CD).
    pub(super) unchecked: bool,
}

/// A message in relation to a question.
#[derive(Debug)]
pub(super) enum Reading {
    /// The answer.
    Answer(Answer),
    /// A message with another id, or one that is not a response. Ignored.
    Unrelated,
    /// A response with the question's id, to another question.
    WrongQuestion,
    /// A response with the question's id that cannot be parsed.
    Malformed(String),
}

// === impl DnsQuestion ===

impl DnsQuestion {
    pub(super) fn new(name: &str, kind: QueryType) -> Self {
        Self { name: name.to_owned(), kind, edns: None, signatures: false, unchecked: false }
    }

    pub(super) const fn with_edns(mut self, bytes: u16) -> Self {
        self.edns = Some(bytes);
        self
    }

    pub(super) const fn with_signatures(mut self) -> Self {
        self.signatures = true;
        self
    }

    pub(super) const fn without_checks(mut self) -> Self {
        self.unchecked = true;
        self
    }

    /// Returns the message with this id; `None` if the name does not fit a message.
    pub(super) fn encode(&self, id: u16) -> Option<Vec<u8>> {
        let Self { name, kind, edns, signatures, unchecked } = self;
        let name = Name::from_ascii(format!("{name}.")).ok()?;
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = *unchecked;
        message.add_query(Query::query(name, record_type(*kind)));
        if let Some(bytes) = edns {
            let mut edns = Edns::new();
            edns.set_max_payload(*bytes);
            edns.set_dnssec_ok(*signatures);
            message.set_edns(edns);
        }
        message.to_vec().ok()
    }

    /// Classifies a message received after this question was sent with that id.
    pub(super) fn read_message(&self, id: u16, bytes: &[u8]) -> Reading {
        if bytes.get(..2) != Some(&id.to_be_bytes()) {
            return Reading::Unrelated;
        }
        // hickory rejects a message truncated in the middle of a record, which some servers send.
        let message = match Message::from_vec(bytes) {
            Ok(message) => message,
            Err(error) => {
                return self.read_header(bytes).map_or(Reading::Malformed(error.to_string()), Reading::Answer);
            }
        };
        if message.metadata.message_type != MessageType::Response {
            return Reading::Unrelated;
        }
        // Some servers omit the question from an error.
        match message.queries.first() {
            Some(query) if query.query_type() != record_type(self.kind) || !self.is_named(query.name()) => {
                Reading::WrongQuestion
            }
            None if message.metadata.response_code == ResponseCode::NoError => {
                Reading::Malformed("a response without a question".to_owned())
            }
            _ => Reading::Answer(self.answer(&message, bytes.len())),
        }
    }

    fn is_named(&self, name: &Name) -> bool {
        name.to_ascii().trim_end_matches('.').eq_ignore_ascii_case(&self.name)
    }

    fn answer(&self, message: &Message, bytes: usize) -> Answer {
        let wanted = record_type(self.kind);
        let answers = message.answers.iter().filter(|record| record.record_type() == wanted);
        Answer {
            code: code(message.metadata.response_code),
            truncated: message.metadata.truncation,
            authentic: message.metadata.authentic_data,
            addresses: message
                .answers
                .iter()
                .filter(|record| record.record_type() == wanted)
                .filter_map(address)
                .collect(),
            ttl: message.answers.iter().map(|record| record.ttl).min(),
            records: answers.count(),
            bytes,
            edns: message.edns.is_some(),
            signed: message.answers.iter().find_map(|record| validity(record, wanted)),
            renamed: self.foreign_owner(&message.answers),
        }
    }

    /// Returns the owner of an address that is neither the queried name nor the target of an alias that leads to it.
    fn foreign_owner(&self, answers: &[Record]) -> Option<String> {
        let lower = |name: &Name| name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
        let mut known = vec![self.name.to_ascii_lowercase()];
        // Aliases may stand in any order; each round of the loop adds at least one name, so it ends.
        while let Some(target) = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) => {
                Some(lower(&target.0)).filter(|target| known.contains(&lower(&record.name)) && !known.contains(target))
            }
            _ => None,
        }) {
            known.push(target);
        }
        let addresses = answers.iter().filter(|record| record.record_type() == record_type(self.kind));
        addresses
            .filter(|record| address(record).is_some())
            .map(|record| lower(&record.name))
            .find(|owner| !known.contains(owner))
    }

    /// Reads the header alone of a response that is marked as truncated.
    fn read_header(&self, bytes: &[u8]) -> Option<Answer> {
        let [_, _, flags, codes, ..] = *bytes else { return None };
        let (is_response, is_cut) = (flags & 0x80 != 0, flags & 0x02 != 0);
        (is_response && is_cut).then(|| Answer {
            code: code(ResponseCode::from(0, codes & 0x0f)),
            truncated: true,
            bytes: bytes.len(),
            ..Answer::default()
        })
    }
}

const fn record_type(kind: QueryType) -> RecordType {
    match kind {
        QueryType::A => RecordType::A,
        QueryType::Aaaa => RecordType::AAAA,
        QueryType::Dnskey => RecordType::DNSKEY,
    }
}

const fn code(code: ResponseCode) -> Code {
    match code {
        ResponseCode::NoError => Code::NoError,
        ResponseCode::FormErr => Code::FormErr,
        ResponseCode::ServFail => Code::ServFail,
        ResponseCode::NXDomain => Code::NxDomain,
        ResponseCode::NotImp => Code::NotImp,
        ResponseCode::Refused => Code::Refused,
        ResponseCode::Unknown(code) => Code::Other(code),
        _ => Code::Other(u16::MAX),
    }
}

fn address(record: &Record) -> Option<std::net::IpAddr> {
    match &record.data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

/// Returns the validity of a signature over records of this type.
fn validity(record: &Record, of: RecordType) -> Option<Validity> {
    let RData::Unknown { code: RecordType::RRSIG, rdata } = &record.data else { return None };
    let bytes = &rdata.anything;
    let covered = u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
    let time = |at: usize| Some(u64::from(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)));
    (covered == u16::from(of))
        .then(|| Some(Validity { expiration: time(SIGNATURE_TIMES_AT)?, inception: time(SIGNATURE_TIMES_AT + 4)? }))
        .flatten()
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, CNAME, NULL};
    use proptest::prelude::*;

    use super::*;

    fn response(kind: RecordType, change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let name = Name::from_ascii("www.example.com.").unwrap();
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(name.clone(), kind));
        message.answers.push(Record::from_rdata(name, 30, RData::A(A("203.0.113.7".parse().unwrap()))));
        change(&mut message);
        message.to_vec().unwrap()
    }

    fn read(bytes: &[u8]) -> Reading {
        DnsQuestion::new("WWW.example.com", QueryType::A).read_message(7, bytes)
    }

    #[test]
    fn reads_addresses_and_time_to_live() {
        let Reading::Answer(answer) = read(&response(RecordType::A, |_| {})) else { panic!() };
        assert_eq!((answer.addresses.len(), answer.ttl, answer.records, answer.edns), (1, Some(30), 1, false));
    }

    #[test]
    fn tells_the_answer_to_the_other_query_of_a_pair() {
        assert!(matches!(read(&response(RecordType::AAAA, |_| {})), Reading::WrongQuestion));
        assert!(matches!(read(&response(RecordType::A, |message| message.metadata.id = 8)), Reading::Unrelated));
        assert!(matches!(read(&response(RecordType::A, |message| message.queries.clear())), Reading::Malformed(_)));
    }

    #[test]
    fn reads_a_message_truncated_in_the_middle_of_a_record() {
        let mut bytes = response(RecordType::A, |message| message.metadata.truncation = true);
        bytes.truncate(bytes.len() - 3);
        let Reading::Answer(answer) = read(&bytes) else { panic!() };
        assert!(answer.truncated && answer.addresses.is_empty());
    }

    #[test]
    fn reads_the_validity_of_a_signature() {
        let mut rdata = vec![0, 1, 8, 0, 0, 0, 0, 30];
        rdata.extend(2_000_u32.to_be_bytes());
        rdata.extend(1_000_u32.to_be_bytes());
        let bytes = response(RecordType::A, |message| {
            let name = Name::from_ascii("www.example.com.").unwrap();
            let data = RData::Unknown { code: RecordType::RRSIG, rdata: NULL::with(rdata) };
            message.answers.push(Record::from_rdata(name, 30, data));
        });
        let Reading::Answer(answer) = read(&bytes) else { panic!() };
        assert_eq!(answer.signed, Some(Validity { inception: 1_000, expiration: 2_000 }));
    }

    #[test]
    fn tells_an_aliass_target_from_a_foreign_owner() {
        let renamed = |change: &dyn Fn(&mut Message)| {
            let Reading::Answer(answer) = read(&response(RecordType::A, |message| change(message))) else { panic!() };
            answer.renamed
        };
        let name = |text: &str| Name::from_ascii(text).unwrap();
        assert_eq!(renamed(&|_| {}), None);
        assert_eq!(
            renamed(&|message| message.answers[0].name = name("web.shop.svc.cluster.local.")),
            Some("web.shop.svc.cluster.local".to_owned())
        );
        let alias = |owner: &str, target: &str| Record::from_rdata(name(owner), 30, RData::CNAME(CNAME(name(target))));
        assert_eq!(
            renamed(&|message| {
                message.answers[0].name = name("c.example.com.");
                message.answers.push(alias("B.example.com.", "c.example.com."));
                message.answers.push(alias("www.example.com.", "b.example.com."));
            }),
            None
        );
    }

    #[test]
    fn rejects_a_name_that_does_not_fit_a_message() {
        assert!(DnsQuestion::new(&"x".repeat(64), QueryType::A).encode(1).is_none());
        assert!(DnsQuestion::new("", QueryType::Dnskey).encode(1).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_classified(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut with_id = 7_u16.to_be_bytes().to_vec();
            with_id.extend(bytes);
            let _ = read(&with_id);
        }
    }
}
