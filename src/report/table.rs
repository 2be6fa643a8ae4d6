//! Tables for people.

use crate::text::{Block, Line};

/// Returns rows as columns, each but the last padded to its widest cell.
pub fn table(rows: &[Vec<Line>]) -> Block {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = Block::default();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_line(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_shown() {
        let rows = [["A", "B"], ["x\u{1b}", "é"], ["::error::", ""]].map(|row| row.map(Line::new).to_vec());
        assert_eq!(table(&rows).as_str(), "A               B\nx\\u{1b}         é\n\\u{3a}:error::\n");
    }
}
