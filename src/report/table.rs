//! Tables for people.

use anstyle::Style;

use crate::text::{Block, Line};

/// Returns rows as columns, each but the last padded to its widest cell.
pub fn table(rows: &[Vec<Line>]) -> Block {
    linked_table(rows, |_, _| None)
}

/// Returns rows as [`table`] does. `link` returns the address to which a cell, in its column, is a link on a terminal.
pub fn linked_table(rows: &[Vec<Line>], link: impl Fn(usize, &Line) -> Option<Line>) -> Block {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = Block::default();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_last = row[column + 1..].iter().all(|cell| cell.is_empty());
            let padding = if is_last { 0 } else { width - cell.chars().count() + 2 };
            match link(column, cell) {
                Some(address) => text.push_link(&address, cell),
                None => text.push_styled(Style::new(), cell),
            }
            text.push_styled(Style::new(), &Line::new(" ".repeat(padding)));
            if is_last {
                break;
            }
        }
        text.push(&Block::fixed("\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_takes_no_width() {
        let rows = [["RULE", "LEVEL"], ["musl-no-tcp", "warn"]].map(|row| row.map(Line::new).to_vec());
        let linked =
            linked_table(&rows, |column, cell| (column == 0 && cell.contains('-')).then(|| Line::new("https://x")));
        let link = "\u{1b}]8;;https://x\u{1b}\\musl-no-tcp\u{1b}]8;;\u{1b}\\";
        assert_eq!(linked.as_str(), table(&rows).as_str().replace("musl-no-tcp", link));
        assert_eq!(table(&rows).as_str(), "RULE         LEVEL\nmusl-no-tcp  warn\n");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_shown() {
        let rows = [["A", "B"], ["x\u{1b}", "é"], ["::error::", ""]].map(|row| row.map(Line::new).to_vec());
        assert_eq!(table(&rows).as_str(), "A               B\nx\\u{1b}         é\n\\u{3a}:error::\n");
    }
}
