//! Lines of CoreDNS's plugin `log`: its common format (coredns 1.15.0 plugin/log/log.go `CommonLogFormat`), and JSON with
//! `-log-format=json` (plugin/log/README.md). Prefixes of `kubectl logs`, of container runtimes and of CoreDNS may stand before either.
//! Must not know who asked.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::Deserialize;

use super::query::{Outcome, Query};

/// The content of one line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogLine<'a> {
    /// An answered query.
    Query(Query<'a>),
    /// A line about something else, such as a start, an error, or a query in a format of the administrator's own.
    Other,
}

/// A line of JSON: CoreDNS's, or that of Docker's driver `json-file`, which holds CoreDNS's line in `log`.
#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(default)]
    client_ip: Option<IpAddr>,
    #[serde(borrow, default)]
    qname: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    qtype: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    rcode: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    log: Option<Cow<'a, str>>,
}

/// Reads one line of a log.
pub fn read_log_line(line: &str) -> LogLine<'_> {
    read_json(line).or_else(|| read_text(line)).map_or(LogLine::Other, LogLine::Query)
}

fn read_json(line: &str) -> Option<Query<'_>> {
    let (before, _) = line.split_once('{')?;
    let json: JsonLine<'_> = serde_json::from_str(&line[before.len()..]).ok()?;
    let at = json.time.as_deref().and_then(|time| time.parse().ok()).or_else(|| time_among(before));
    if let Some(log) = json.log {
        let Query { at: inner, client, name, is_lookup, outcome } = read_json(&log).or_else(|| read_text(&log))?;
        let name = Cow::Owned(name.into_owned());
        return Some(Query { at: inner.or(at), client, name, is_lookup, outcome });
    }
    let name = match json.qname? {
        Cow::Borrowed(name) => Query::normal_name(name),
        Cow::Owned(name) => Cow::Owned(Query::normal_name(&name).into_owned()),
    };
    Some(Query {
        at,
        client: json.client_ip?.to_canonical(),
        name,
        is_lookup: Query::is_lookup_type(&json.qtype?),
        outcome: Outcome::of_code(json.rcode.as_deref().unwrap_or_default()),
    })
}

/// Reads `{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} …`.
fn read_text(line: &str) -> Option<Query<'_>> {
    let (before, rest) = line.split_once('"')?;
    let mut words = before.split_ascii_whitespace().rev();
    words.next()?.parse::<u16>().ok()?;
    if words.next()? != "-" {
        return None;
    }
    let client: SocketAddr = words.next()?.parse().ok()?;
    let (question, after) = rest.split_at(end_of_quote(rest)?);
    let question: Vec<&str> = question.split(' ').collect();
    let [kind, _, name, _, _, _, _] = *question else { return None };
    let code = after[1..].split_ascii_whitespace().next()?;
    Some(Query {
        at: time_among(before),
        client: client.ip().to_canonical(),
        name: Query::normal_name(name),
        is_lookup: Query::is_lookup_type(kind),
        outcome: Outcome::of_code(code),
    })
}

/// Returns the index of the quotation mark that ends a quote; names have theirs escaped.
fn end_of_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b'"' => return Some(index),
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
    None
}

