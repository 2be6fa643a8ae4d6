//! What a source file says of itself in its doc comment, for the pages and the answers that are made of it.

/// The doc comment of a file, in Markdown.
pub(crate) fn of(source: &str) -> String {
    source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect()
}

/// Its first line, which is one sentence.
pub(crate) fn summary_of(source: &str) -> &str {
    source.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! One sentence.\n//!\n//! ## Part\n//! More.\n\nuse nothing; //! not this\n";

    #[test]
    fn the_doc_comment_is_what_stands_before_the_code() {
        assert_eq!(of(SOURCE), "One sentence.\n\n## Part\nMore.\n");
        assert_eq!(summary_of(SOURCE), "One sentence.");
    }

    #[test]
    fn a_file_without_one_says_nothing() {
        assert_eq!((of("use nothing;\n"), summary_of("use nothing;\n")), (String::new(), ""));
    }
}
