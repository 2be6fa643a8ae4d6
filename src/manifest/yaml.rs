//! YAML documents as trees. The syntax is the parser's, the meaning of scalars `kubectl`'s.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag, options};

use super::builder::{Builder, DEPTH_MAX};
use super::flow_tabs;
use super::kubectl_refuses::{self, Before};
use super::parse_error::ParseError;
use super::scalar::{self, Scalar};
use super::tree::{Kind, OwnedScalar};
use super::yaml_errors::error_message;

/// Most bytes that are parsed again because kubectl's parser takes what this one does not; and most such places, if the text is small.
const AGAIN_MAX: (usize, usize) = (64 << 20, 16);

/// Parses the first document of a text, as kubectl does; says where another follows.
pub(super) fn parse<'t>(
    text: &'t str,
    builder: impl Fn() -> Result<Builder<'t>, ParseError>,
) -> Result<Builder<'t>, ParseError> {
    let mut source = Cow::Borrowed(text);
    for again in 0.. {
        let mut reader = Reader::new(text, builder()?);
        let Err(failure) = reader.read(&source) else { return Ok(reader.builder) };
        let is_last = again > AGAIN_MAX.1 && again * text.len() > AGAIN_MAX.0;
        let from = reader.builder.outermost_flow().unwrap_or(reader.end);
        match failure.taken.filter(|_| !is_last).and_then(|taken| taken.rewritten(&source, from)) {
            Some(rewritten) => source = Cow::Owned(rewritten),
            None => return Err(failure.error),
        }
    }
    builder()
}

/// Why the parser stopped.
struct Failure {
    error: ParseError,
    taken: Option<Taken>,
}

/// Something that kubectl's parser takes and this one does not, with its offset.
#[derive(Clone, Copy)]
enum Taken {
    /// A tab that indents a line inside brackets.
    Tab(usize),
    /// A comment without a blank before it.
    Comment(usize),
    /// A dash alone inside brackets.
    Dash(usize),
}

// === impl Taken ===

impl Taken {
    /// Returns the text with something in that place that both parsers take, byte for byte. `from` is where the last brackets may begin.
    fn rewritten(self, source: &str, from: usize) -> Option<String> {
        let (start, end, with) = match self {
            Self::Tab(offset) => return flow_tabs::with_spaces(source, flow_tabs::brackets(source, from, offset)?),
            Self::Comment(offset) => {
                let start = offset + source[offset..].find('#')?;
                (start, source[start..].find(['\r', '\n']).map_or(source.len(), |end| start + end), " ")
            }
            Self::Dash(offset) => {
                let rest = &source[offset..];
                let start = offset + (rest.len() - rest.trim_start().len());
                (start, start + source[start..].strip_prefix('-').map(|_| 1)?, DASH)
            }
        };
        let mut rewritten = String::with_capacity(source.len());
        rewritten.push_str(&source[..start]);
        rewritten.extend(std::iter::repeat_n(with, end - start));
        rewritten.push_str(&source[end..]);
        (rewritten != source).then_some(rewritten)
    }
}

/// Stands for a dash alone inside brackets.
const DASH: &str = "_";

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self { error, taken: None }
    }
}

/// Gives the parser's events to a builder.
struct Reader<'t> {
    text: &'t str,
    builder: Builder<'t>,
    /// The last value is a list or map that is open.
    last_is_open: bool,
    /// The end of the last event.
    end: usize,
    /// The last scalar, alias or bracket, and its end.
    before: Before,
    before_end: usize,
    /// The start of the list or map around the brackets.
    around_brackets: Option<usize>,
    has_tabs: bool,
}

// === impl Reader ===

impl<'t> Reader<'t> {
    fn new(text: &'t str, builder: Builder<'t>) -> Self {
        let has_tabs = text.contains('\t');
        Self {
            text,
            builder,
            last_is_open: false,
            end: 0,
            before: Before::Line,
            before_end: 0,
            around_brackets: None,
            has_tabs,
        }
    }

