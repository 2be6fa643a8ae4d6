//! The checks as a table for people, and as JSON.

use anstyle::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;

use crate::doctor::{Check, Status, is_healthy};
use crate::report::SchemaVersion;
use crate::text::{Block, Line};

/// The width of a line.
const WIDTH: usize = 80;
/// The widths of the columns before the text.
const STATUS_WIDTH: usize = 9;
const CHECK_WIDTH: usize = 13;

/// The output of `muslin doctor -o json`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DoctorDocument<'c> {
    #[serde(rename = "schemaVersion")]
    version: SchemaVersion<1>,
    /// False if something is wrong or could not be checked.
    healthy: bool,
    /// muslin's namespace.
    namespace: &'c str,
    /// Every check.
    checks: &'c [Check],
}

/// Returns one JSON document.
pub(super) fn json(namespace: &str, checks: &[Check]) -> Block {
    Block::indented_json(&DoctorDocument { version: SchemaVersion, healthy: is_healthy(checks), namespace, checks })
}

/// Returns a table of at most 80 columns, as far as words allow, and a last line with the result.
pub(super) fn table(namespace: &str, checks: &[Check]) -> Block {
    let mut block = Block::default();
    for Check { check, status, message, fix } in checks {
        let padded = |text: &str, width: usize| Line::new(format!("{text:width$}"));
        block.push_styled(style(*status), &padded(status.name(), STATUS_WIDTH));
        block.push_styled(Style::new(), &padded(check, CHECK_WIDTH));
        push_text(&mut block, message, true);
        if let Some(fix) = fix {
            push_text(&mut block, &format!("fix: {fix}"), false);
        }
    }
    let result = if is_healthy(checks) { "healthy" } else { "not healthy" };
    block.push_line("");
    block.push_line(format!("muslin in namespace {namespace} is {result}"));
    block
}

/// Adds a text in lines of the last column. `is_begun` means that the first line already has its columns.
fn push_text(block: &mut Block, text: &str, is_begun: bool) {
    let indent = STATUS_WIDTH + CHECK_WIDTH;
    for (index, line) in wrapped(&Line::new(text.to_owned()), WIDTH - indent).into_iter().enumerate() {
        let before = if is_begun && index == 0 { 0 } else { indent };
        block.push_line(format!("{}{line}", " ".repeat(before)));
    }
}

/// Returns the lines of a text. A word that is longer than a line stays whole, so that it can be copied.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn style(status: Status) -> Style {
    let colour = match status {
        Status::Ok => AnsiColor::Green,
        Status::Warning | Status::Unknown => AnsiColor::Yellow,
        Status::Wrong => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Status, message: &str, fix: Option<&str>) -> Check {
        Check { check: "service", status, message: message.to_owned(), fix: fix.map(str::to_owned) }
    }

    #[test]
    fn a_line_of_the_table_fits_80_columns_and_hides_nothing_of_the_cluster() {
        let long = "the selector of the Service muslin does not match the labels of the pod muslin-7d8c9 \u{1b}[2J\n::error::x";
        let text = table("muslin", &[check(Status::Wrong, long, Some(long)), check(Status::Ok, "fine", None)]);
        let plain = anstream::adapter::strip_str(text.as_str()).to_string();
        assert!(plain.lines().all(|line| line.chars().count() <= WIDTH), "{plain}");
        assert!(plain.contains("\\u{1b}[2J\\n"), "{plain}");
        assert!(plain.starts_with("wrong    service      the selector of"), "{plain}");
        assert!(plain.ends_with("muslin in namespace muslin is not healthy\n"), "{plain}");
    }

    #[test]
    fn the_json_has_a_version_and_says_whether_muslin_is_healthy() {
        let json: serde_json::Value =
            serde_json::from_str(json("muslin", &[check(Status::Unknown, "m", None)]).as_str()).unwrap();
        let checks = serde_json::json!([{ "check": "service", "status": "unknown", "message": "m" }]);
        let wanted =
            serde_json::json!({ "schemaVersion": 1, "healthy": false, "namespace": "muslin", "checks": checks });
        assert_eq!(json, wanted);
    }
}
