//! Manifests and Helm values inside of strings: patches in a Kustomization, values in an Application of Argo CD.

use std::ops::Range;

use super::node::Node;
use super::pod_views::matches;

/// The places of such strings, by kind.
const PLACES: [(&str, &[&str]); 7] = [
    ("Kustomization", KUSTOMIZATION),
    ("Component", KUSTOMIZATION),
    ("Application", &["/spec/source/helm/values", "/spec/sources/*/helm/values"]),
    ("ApplicationSet", &["/spec/template/spec/source/helm/values", "/spec/template/spec/sources/*/helm/values"]),
    ("HelmChart", &["/spec/valuesContent"]),
    ("HelmChartConfig", &["/spec/valuesContent"]),
    ("Workflow", &["/spec/templates/*/resource/manifest"]),
];

/// The same in a file and in an object of Flux, which has a `spec`.
const KUSTOMIZATION: &[&str] =
    &["/patches/*/patch", "/patchesJson6902/*/patch", "/patchesStrategicMerge/*", "/spec/patches/*/patch"];

/// A string that holds a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerText<'n> {
    /// JSON pointer from the document.
    pub pointer: String,
    /// The string.
    pub text: &'n str,
}

/// Returns the strings of a document that can hold manifests or Helm values. A `kustomization.yaml` may leave its kind out. A path of a
/// file in one line holds none.
pub fn inner_texts(document: Node<'_>) -> Vec<InnerText<'_>> {
    let kind = document.get("kind").and_then(Node::as_text).unwrap_or("Kustomization");
    let patterns = PLACES.iter().filter(|(name, _)| *name == kind).flat_map(|(_, patterns)| *patterns);
    let strings = patterns.flat_map(|pattern| matches(document, "", pattern));
    strings
        .filter_map(|found| Some(InnerText { text: found.node.as_text()?, pointer: found.pointer }))
        .filter(|inner| inner.text.contains('\n'))
        .collect()
}

/// Returns the place in a file of a part of a string that stands there as a block, in lines of its own. `start` is where the string or its
/// key begins. `None` if the file has the lines in another form.
pub fn inner_span(file: &str, start: usize, text: &str, part: Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..part.start)?;
    let number = before.matches('\n').count();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next()?;
    let outer_start = file.get(..start)?.rfind('\n').map_or(0, |newline| newline + 1);
    // The block begins on the line of its header, or below it.
    let mut lines = file[outer_start..].split_inclusive('\n').scan(outer_start, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line.trim_end_matches(['\r', '\n'])))
    });
    let place = lines.by_ref().skip(number).take(2).find(|(_, outer)| outer.trim_start() == line.trim_start());
    let (start, outer) = place?;
    let column = (part.start - line_start) + outer.len().checked_sub(line.len())?;
    Some(start + column..start + (column + part.len()).min(outer.len()).max(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_block_has_its_place_in_the_file() {
        let text = "kind: X\nspec:\n  a: '0'\n";
        let part = text.find("'0'").unwrap();
        let file = format!("patches:\n- patch: |-\n    {}", text.trim_end().replace('\n', "\n    "));
        for start in ["|-", "patch:", "kind"].map(|word| file.rfind(word).unwrap()) {
            let span = inner_span(&file, start, text, part..part + 3).unwrap();
            assert_eq!(&file[span], "'0'");
        }
        assert_eq!(inner_span("patch: \"kind: X\\nspec:\"", 7, text, part..part + 3), None);
    }
}