/// Returns the first time among words: `kubectl logs --timestamps` and container runtimes write one.
fn time_among(text: &str) -> Option<Timestamp> {
    let looks_like_a_time = |word: &&str| word.len() >= 20 && word.as_bytes()[0].is_ascii_digit() && word.contains('T');
    text.split_ascii_whitespace().filter(looks_like_a_time).find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"10.244.1.7:40212 - 42 "A IN www.Example.com. udp 33 false 512" NXDOMAIN qr,rd,ra 108 0.000123s"#;

    fn query(line: &str) -> Query<'_> {
        match read_log_line(line) {
            LogLine::Query(query) => query,
            LogLine::Other => panic!("not a query: {line}"),
        }
    }

    #[test]
    fn reads_the_common_format_behind_every_prefix() {
        let time = "2026-11-30T10:00:00.5Z";
        for (prefix, at) in [
            ("", None),
            ("[INFO] ", None),
            ("[INFO] plugin/log: ", None),
            ("[pod/coredns-7d9f/coredns] [INFO] ", None),
            ("2026-11-30T10:00:00.5Z [INFO] ", Some(time)),
            ("[pod/coredns-7d9f/coredns] 2026-11-30T10:00:00.5Z [INFO] ", Some(time)),
            ("2026-11-30T11:00:00.5+01:00 stdout F [INFO] ", Some(time)),
        ] {
            let line = format!("{prefix}{LINE}");
            let expected = Query {
                at: at.map(|at| at.parse().unwrap()),
                client: "10.244.1.7".parse().unwrap(),
                name: "www.example.com".into(),
                is_lookup: true,
                outcome: Outcome::NxDomain,
            };
            assert_eq!(query(&line), expected, "{line}");
        }
    }

    #[test]
    fn reads_ipv6_clients_other_types_and_the_combined_format() {
        let line =
            r#"[INFO] [fd00::7]:40212 - 1 "PTR IN 1.0.0.127.in-addr.arpa. tcp 33 true 4096" NOERROR qr 1 0.1s "0""#;
        let read = query(line);
        assert_eq!((read.client, read.is_lookup, read.outcome), ("fd00::7".parse().unwrap(), false, Outcome::Found));
        let mapped = LINE.replace("10.244.1.7", "[::ffff:10.244.1.7]");
        assert_eq!(query(&mapped).client, "10.244.1.7".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_quotation_mark_in_a_name_ends_nothing() {
        let line = r#"10.0.0.1:1 - 1 "A IN a\"b.example.com. udp 33 false 512" SERVFAIL qr 1 0.1s"#;
        assert_eq!((&*query(line).name, query(line).outcome), (r#"a\"b.example.com"#, Outcome::Failed));
    }

    #[test]
    fn reads_json_of_coredns_and_of_docker() {
        let json = r#"{"time":"2026-09-15T08:00:00Z","level":"INFO","msg":"x","plugin":"log","client_ip":"127.0.0.1","client_port":40212,"qname":"example.org.","qtype":"A","qclass":"IN","protocol":"udp","id":42,"opcode":0,"request_size":29,"dnssec_ok":false,"bufsize":512,"rcode":"NOERROR","response_size":29,"duration_seconds":0.001}"#;
        let read = query(json);
        assert_eq!((&*read.name, read.outcome), ("example.org", Outcome::Found));
        assert_eq!(read.at, Some("2026-09-15T08:00:00Z".parse().unwrap()));
        let prefixed = format!("[pod/coredns-1/coredns] {json}");
        assert_eq!(query(&prefixed), read);
        let dropped = json.replace("\"NOERROR\"", "null");
        assert_eq!(query(&dropped).outcome, Outcome::Failed);
        let docker =
            serde_json::json!({"log": format!("[INFO] {LINE}\n"), "stream": "stdout", "time": "2026-09-15T08:00:00Z"});
        let (docker, at) = (docker.to_string(), Some("2026-09-15T08:00:00Z".parse().unwrap()));
        assert_eq!(query(&docker), Query { at, ..query(LINE) });
    }

    #[test]
    fn other_lines_are_no_queries() {
        for line in [
            "",
            ".:53",
            "[INFO] plugin/reload: Running configuration SHA512 = abc",
            "[ERROR] plugin/errors: 2 www.example.com. A: read udp 10.0.0.1:1->10.0.0.2:53: i/o timeout",
            r#"{"level":"INFO","msg":"plugin/ready"}"#,
            r#"[INFO] 10.0.0.1:1 - 1 "A IN"#,
            r#"[INFO] 10.0.0.1:1 - 1 "A IN \"#,
            r#"say "hello""#,
            "{",
        ] {
            assert_eq!(read_log_line(line), LogLine::Other, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,80}", cut in 0..120_usize) {
            read_log_line(&line);
            read_log_line(&LINE[..cut.min(LINE.len())]);
        }
    }
}
