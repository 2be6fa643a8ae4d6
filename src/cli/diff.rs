//! Unified diffs, as `git apply` and `patch -p1` read them.

use std::time::Duration;

use similar::{Algorithm, TextDiff};

/// The time after which a diff may be longer than necessary.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns the changes of a file.
pub(super) fn unified_diff(name: &str, before: &str, after: &str) -> String {
    let before: Vec<&str> = before.split_inclusive('\n').collect();
    let after: Vec<&str> = after.split_inclusive('\n').collect();
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Patience)
        .timeout(PATIENCE)
        .newline_terminated(true)
        .diff_slices(&before, &after);
    diff.unified_diff().header(&header("a", name), &header("b", name)).to_string()
}

/// Returns a file name below `a/` or `b/`, quoted as git does if it has characters that a header cannot have
/// (git `quote.c`, `quote_c_style`).
fn header(side: &str, name: &str) -> String {
    let path = format!("{side}/{}", name.trim_start_matches('/'));
    if !path.bytes().any(|byte| !(b' '..0x7f).contains(&byte) || byte == b'"' || byte == b'\\') {
        return path;
    }
    let mut quoted = String::from("\"");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            other => quoted.push_str(&format!("\\{other:03o}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_line_ends_and_marks_a_missing_one() {
        let diff = unified_diff("/x/a.yaml", "a: 1\r\nb: 2", "a: 1\r\nb: 3");
        assert_eq!(
            diff,
            "--- a/x/a.yaml\n+++ b/x/a.yaml\n@@ -1,2 +1,2 @@\n a: 1\r\n-b: 2\n\\ No newline at end of file\n+b: 3\n\\ No newline at end of file\n"
        );
        assert_eq!(unified_diff("a", "b\n", "b\n"), "");
    }

    #[test]
    fn a_file_name_cannot_add_a_line() {
        assert_eq!(header("a", "x\n+++ y\u{1b}é\""), "\"a/x\\012+++ y\\033\\303\\251\\\"\"");
        assert_eq!(header("b", "dir b/c.yaml"), "b/dir b/c.yaml");
    }
}
