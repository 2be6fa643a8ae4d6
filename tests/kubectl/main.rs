//! Manifests as `kubectl` reads them, before and after muslin edits them: `reader` is kubectl's own decoder, and the judge. Through the
//! library's public face only. Needs Go.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod edits;
mod generated;
mod reading;
mod suite;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use muslin::manifest::Stream;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

/// kubectl's reader, running.
struct Kubectl {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// The documents of a text up to the first error, and the error.
#[derive(Debug)]
struct Answer {
    documents: Vec<Value>,
    error: Option<String>,
}

/// The reader's line about a text.
#[derive(Deserialize)]
struct Written {
    documents: Vec<Box<RawValue>>,
    error: Option<String>,
}

// === impl Kubectl ===

impl Kubectl {
    fn start() -> Self {
        let build = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubectl/build")).output().unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        let program = String::from_utf8(build.stdout).unwrap();
        let mut process = Command::new(program.trim()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, to, from }
    }

    fn read(&mut self, text: &str) -> Answer {
        let mut line = serde_json::to_string(text).unwrap();
        line.push('\n');
        self.to.write_all(line.as_bytes()).unwrap();
        line.clear();
        self.from.read_line(&mut line).unwrap();
        let Written { documents, error } = serde_json::from_str(&line).unwrap();
        Answer { documents: documents.iter().map(|document| value(document)).collect(), error }
    }

    /// Returns the documents of a text that kubectl reads to its end; `None` if it refuses the text.
    fn accepts(&mut self, text: &str) -> Option<Vec<Value>> {
        let Answer { documents, error } = self.read(text);
        error.is_none().then_some(documents)
    }
}

impl Drop for Kubectl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the documents of a text as muslin reads them.
fn muslin_reads(text: &str) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    for document in Stream::new(text).documents {
        let tree = document.parse().map_err(|error| error.to_string())?;
        let mut value = tree.root().to_value().map_err(|error| error.to_string())?;
        with_equal_numbers(&mut value);
        if !value.is_null() {
            values.push(value);
        }
    }
    Ok(values)
}

/// Returns a document; its text if it is nested too deep for this program.
fn value(document: &RawValue) -> Value {
    let mut value = serde_json::from_str(document.get()).unwrap_or_else(|_| Value::from(document.get()));
    with_equal_numbers(&mut value);
    value
}

/// Go writes 1e3 as 1000, serde_json as 1000.0; both are the same number.
fn with_equal_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15);
            if let Some(whole) = whole {
                *number = Number::from(whole as i64);
            } else if number.is_f64() || number.to_string().len() > 17 {
                *number = number.as_f64().and_then(Number::from_f64).unwrap();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_equal_numbers),
        Value::Object(members) => members.values_mut().for_each(with_equal_numbers),
        _ => {}
    }
}
