//! Reads the doc comment of a source file, from which documentation pages and `muslin explain` are made.

/// Returns the doc comment of a file, in Markdown.
pub(crate) fn doc_comment(source: &str) -> String {
    source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect()
}

/// Returns the first line of the doc comment, which is one sentence.
pub(crate) fn summary(source: &str) -> &str {
    source.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! One sentence.\n//!\n//! ## Part\n//! More.\n\nuse nothing; //! not this\n";

    #[test]
    fn the_doc_comment_precedes_the_code() {
        assert_eq!(doc_comment(SOURCE), "One sentence.\n\n## Part\nMore.\n");
        assert_eq!(summary(SOURCE), "One sentence.");
    }

    #[test]
    fn a_file_without_a_doc_comment_has_empty_documentation() {
        assert_eq!((doc_comment("use nothing;\n"), summary("use nothing;\n")), (String::new(), ""));
    }
}
