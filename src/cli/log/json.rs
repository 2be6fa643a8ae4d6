//! An event as one line of JSON: when, how grave, what it says and its fields, where it comes from. Written in one go, for a review
//! that muslin knows costs less than its line in `tracing_subscriber::fmt::format::Json` (docs/performance.md).

use std::fmt::{self, Debug, Write};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `{"timestamp":"2026-11-26T09:30:00.000000Z","level":"INFO","message":"serving","port":8443,"target":"muslin::cli"}`.
pub(super) struct Json;

/// The fields of an event, each after a comma.
struct Fields<'line, 'buffer> {
    line: &'line mut Writer<'buffer>,
    written: fmt::Result,
}

/// Writes text as the inside of a JSON string.
struct Escaped<'line, 'buffer>(&'line mut Writer<'buffer>);

// === impl Json ===

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // What crates say by `log` has its origin among its fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        write!(line, r#"{{"timestamp":"{:.6}","level":""#, Timestamp::now())?;
        line.write_str(metadata.level().as_str())?;
        line.write_char('"')?;
        let mut fields = Fields { line: &mut line, written: Ok(()) };
        event.record(&mut fields);
        fields.written?;
        line.write_str(r#","target":"#)?;
        string(&mut line, |text| text.write_str(metadata.target()))?;
        line.write_str("}\n")
    }
}

fn string(line: &mut Writer<'_>, write: impl FnOnce(&mut Escaped<'_, '_>) -> fmt::Result) -> fmt::Result {
    line.write_char('"')?;
    write(&mut Escaped(line))?;
    line.write_char('"')
}

// === impl Fields ===

impl Fields<'_, '_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_err() || field.name().starts_with("log.") {
            return;
        }
        self.written = self.named(field.name(), value);
    }

    fn named(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) -> fmt::Result {
        self.line.write_char(',')?;
        // A field that is named as a word of Rust, `r#type`.
        string(self.line, |text| text.write_str(name.strip_prefix("r#").unwrap_or(name)))?;
        self.line.write_char(':')?;
        value(self.line)
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |line| string(line, |text| text.write_str(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |line| write!(line, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |line| write!(line, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |line| write!(line, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, |line| if value.is_finite() { write!(line, "{value}") } else { line.write_str("null") });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |line| string(line, |text| write!(text, "{value:?}")));
    }
}

// === impl Escaped ===

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate().filter(|&(_, byte)| byte < b' ' || byte == b'"' || byte == b'\\') {
            self.0.write_str(&text[plain..at])?;
            match byte {
                b'"' => self.0.write_str(r#"\""#)?,
                b'\\' => self.0.write_str(r"\\")?,
                b'\n' => self.0.write_str(r"\n")?,
                _ => write!(self.0, r"\u{byte:04x}")?,
            }
            plain = at + 1;
        }
        self.0.write_str(&text[plain..])
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What is written of the events that a closure makes, without the time.
    fn written(events: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt().event_format(Json).with_writer(written.clone()).finish();
        tracing::subscriber::with_default(subscriber, events);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| {
                let mut event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                event.as_object_mut().unwrap().remove("timestamp").unwrap();
                event
            })
            .collect()
    }

    #[test]
    fn an_event_is_one_line_with_its_fields() {
        let events = written(|| {
            tracing::info!(target: "here", uid = "1", count = 2u64, less = -1, half = 0.5, is = true, "said {}", "so");
        });
        let expected = json!({
            "level": "INFO", "message": "said so", "uid": "1", "count": 2, "less": -1, "half": 0.5, "is": true, "target": "here",
        });
        assert_eq!(events, [expected]);
    }

    #[test]
    fn any_text_is_escaped() {
        let text: String = ('\0'..='\u{ff}').chain("\u{2028}😀".chars()).collect();
        let events = written(|| {
            tracing::warn!(target: "here", text, shown = %text, debug = ?text, "\"\\\n");
        });
        let expected = json!({
            "level": "WARN", "message": "\"\\\n", "text": text, "shown": text, "debug": format!("{text:?}"), "target": "here",
        });
        assert_eq!(events, [expected]);
    }

    #[test]
    fn a_field_may_be_named_as_a_word_of_rust() {
        let events = written(|| tracing::info!(target: "here", r#type = "A", "asked"));
        assert_eq!(events[0]["type"], "A");
    }

    #[test]
    fn what_json_has_no_number_for_is_null() {
        let events = written(|| tracing::info!(target: "here", rate = f64::NAN, "measured"));
        assert_eq!(events[0]["rate"], Value::Null);
    }

    #[test]
    fn an_absent_field_is_left_out() {
        let events = written(|| tracing::info!(target: "here", location = None::<&str>, "panicked"));
        assert_eq!(events, [json!({"level": "INFO", "message": "panicked", "target": "here"})]);
    }

    #[test]
    fn the_time_is_that_of_rfc_3339_in_utc() {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt().event_format(Json).with_writer(written.clone()).finish();
        let before = Timestamp::now();
        tracing::subscriber::with_default(subscriber, || tracing::info!("now"));
        let event: Value = serde_json::from_slice(&written.0.lock().unwrap()).unwrap();
        let at: Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        assert!((at.as_second() - before.as_second()).abs() <= 2, "{event}");
        assert_eq!(event["timestamp"].as_str().unwrap().len(), "2026-11-26T09:30:00.000000Z".len());
    }
}
