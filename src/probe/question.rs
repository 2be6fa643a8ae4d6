//! One question as a DNS message, and what a message says to it. Must not know of sockets.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::verdicts::observations::{Answer, Code, Kind, Validity};

/// What a signature covers begins after these bytes: two of the type, two of the algorithm and the labels, four of the time to
/// live; then four of each time (RFC 4034, 3.1).
const SIGNATURE_TIMES_AT: usize = 8;

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The name, without a dot at its end; the root is empty.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// How large an answer EDNS allows; no EDNS where there is none.
    pub(super) edns: Option<u16>,
    /// Asks for signatures too (DO). Only with EDNS.
    pub(super) signatures: bool,
    /// Asks not to check signatures (CD).
    pub(super) unchecked: bool,
}

/// What a message is to a question.
#[derive(Debug)]
pub(super) enum Reading {
    /// Its answer.
    Answer(Answer),
    /// A message with another id, or no answer: as if it had not come.
    Strange,
    /// It has the question's id, and answers another question.
    OfAnother,
    /// It has the question's id, and cannot be read.
    Nonsense(String),
}

// === impl Question ===

impl Question {
    pub(super) fn new(name: &str, kind: Kind) -> Self {
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

    /// The message, with this id. `None` for a name that no message can hold.
    pub(super) fn message(&self, id: u16) -> Option<Vec<u8>> {
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

    /// What these bytes are to this question, which was sent with that id.
    pub(super) fn read(&self, id: u16, bytes: &[u8]) -> Reading {
        if bytes.get(..2) != Some(&id.to_be_bytes()) {
            return Reading::Strange;
        }
        // hickory refuses a message that was cut in the middle of a record, which some servers send.
        let message = match Message::from_vec(bytes) {
            Ok(message) => message,
            Err(error) => return self.read_header(bytes).map_or(Reading::Nonsense(error.to_string()), Reading::Answer),
        };
        if message.metadata.message_type != MessageType::Response {
            return Reading::Strange;
        }
        // Some servers leave the question out of an error.
        match message.queries.first() {
            Some(query) if query.query_type() != record_type(self.kind) || !self.is_named(query.name()) => {
                Reading::OfAnother
            }
            None if message.metadata.response_code == ResponseCode::NoError => {
                Reading::Nonsense("an answer without a question".to_owned())
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
        }
    }

    /// What the header alone says, of a message that is cut short and says so.
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

const fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Dnskey => RecordType::DNSKEY,
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

/// When a signature of records of this type holds.
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
    use hickory_proto::rr::rdata::{A, NULL};
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
        Question::new("WWW.example.com", Kind::A).read(7, bytes)
    }

    #[test]
    fn an_answer_is_read_with_its_addresses_and_its_time_to_live() {
        let Reading::Answer(answer) = read(&response(RecordType::A, |_| {})) else { panic!() };
        assert_eq!((answer.addresses.len(), answer.ttl, answer.records, answer.edns), (1, Some(30), 1, false));
    }

    #[test]
    fn an_answer_to_the_other_half_of_a_pair_is_told_apart() {
        assert!(matches!(read(&response(RecordType::AAAA, |_| {})), Reading::OfAnother));
        assert!(matches!(read(&response(RecordType::A, |message| message.metadata.id = 8)), Reading::Strange));
        assert!(matches!(read(&response(RecordType::A, |message| message.queries.clear())), Reading::Nonsense(_)));
    }

    #[test]
    fn a_message_cut_in_the_middle_of_a_record_is_a_truncated_answer() {
        let mut bytes = response(RecordType::A, |message| message.metadata.truncation = true);
        bytes.truncate(bytes.len() - 3);
        let Reading::Answer(answer) = read(&bytes) else { panic!() };
        assert!(answer.truncated && answer.addresses.is_empty());
    }

    #[test]
    fn a_signature_says_from_when_to_when_it_holds() {
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
    fn a_name_that_no_message_can_hold_is_not_asked() {
        assert!(Question::new(&"x".repeat(64), Kind::A).message(1).is_none());
        assert!(Question::new("", Kind::Dnskey).message(1).is_some());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut with_id = 7_u16.to_be_bytes().to_vec();
            with_id.extend(bytes);
            let _ = read(&with_id);
        }
    }
}
