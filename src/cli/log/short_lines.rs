//! Cuts lines of the log that are longer than 1 KiB, so that the queue of lines has a bound in bytes. A JSON line stays valid JSON, and
//! gets JSON's escapes for characters that a terminal would obey. Must not know where lines are written.

use std::io::{self, Write};

use serde_json::{Map, Value};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::fmt::MakeWriter;

use crate::text::{cut, escape_json};

/// The longest line, in bytes, line break included.
pub(super) const LOG_LINE_MAX: usize = 1024;

/// The lengths to which all texts of a JSON line are cut, one after the other until the line is short enough. A text of the last
/// length has at most 96 bytes with all characters escaped.
const TEXT_LIMITS: [usize; 5] = [512, 256, 128, 48, 16];

/// The fields that a line keeps if even its shortest texts are too long together.
const BASIC_FIELDS: [&str; 4] = ["timestamp", "level", "message", "target"];

/// The format of the lines.
#[derive(Clone, Copy, Debug)]
pub(super) enum LineFormat {
    Text,
    Json,
}

/// A writer that takes one line in each call, and cuts it. The line of text has no characters to escape (`fields.rs`).
#[derive(Clone)]
pub(super) struct ShortLines<W = NonBlocking> {
    lines: W,
    format: LineFormat,
}

// === impl ShortLines ===

impl<W> ShortLines<W> {
    pub(super) fn new(lines: W, format: LineFormat) -> Self {
        Self { lines, format }
    }
}

impl<W: Write + Clone> MakeWriter<'_> for ShortLines<W> {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl<W: Write> Write for ShortLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    /// `tracing_subscriber` calls this once for each event.
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        match self.format {
            LineFormat::Text if line.len() <= LOG_LINE_MAX => self.lines.write_all(line),
            LineFormat::Text => self.lines.write_all(cut_text(line).as_bytes()),
            LineFormat::Json => {
                let mut json = escape_json(String::from_utf8_lossy(line).into_owned());
                if json.len() > LOG_LINE_MAX {
                    json = cut_json(&json) + "\n";
                }
                self.lines.write_all(json.as_bytes())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

/// Returns the start of the line. If it has colours, it ends with none, and no sequence is cut in two.
fn cut_text(line: &[u8]) -> String {
    const END: &str = "\u{1b}[0m\n";
    let text = String::from_utf8_lossy(line);
    let start = cut(&text, LOG_LINE_MAX - END.len());
    match start.rfind('\u{1b}') {
        None => format!("{start}\n"),
        Some(last) if start[last..].contains('m') => format!("{start}{END}"),
        Some(last) => format!("{}…{END}", &start[..last]),
    }
}

fn cut_json(line: &str) -> String {
    let mut fields: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    for limit in TEXT_LIMITS {
        for value in fields.values_mut() {
            if let Value::String(text) = value {
                *text = cut(text, limit).into_owned();
            }
        }
        let short = escape_json(Value::Object(fields.clone()).to_string());
        if short.len() < LOG_LINE_MAX {
            return short;
        }
    }
    fields.retain(|name, _| BASIC_FIELDS.contains(&name.as_str()));
    escape_json(Value::Object(fields).to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines of the events that a closure makes.
    fn lines(events: impl FnOnce()) -> Vec<String> {
        let memory = Memory::default();
        let lines = ShortLines::new(memory.clone(), LineFormat::Json);
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(lines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_event_is_one_json_line_with_its_fields() {
        let lines = lines(|| {
            tracing::info!(target: "here", uid = "1", count = 2u64, less = -1, half = 0.5, is = true, "said {}", "so");
        });
        let mut event: Value = serde_json::from_str(&lines[0]).unwrap();
        assert!(event["timestamp"].is_string());
        event.as_object_mut().unwrap().remove("timestamp");
        let expected = json!({
            "level": "INFO", "message": "said so", "uid": "1", "count": 2, "less": -1, "half": 0.5, "is": true, "target": "here",
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn a_line_of_any_texts_is_valid_json_of_at_most_1_kib() {
        let escaped: String = ('\0'..='\u{ff}').chain("\u{2028}😀".chars()).collect();
        for length in [1, 10, 100, 1000, 10_000] {
            let text = escaped.repeat(length / 10 + 1);
            let ascii = "x".repeat(length);
            let lines = lines(|| {
                tracing::warn!(target: "here", text, shown = %ascii, debug = ?text, "{ascii}{text}");
                tracing::info!(target: "here", uid = "1", message = ascii);
                tracing::info!(target: "here", a = text, b = text, c = text, d = text, e = text, f = text, g = text, h = text);
                tracing::info!(target: "here", i = text, j = text, k = text, l = text, m = text, n = text, o = text, p = text,
                    q = text, r = text, s = text, t = text, u = text, v = text, w = text, x = text, y = text, z = text);
            });
            assert_eq!(lines.len(), 4);
            for line in lines {
                let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(line.len() < LOG_LINE_MAX && event["target"] == "here", "{line}");
            }
        }
    }

    #[test]
    fn a_json_line_has_the_true_text_in_escapes() {
        let text = "a\u{1b}[2J\n\u{7f}\u{9b}\u{202e}\u{2028}\u{e0041}";
        let lines = lines(|| tracing::info!(uid = "1", shown = %text, "{text}"));
        let event: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((lines.len(), &event["message"], &event["shown"]), (1, &json!(text), &json!(text)));
        assert!(lines[0].is_ascii() && !lines[0].contains(char::is_control), "{lines:?}");
    }

    #[test]
    fn a_long_line_in_colour_ends_without_colour() {
        for length in 0..20 {
            let line = format!("{}\u{1b}[3mname\u{1b}[0m={}\n", "x".repeat(LOG_LINE_MAX - length), "y".repeat(40));
            let memory = Memory::default();
            ShortLines::new(memory.clone(), LineFormat::Text).write_all(line.as_bytes()).unwrap();
            let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
            assert!(text.len() <= LOG_LINE_MAX && text.ends_with('\n'), "{text:?}");
            let last = text.trim_end().rfind('\u{1b}');
            assert!(last.is_none_or(|last| text[last..] == *"\u{1b}[0m\n"), "{text:?}");
        }
    }

    #[test]
    fn a_long_line_keeps_its_short_fields() {
        let lines = lines(|| tracing::info!(uid = "1", count = 3, resolvers = "x".repeat(4096), "changed a pod"));
        let event: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            (&event["uid"], &event["count"], &event["message"]),
            (&json!("1"), &json!(3), &json!("changed a pod"))
        );
        let resolvers = event["resolvers"].as_str().unwrap();
        assert!(resolvers.starts_with("xxx") && resolvers.ends_with('…'), "{resolvers}");
    }

    #[test]
    fn a_long_line_of_text_is_cut_between_characters() {
        let memory = Memory::default();
        ShortLines::new(memory.clone(), LineFormat::Text).write_all("é".repeat(1000).as_bytes()).unwrap();
        let written = memory.0.lock().unwrap().clone();
        let text = String::from_utf8(written).unwrap();
        assert!(text.len() <= LOG_LINE_MAX && text.ends_with("é…\n"), "{text}");
    }
}
