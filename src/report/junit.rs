//! Findings as JUnit's XML, which most CI systems show as test results: a suite for each file, a failed test for each finding, an error
//! for what could not be read, and a passed test for a file without findings. Elements and attributes are those of Jenkins's schema
//! (jenkinsci/xunit-plugin `junit-10.xsd`), which other readers share.

use super::format::Format;
use super::located_finding::LocatedFinding;
use super::summary::{FileTally, RunTotals};
use super::unread::{Severity, Unread};
use crate::text::{Block, Line};

/// The format `<testsuites>`.
#[derive(Clone, Copy, Debug)]
pub struct Junit;

// === impl Junit ===

impl Format for Junit {
    fn head(&self) -> Block {
        Block::fixed("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"muslin\">\n")
    }

    fn finding(&self, located: &LocatedFinding<'_>) -> Block {
        let LocatedFinding { file, finding, because, ordinal, .. } = located;
        let owner = located.owner();
        let name = match ordinal {
            0 => format!("{}: {owner}", finding.rule.slug),
            earlier => format!("{}: {owner} ({})", finding.rule.slug, earlier + 1),
        };
        let because = because.iter().map(|because| format!("why: {because}"));
        let details = [located.place()].into_iter().chain(because).chain([format!("help: {}", finding.help)]);
        let details: Vec<String> = details.map(|line| escaped(&Line::new(line))).collect();
        test_case(
            file,
            name,
            &format!(
                "<failure type=\"{}\" message=\"{}\">{}</failure>",
                finding.level.name(),
                escaped(&Line::new(finding.message.clone().into_owned())),
                details.join("\n"),
            ),
        )
    }

    fn unread(&self, unread: &Unread) -> Block {
        let message = escaped(&unread.line());
        let hint = unread.hint.clone().map(|hint| escaped(&Line::new(hint))).unwrap_or_default();
        match unread.severity {
            Severity::Error => {
                let body = format!("<error type=\"unread\" message=\"{message}\">{hint}</error>");
                test_case(&unread.file, "read the file".to_owned(), &body)
            }
            Severity::Warning => {
                let body = format!("<failure type=\"warn\" message=\"{message}\">{hint}</failure>");
                test_case(&unread.file, "read as kubectl does".to_owned(), &body)
            }
            Severity::Note => {
                test_case(&unread.file, "read the file".to_owned(), &format!("<skipped message=\"{message}\"/>"))
            }
        }
    }

    fn around(&self, file: &FileTally<'_>) -> (Block, Block) {
        let FileTally { file, pods, findings, errors, notes } = *file;
        let entries = findings + errors + notes;
        if pods == 0 && entries == 0 {
            return (Block::default(), Block::default());
        }
        let mut before = Block::rendered(format!(
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{findings}\" errors=\"{errors}\" skipped=\"{notes}\" time=\"0\">\n",
            escaped(&Line::new(file.to_owned())),
            entries.max(1),
        ));
        if entries == 0 {
            let pods = if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") };
            before.push(&test_case(file, format!("{pods} without findings"), ""));
        }
        (before, Block::fixed("</testsuite>\n"))
    }

    fn tail(&self, _run: &RunTotals<'_>) -> Block {
        Block::fixed("</testsuites>\n")
    }
}

/// Returns a test; `body` is XML.
fn test_case(file: &str, name: String, body: &str) -> Block {
    let (name, file) = (escaped(&Line::new(name)), escaped(&Line::new(file.to_owned())));
    Block::rendered(format!("<testcase name=\"{name}\" classname=\"{file}\" time=\"0\">{body}</testcase>\n"))
}

/// Returns a line as text of an element or an attribute. XML 1.0 has no control characters, which a line has not either, and neither
/// U+FFFE nor U+FFFF (XML 1.0, 2.2).
fn escaped(line: &Line) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => text.push(char::REPLACEMENT_CHARACTER),
            other => text.push(other),
        }
    }
    text
}
