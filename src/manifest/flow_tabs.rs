//! Tabs that indent lines inside brackets. kubectl's parser takes them, and muslin's does not where a block is around the brackets. So
//! they are read as spaces, byte for byte, which changes no value: such a line begins with no content of its own.

use std::ops::Range;

/// Returns the range of the brackets that begin at or behind `from` and before `before`; `None` if there are none.
pub(super) fn brackets(text: &str, from: usize, before: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut start, mut depth, mut at) = (None, 0_usize, from);
    while let Some(byte) = bytes.get(at) {
        let is_first = at == 0 || b" \t\r\n[{,:".contains(&bytes[at - 1]);
        match byte {
            b'[' | b'{' if depth > 0 || is_first && at < before => {
                start.get_or_insert(at);
                depth += 1;
            }
            b']' | b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return start.map(|start| start..at + 1);
                }
            }
            b'#' if is_first => at += text[at..].find('\n')?,
            b'"' if is_first => at += quoted(&bytes[at..], true)?,
            b'\'' if is_first => at += quoted(&bytes[at..], false)?,
            _ if depth == 0 && at >= before => return None,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Returns the offset of the closing quote.
fn quoted(bytes: &[u8], has_escapes: bool) -> Option<usize> {
    let mut at = 1;
    while bytes.get(at)? != &bytes[0] {
        at += if has_escapes && bytes[at] == b'\\' { 2 } else { 1 };
    }
    Some(at)
}

/// Returns a text whose lines in a range have spaces in place of the tabs before their first character; `None` if there are no such tabs.
pub(super) fn with_spaces(text: &str, range: Range<usize>) -> Option<String> {
    let mut changed = String::with_capacity(text.len());
    changed.push_str(&text[..range.start]);
    for (index, line) in text[range.clone()].split_inclusive('\n').enumerate() {
        let content = line.trim_start_matches([' ', '\t']);
        let blank = line.len() - content.len();
        if index == 0 {
            changed.push_str(line);
        } else {
            changed.extend(std::iter::repeat_n(' ', blank));
            changed.push_str(content);
        }
    }
    changed.push_str(&text[range.end..]);
    (changed != text).then_some(changed)
}