    /// Reads the first document. `source` is the text, or a copy with spaces in place of some tabs.
    fn read(&mut self, source: &str) -> Result<(), Failure> {
        let options = options! {
            emit_anchor_events: true,
            emit_comments: false,
            disallow_directives: true,
            bom_inside_document_as_content: true,
            flow_nesting_limit: DEPTH_MAX,
            block_nesting_limit: DEPTH_MAX,
        };
        let mut parser = Parser::new_from_str_with_options(source, options);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| failure(&error, source))?;
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            self.event(event, &span)?;
        }
        let unread = match parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => None,
            Some(Ok((_, span))) => Some(span.byte_range().unwrap_or_default().start),
            Some(Err(error)) => Some(offset(&error, source)),
        };
        let rest = &self.text[self.before_end..];
        let Some(unread) = unread else {
            return Ok(self.check_between(rest.find("\n...").map_or(self.text.len(), |end| self.before_end + end))?);
        };
        // kubectl reads no more than the first character behind the document.
        self.check_between(kubectl_refuses::end_of_blanks(self.text, self.before_end))?;
        self.builder.remark_unread(unread);
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), ParseError> {
        let range = span.byte_range().unwrap_or_default();
        self.end = range.end;
        match event {
            Event::Scalar(value, style, _, tag) => {
                self.last_is_open = false;
                self.check_scalar(style, &range, span.indent.unwrap_or_default())?;
                let range = self.range_of_scalar(style, range, span.indent);
                self.scalar(value, style, tag.as_deref(), range)
            }
            Event::Alias(id) => {
                kubectl_refuses::anchor(self.text, range.clone())?;
                self.check_token(&range)?;
                // The parser's numbers begin at 1.
                self.builder.alias(id.saturating_sub(1), range)
            }
            Event::Anchor(_, _) => {
                kubectl_refuses::anchor(self.text, range.clone())?;
                self.builder.anchor(range, self.last_is_open);
                Ok(())
            }
            Event::SequenceStart(style, _, _) => {
                self.last_is_open = true;
                if style == StructureStyle::Flow {
                    self.check_bracket(range.start)?;
                    self.builder.open(Kind::FlowList, range.start)
                } else {
                    self.builder.open(Kind::BlockList, self.first_dash(range.start))
                }
            }
            Event::MappingStart(style, _, _) => {
                self.last_is_open = true;
                let is_flow = style == StructureStyle::Flow;
                if is_flow && self.text[range.start..].starts_with('{') {
                    self.check_bracket(range.start)?;
                }
                self.builder.open(if is_flow { Kind::FlowMap } else { Kind::BlockMap }, range.start)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if self.is_in_brackets() && self.text[..range.end].ends_with([']', '}']) {
                    self.check_between(range.end - 1)?;
                    (self.before, self.before_end) = (Before::Token, range.end);
                }
                self.builder.close(range.end)
            }
            _ => Ok(()),
        }
    }

    fn is_in_brackets(&self) -> bool {
        self.builder.innermost().is_some_and(|(_, is_flow)| is_flow)
    }

    /// Checks the text before a scalar, alias or bracket.
    fn check_between(&self, end: usize) -> Result<(), ParseError> {
        if !self.has_tabs || end <= self.before_end {
            return Ok(());
        }
        let range = self.before_end..end;
        match self.before {
            _ if !self.is_in_brackets() => kubectl_refuses::between(self.text, range, self.before),
            Before::Plain(block) => kubectl_refuses::after_plain(self.text, range, block).map(drop),
            _ => Ok(()),
        }
    }

    /// Checks the text before an opening bracket.
    fn check_bracket(&mut self, start: usize) -> Result<(), ParseError> {
        if !self.is_in_brackets() {
            self.around_brackets = self.builder.innermost().map(|(start, _)| start);
        }
        self.check_token(&(start..start + 1))
    }

    fn check_token(&mut self, range: &Range<usize>) -> Result<(), ParseError> {
        self.check_between(range.start)?;
        (self.before, self.before_end) = (Before::Token, range.end);
        Ok(())
    }

    /// Refuses a scalar that kubectl refuses. `range` and `indent` are those of the parser.
    fn check_scalar(&mut self, style: ScalarStyle, range: &Range<usize>, indent: usize) -> Result<(), ParseError> {
        let text = self.text;
        if range.is_empty() {
            return Ok(());
        }
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            let header = text[self.before_end..].find(['|', '>']).map_or(range.start, |at| self.before_end + at);
            self.check_between(header)?;
            if self.has_tabs {
                kubectl_refuses::block_scalar(text, header, range.end, indent)?;
            }
            (self.before, self.before_end) = (Before::Line, self.range_of_block_scalar(range.clone(), indent).end);
            return Ok(());
        }
        self.check_token(range)?;
        match style {
            ScalarStyle::Plain => {
                let innermost = self.builder.innermost();
                let is_in_brackets = innermost.is_some_and(|(_, is_flow)| is_flow);
                let block = if is_in_brackets { self.around_brackets } else { innermost.map(|(start, _)| start) };
                self.before = Before::Plain(block);
                if self.has_tabs {
                    kubectl_refuses::plain_lines(text, range.clone(), block)?;
                }
                if is_in_brackets {
                    kubectl_refuses::plain_in_brackets(text, range.clone(), self.builder.expects_key())?;
                }
            }
            ScalarStyle::DoubleQuoted => kubectl_refuses::escapes(text, range.clone())?,
            _ => {}
        }
        if self.is_in_brackets() && self.builder.expects_key() {
            kubectl_refuses::key_in_brackets(text, range.clone())?;
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        value: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        range: Range<usize>,
    ) -> Result<(), ParseError> {
        let is_key = self.builder.expects_key();
        if let Some(tag) = tag {
            return self.tagged_scalar(&value, &format!("{}{}", tag.handle(), tag.suffix()), range);
        }
        let text = &self.text[range.clone()];
        let is_plain = style == ScalarStyle::Plain;
        let value = if is_plain && *value == *DASH { Cow::Borrowed(text) } else { value };
        if is_plain && is_key {
            let Some(key) = scalar::key_text(&value) else { return Err(null_key(range.start)) };
            return if key == text {
                self.builder.leaf(Kind::Bare, range)
            } else {
                self.builder.owned(OwnedScalar::Text(key.into()), range)
            };
        }
        if is_plain && (*value == *text || text.is_empty()) {
            return self.builder.leaf(Kind::Plain, range);
        }
        if !is_plain && text.len() == value.len() + 2 && text.starts_with(['"', '\'']) && text[1..].starts_with(&*value)
        {
            return self.builder.leaf(Kind::Quoted, range);
        }
        let owned = match scalar::resolve(&value) {
            Scalar::Null if is_plain => OwnedScalar::Other(Scalar::Null),
            Scalar::Bool(value) if is_plain => OwnedScalar::Other(Scalar::Bool(value)),
            Scalar::Number(number) if is_plain => OwnedScalar::Other(Scalar::Number(number)),
            _ => OwnedScalar::Text(value.into()),
        };
        self.builder.owned(owned, range)
    }

    fn tagged_scalar(&mut self, value: &str, tag: &str, range: Range<usize>) -> Result<(), ParseError> {
        let failed = |message: String| ParseError { offset: range.start, message };
        if tag.strip_prefix(scalar::CORE) == Some("binary") {
            let bytes = BASE64_STANDARD
                .decode(value.replace(['\r', '\n'], ""))
                .map_err(|_| failed("!!binary needs base64".to_owned()))?;
            return self.builder.owned(OwnedScalar::Text(String::from_utf8_lossy(&bytes).into()), range);
        }
        let resolved = scalar::with_tag(tag, value).map_err(failed)?;
        let owned = match resolved {
            Scalar::Null if self.builder.expects_key() => return Err(null_key(range.start)),
            Scalar::Bool(value) if self.builder.expects_key() => OwnedScalar::Text(value.to_string().into()),
            Scalar::Number(number) if self.builder.expects_key() => OwnedScalar::Text(number.to_string().into()),
            Scalar::Null => OwnedScalar::Other(Scalar::Null),
            Scalar::Bool(value) => OwnedScalar::Other(Scalar::Bool(value)),
            Scalar::Number(number) => OwnedScalar::Other(Scalar::Number(number)),
            Scalar::Text(text) => OwnedScalar::Text(text.into()),
        };
        self.builder.owned(owned, range)
    }

    /// Returns the place of a scalar: an empty one stands behind its key's colon.
    fn range_of_scalar(&self, style: ScalarStyle, range: Range<usize>, indent: Option<usize>) -> Range<usize> {
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) && !range.is_empty() {
            return self.range_of_block_scalar(range, indent.unwrap_or_default());
        }
        if !range.is_empty() {
            return range;
        }
        match self.builder.key_before() {
            Some(key) => {
                let colon = self.after_colon(key.end).unwrap_or(key.end);
                colon..colon
            }
            None if self.builder.end() == 0 => range,
            None => self.builder.end()..self.builder.end(),
        }
    }

    /// Returns the offset behind the colon that follows a key.
    fn after_colon(&self, end: usize) -> Option<usize> {
        let rest = &self.text[end..];
        let colon = rest.find(|c: char| !c.is_whitespace()).filter(|colon| rest[*colon..].starts_with(':'))?;
        Some(end + colon + 1)
    }

    /// The parser's range of a block scalar (`|`) begins with its first line and may reach to the next token. Only lines with its
    /// indent, and blank lines, belong to it.
    fn range_of_block_scalar(&self, range: Range<usize>, indent: usize) -> Range<usize> {
        let mut end = range.start;
        for line in self.text[range.clone()].split_inclusive('\n') {
            let content = line.trim_start_matches(' ');
            let is_deeper = end == range.start || line.len() - content.len() >= indent;
            if !is_deeper && !content.trim_end().is_empty() {
                break;
            }
            end += line.len();
        }
        // The last line may be the indent of what follows.
        let text = self.text[range.start..end].trim_end_matches(' ');
        let end = if text.ends_with('\n') { range.start + text.len() } else { end };
        range.start..end
    }

    /// Returns the offset of the first dash of a block list. If the dash stands in the column of the list's key, the parser gives the
    /// place of the first item.
    fn first_dash(&self, start: usize) -> usize {
        let Some(mut at) = self.builder.key_before().and_then(|key| self.after_colon(key.end)) else { return start };
        while at < start {
            let rest = &self.text[at..start];
            let blank = rest.len() - rest.trim_start().len();
            at += blank;
            match rest[blank..].chars().next() {
                Some('-') => return at,
                Some('#') => at += rest[blank..].find('\n').unwrap_or(rest.len() - blank),
                // An anchor or a tag.
                Some('&' | '!') => at += rest[blank..].find(char::is_whitespace).unwrap_or(rest.len() - blank),
                _ => return start,
            }
        }
        start
    }
}

fn null_key(offset: usize) -> ParseError {
    ParseError { offset, message: "a key is empty or null, which kubectl refuses; quote it".into() }
}

fn offset(error: &ScanError, text: &str) -> usize {
    text.floor_char_boundary(error.marker().byte_offset().unwrap_or_default())
}

fn failure(error: &ScanError, text: &str) -> Failure {
    let offset = offset(error, text);
    let taken = match error.kind() {
        ErrorKind::TabInBlockIndentation => Some(Taken::Tab(offset)),
        ErrorKind::CommentNotSeparated => Some(Taken::Comment(offset)),
        ErrorKind::PlainScalarStartsWithDashFlowIndicator => Some(Taken::Dash(offset)),
        _ => None,
    };
    Failure { error: ParseError { offset, message: error_message(error.kind()) }, taken }
}
