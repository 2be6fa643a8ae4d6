//! The parser's errors in words for people who write manifests.

use granit_parser::ErrorKind;

use super::builder::DEPTH_MAX;

/// Returns a message about an error, without its place.
pub(super) fn error_message(kind: &ErrorKind) -> String {
    use ErrorKind as Kind;
    let message = match kind {
        Kind::UnexpectedEofFlowSequence | Kind::UnclosedFlowCollection { open: '[' } => {
            "a list that begins with [ has no ]"
        }
        Kind::UnexpectedEofFlowMapping
        | Kind::UnexpectedEofImplicitFlowMapping
        | Kind::UnclosedFlowCollection { .. } => "a map that begins with { has no }",
        Kind::UnclosedQuotedScalar | Kind::DocumentIndicatorInQuotedScalar => "a text in quotes has no closing quote",
        Kind::InvalidTrailingSingleQuotedScalar | Kind::InvalidTrailingDoubleQuotedScalar => {
            "something follows a closing quote; a comma, a comment or the end of the line is expected"
        }
        Kind::UnknownQuotedScalarEscape => "no such escape exists in double quotes; use single quotes for a backslash",
        Kind::UnknownAnchor => "this alias (*) refers to an anchor (&) that does not stand before it",
        Kind::TabNotAllowed | Kind::TabInBlockIndentation | Kind::TabInIndentation => {
            "a tab indents this line; YAML needs spaces"
        }
        Kind::TabInPlainScalar => "a tab indents the line behind this text; YAML needs spaces",
        Kind::UndeclaredTagHandle => "the prefix of this tag (!) is not declared",
        Kind::ExpectedBlockMappingKey | Kind::InvalidIndentation => {
            "a key of a map is expected here; look at the indentation"
        }
        Kind::ExpectedBlockSequenceEntry => "an item of a list (-) is expected here; look at the indentation",
        Kind::BlockSequenceEntryNotAllowed | Kind::BlockEntryInFlowCollection => {
            "an item of a list (-) cannot begin here; look at the indentation"
        }
        Kind::MappingValueNotAllowed | Kind::MappingKeyNotAllowed | Kind::InvalidColonPlacement => {
            "a key cannot stand here; look at the indentation, or quote a text with a colon in it"
        }
        Kind::SimpleKeyExpected | Kind::InvalidSimpleKey => "a key of a map has no colon",
        Kind::DirectiveDisallowed => "kubectl refuses directives such as %YAML; delete this line",
        Kind::ExpectedNodeContent => "a value is expected here",
        Kind::ExpectedFlowMappingSeparator => "a comma or } is expected here",
        Kind::ExpectedFlowSequenceSeparator => "a comma or ] is expected here",
        Kind::MisplacedFlowCollectionEnd => "this bracket closes nothing",
        Kind::RecursionLimitExceeded => return format!("lists and maps are nested more than {DEPTH_MAX} deep"),
        Kind::MismatchedFlowCollectionEnd { open, close } => return format!("a {open} is closed by a {close}"),
        Kind::UnexpectedCharacter { character } => {
            return format!("a text cannot begin with {}; quote it", character.escape_default());
        }
        kind => return kind.to_string(),
    };
    message.to_owned()
}
