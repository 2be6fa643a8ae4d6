//! Frames of dnstap: an answer to a client, with its DNS message (dnstap.proto of golang-dnstap 0.4.0, whose field numbers these are).
//! CoreDNS sends the message only with `dnstap SOCKET full`.

use std::borrow::Cow;
use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use jiff::Timestamp;
use prost::Message as _;

use super::query::{Outcome, Query};

/// The content type of frame streams that hold dnstap.
pub const DNSTAP_CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

/// `Dnstap.Type.MESSAGE`.
const MESSAGE: i32 = 1;
/// `Message.Type.CLIENT_RESPONSE`: an answer that a resolver sent to a client.
const CLIENT_RESPONSE: i32 = 6;

/// The content of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// An answered query.
    Query(Query<'static>),
    /// An answer without its DNS message: CoreDNS needs `full`.
    WithoutMessage,
    /// Something else, such as the query before its answer.
    Other,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Dnstap {
    #[prost(message, optional, tag = "14")]
    message: Option<DnstapMessage>,
    #[prost(int32, optional, tag = "15")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DnstapMessage {
    #[prost(int32, optional, tag = "1")]
    kind: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    query_address: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    response_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    response_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    response_message: Option<Vec<u8>>,
}

/// Reads one frame.
pub fn read_frame(frame: &[u8]) -> Frame {
    let Ok(Dnstap { message: Some(message), kind: Some(MESSAGE) }) = Dnstap::decode(frame) else { return Frame::Other };
    if message.kind != Some(CLIENT_RESPONSE) {
        return Frame::Other;
    }
    let Some(bytes) = &message.response_message else { return Frame::WithoutMessage };
    query(&message, bytes).map_or(Frame::Other, Frame::Query)
}

fn query(dnstap: &DnstapMessage, bytes: &[u8]) -> Option<Query<'static>> {
    let client = match dnstap.query_address.as_deref()? {
        bytes if bytes.len() == 4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        bytes => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    let message = Message::from_vec(bytes).ok()?;
    let question = message.queries.first()?;
    let second = i64::try_from(dnstap.response_time_sec.unwrap_or_default()).unwrap_or_default();
    let nanosecond = i32::try_from(dnstap.response_time_nsec.unwrap_or_default()).unwrap_or_default();
    Some(Query {
        at: Timestamp::new(second, nanosecond).ok().filter(|_| second > 0),
        client: client.to_canonical(),
        name: Cow::Owned(Query::normal_name(&question.name().to_ascii()).into_owned()),
        is_lookup: Query::is_lookup_type(&question.query_type().to_string()),
        outcome: match message.metadata.response_code {
            // A truncated answer may lack its records.
            ResponseCode::NoError if message.answers.is_empty() && !message.metadata.truncation => Outcome::NoData,
            ResponseCode::NoError => Outcome::Found,
            ResponseCode::NXDomain => Outcome::NxDomain,
            _ => Outcome::Failed,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::str::FromStr as _;

    use hickory_proto::op::{MessageType, OpCode, Query as Question};
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{Name, RData, Record, RecordType};

    use super::*;

    fn frame(code: ResponseCode, addresses: u8, change: impl FnOnce(&mut Dnstap)) -> Frame {
        let name = Name::from_str("Www.example.com.").unwrap();
        let mut answer = Message::new(7, MessageType::Response, OpCode::Query);
        answer.metadata.response_code = code;
        answer.add_query(Question::query(name.clone(), RecordType::A));
        for last in 0..addresses {
            answer.add_answer(Record::from_rdata(name.clone(), 30, RData::A(A(Ipv4Addr::new(203, 0, 113, last)))));
        }
        let message = DnstapMessage {
            kind: Some(CLIENT_RESPONSE),
            query_address: Some(vec![10, 1, 0, 1]),
            response_time_sec: Some(1_790_000_000),
            response_time_nsec: Some(5),
            response_message: Some(answer.to_vec().unwrap()),
        };
        let mut dnstap = Dnstap { message: Some(message), kind: Some(MESSAGE) };
        change(&mut dnstap);
        read_frame(&dnstap.encode_to_vec())
    }

    #[test]
    fn an_answer_without_a_record_is_no_data() {
        for (code, addresses, outcome) in [
            (ResponseCode::NoError, 1, Outcome::Found),
            (ResponseCode::NoError, 0, Outcome::NoData),
            (ResponseCode::NXDomain, 0, Outcome::NxDomain),
            (ResponseCode::ServFail, 0, Outcome::Failed),
        ] {
            let Frame::Query(query) = frame(code, addresses, |_| {}) else { panic!("{code}") };
            let expected = Query {
                at: Some(Timestamp::new(1_790_000_000, 5).unwrap()),
                client: "10.1.0.1".parse().unwrap(),
                name: "www.example.com".into(),
                is_lookup: true,
                outcome,
            };
            assert_eq!(query, expected);
        }
    }

    #[test]
    fn queries_other_senders_and_broken_frames_are_no_answers() {
        let changed = |change: fn(&mut DnstapMessage)| {
            frame(ResponseCode::NoError, 1, |dnstap| change(dnstap.message.as_mut().unwrap()))
        };
        assert_eq!(changed(|message| message.kind = Some(5)), Frame::Other);
        assert_eq!(changed(|message| message.query_address = Some(vec![1])), Frame::Other);
        assert_eq!(changed(|message| message.response_message = Some(vec![1])), Frame::Other);
        assert_eq!(changed(|message| message.response_message = None), Frame::WithoutMessage);
        assert_eq!(read_frame(&[0xff; 8]), Frame::Other);
    }
}
