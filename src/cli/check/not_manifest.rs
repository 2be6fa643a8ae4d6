//! Recognises text that is no Kubernetes manifest although its file name looks like one: templates, fixtures and files of other
//! programs. Decides by the text and by the names of folders alone.

use std::path::Path;

/// Why a text is no manifest, or does not have to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotManifest {
    /// A template, from which another program makes manifests.
    Template,
    /// A file in a folder of test data.
    Fixture,
    /// A file without `apiVersion` and `kind`.
    Other,
    /// A link to a file that does not exist.
    BrokenLink,
}

/// Folders of test data, which may be broken on purpose.
const FIXTURES: [&str; 8] =
    ["testdata", "test-data", "test_data", "fixtures", "fixture", "__fixtures__", "test-fixtures", "__snapshots__"];

/// Beginnings of a value that no YAML value has, and that templates have: those of Helm and Jinja (`{{`, `{%`, `{#`), ERB (`<%`) and
/// Terraform (`%{`).
const TEMPLATE_MARKS: [&str; 5] = ["{{", "{%", "{#", "<%", "%{"];

/// Returns why a text in a folder is no manifest; `None` if it looks like one.
pub(super) fn why_no_manifest(path: &Path, text: &str) -> Option<NotManifest> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    if folders.filter_map(|folder| folder.as_os_str().to_str()).any(|folder| FIXTURES.contains(&folder)) {
        return Some(NotManifest::Fixture);
    }
    if is_template(text) {
        return Some(NotManifest::Template);
    }
    (!(has_key(text, "apiVersion") && has_key(text, "kind"))).then_some(NotManifest::Other)
}

/// Returns whether a line, or a value on it, begins as only templates do.
pub(super) fn is_template(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start().trim_start_matches("- ").trim_start();
        let value = line.split_once(": ").map(|(_, value)| value.trim_start());
        [Some(line), value]
            .into_iter()
            .flatten()
            .any(|part| TEMPLATE_MARKS.iter().any(|mark| part.starts_with(mark)) || is_placeholder(part))
    })
}

/// Returns whether a value begins with a placeholder, `@NAME@` or `%NAME%`. YAML reserves both characters there (YAML 1.2.2, 5.3,
/// c-reserved and c-directive).
fn is_placeholder(value: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    ['@', '%'].into_iter().any(|mark| {
        value.strip_prefix(mark).and_then(|rest| rest.split_once(mark)).is_some_and(|(name, _)| is_name(name))
    })
}

/// Returns whether a text has a key: first on its line, or in quotes.
fn has_key(text: &str, key: &str) -> bool {
    text.match_indices(key).any(|(start, _)| {
        let before = &text[..start];
        let after = &text[start + key.len()..];
        let quoted = before.ends_with(['"', '\'']) && after.starts_with(['"', '\'']);
        let after = after.strip_prefix(['"', '\'']).unwrap_or(after).trim_start_matches(' ');
        let mut line = before.chars().rev().take_while(|c| *c != '\n');
        let first = line.all(|c| matches!(c, ' ' | '\t' | '-' | '{' | '"' | '\'' | '?' | '\u{feff}'));
        (first || quoted) && after.starts_with(':')
    })
}

// === impl NotManifest ===

impl NotManifest {
    /// Returns what such files are, for a sentence with their number.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Template => "not YAML but templates; check what they are rendered to",
            Self::Fixture => "broken test data",
            Self::Other => "not YAML, and without apiVersion and kind",
            Self::BrokenLink => "links to files that do not exist",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_templates_by_what_no_yaml_value_begins_with() {
        for template in [
            "{{- if .Values.on }}\nkind: Pod\n{{- end }}\n",
            "metadata:\n  name: {{ .Release.Name }}\n",
            "{% for pod in pods %}\nkind: Pod\n{% endfor %}\n",
            "{# comment #}\nkind: Pod\n",
            "<% if x %>\nkind: Pod\n<% end %>\n",
            "%{ for x in y }\nkind: Pod\n%{ endfor }\n",
            "image: @IMAGE@\n",
            "replicas: %REPLICAS%\n",
            "- {{ x }}\n",
            "  - name: {{ x }}\n",
        ] {
            assert!(is_template(template), "{template}");
        }
        for manifest in [
            "%YAML 1.2\n---\nkind: Pod\n",
            "args: [\"{{inputs.parameters.x}}\"]\n",
            "name: web-{{ x }}\n",
            "command: {a: b}\n",
            "email: a@b\n",
            "app.py: |\n  @app.route('/')\n  %timeit x\n  ```\n",
            "",
        ] {
            assert!(!is_template(manifest), "{manifest}");
        }
    }

    #[test]
    fn knows_manifests_by_their_keys() {
        for manifest in [
            "apiVersion: v1\nkind: Pod\nmetadata: [",
            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",",
            "{\n  \"kind\" : \"Pod\",\n  \"apiVersion\" : \"v1\",",
            "- apiVersion: v1\n  kind: Pod\n  a: [",
            "'apiVersion': v1\n'kind': Pod\na: [",
        ] {
            assert_eq!(why_no_manifest(Path::new("a.yaml"), manifest), None, "{manifest}");
        }
        for other in [
            "a: [",
            "# apiVersion: v1\n# kind: Pod\na: [",
            "apiVersion: v2\nname: web\na: [",
            "see apiVersion: and kind: of",
        ] {
            assert_eq!(why_no_manifest(Path::new("a.yaml"), other), Some(NotManifest::Other), "{other}");
        }
        let text = "apiVersion: v1\nkind: Pod\na: [";
        assert_eq!(why_no_manifest(Path::new("pkg/testdata/bad/a.yaml"), text), Some(NotManifest::Fixture));
        assert_eq!(why_no_manifest(Path::new("fixtures.yaml"), text), None);
    }
}
