//! An event as one line of JSON: when, how grave, what it says and its fields, where it comes from. Written in one go, for a review
//! that muslin knows costs less than its line in `tracing_subscriber::fmt::format::Json` (docs/performance.md).

use std::fmt::{self, Debug, Display, Write as _};
use std::io::Write as _;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;

/// Writes `{"timestamp":"2026-11-26T09:30:00.000000Z","level":"INFO","message":"serving","port":8443,"target":"muslin::cli"}`.
pub(super) struct Json<W>(pub(super) W);

/// A line that is being made.
struct Line(String);

/// Writes text as the inside of a JSON string.
struct Escaped<'line>(&'line mut String);

/// As long as nearly all lines are.
const LENGTH: usize = 1000;

// === impl Json ===

impl<S, W> Layer<S> for Json<W>
where
    S: Subscriber,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Line(line) = Line::of(event);
        // Should that fail there is nobody to tell.
        let _ = self.0.make_writer().write_all(line.as_bytes());
    }
}

// === impl Line ===

impl Line {
    fn of(event: &Event<'_>) -> Self {
        // What crates say by `log` has its origin among its fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut line = Self(String::with_capacity(LENGTH));
        line.0.push_str(r#"{"timestamp":""#);
        line.value(format_args!("{:.6}", Timestamp::now()));
        line.0.push_str(r#"","level":""#);
        line.0.push_str(metadata.level().as_str());
        line.0.push('"');
        event.record(&mut line);
        line.0.push_str(r#","target":"#);
        line.string(metadata.target());
        line.0.push_str("}\n");
        line
    }

    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Self)) {
        if field.name().starts_with("log.") {
            return;
        }
        self.0.push(',');
        // A field that is named as a word of Rust, `r#type`.
        self.string(field.name().strip_prefix("r#").unwrap_or(field.name()));
        self.0.push(':');
        value(self);
    }

    fn string(&mut self, text: &str) {
        self.0.push('"');
        Escaped(&mut self.0).push_str(text);
        self.0.push('"');
    }

    /// As it is.
    fn value(&mut self, value: impl Display) {
        // A `String` takes all that it is given.
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |line| line.string(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |line| line.value(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |line| line.value(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |line| line.value(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, |line| if value.is_finite() { line.value(value) } else { line.0.push_str("null") });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |line| {
            line.0.push('"');
            // What cannot be shown to its end is shown as far as it goes.
            let _ = write!(Escaped(&mut line.0), "{value:?}");
            line.0.push('"');
        });
    }
}

// === impl Escaped ===

impl Escaped<'_> {
    fn push_str(&mut self, text: &str) {
        // Looked for in all of it, as that is done many bytes at a time; most texts have none.
        if !text.bytes().fold(false, |is_found, byte| is_found | is_special(byte)) {
            return self.0.push_str(text);
        }
        for character in text.chars() {
            match character {
                '"' => self.0.push_str(r#"\""#),
                '\\' => self.0.push_str(r"\\"),
                '\n' => self.0.push_str(r"\n"),
                '\0'..' ' => {
                    // A `String` takes all that it is given.
                    let _ = write!(self.0, r"\u{:04x}", u32::from(character));
                }
                _ => self.0.push(character),
            }
        }
    }
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

/// Whether a string of JSON cannot have this byte as it is.
const fn is_special(byte: u8) -> bool {
    matches!(byte, ..b' ' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt as _;

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
        let subscriber = tracing_subscriber::registry().with(Json(written.clone()));
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
        let subscriber = tracing_subscriber::registry().with(Json(written.clone()));
        let before = Timestamp::now();
        tracing::subscriber::with_default(subscriber, || tracing::info!("now"));
        let event: Value = serde_json::from_slice(&written.0.lock().unwrap()).unwrap();
        let at: Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        assert!((at.as_second() - before.as_second()).abs() <= 2, "{event}");
        assert_eq!(event["timestamp"].as_str().unwrap().len(), "2026-11-26T09:30:00.000000Z".len());
    }
}
