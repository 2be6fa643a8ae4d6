//! The findings for which a namespace in mode `enforce` denies a pod, as a table: what one option means for one kind of image, whatever else
//! the pod has; and what the engine denies only in a whole situation. Must not know the policies.

use std::collections::BTreeMap;

use super::cel::{self, Table};
use super::conditions::inherits;
use super::engine::{Engine, Found};
use super::images::Kind;
use super::variables::{Variable, kind_key};
use super::vocabulary::{DnsPolicy, Situation, situations};

/// Stands for the container's name in a text.
const NAME: char = '\t';

/// The entries of the table: the key of a kind with an option or a situation → the findings, each with [`NAME`] where it is about a
/// container.
pub(super) type Entries = BTreeMap<String, Vec<String>>;

/// Returns the table's entries.
pub(super) fn entries(engine: &Engine<'_>, kinds: &[Kind]) -> Entries {
    let mut entries = Entries::new();
    let situations = situations();
    for (index, kind) in kinds.iter().enumerate() {
        let found: Vec<(&Situation, Vec<String>)> = situations
            .iter()
            .map(|situation| (situation, engine.denials(situation, kind).iter().map(text_of).collect()))
            .collect();
        let of = |policy: &str, options: &[String]| {
            let same = |(situation, _): &&(&Situation, Vec<String>)| {
                situation.policy.key() == policy && situation.options == options
            };
            found.iter().find(same).map(|(_, texts)| texts.clone()).unwrap_or_default()
        };
        for (situation, texts) in &found {
            let Situation { policy, options } = situation;
            let singles = options.iter().filter(|_| options.len() > 1).map(|option| vec![option.clone()]);
            let parts = singles.chain((!options.is_empty()).then(Vec::new));
            let known: Vec<String> = parts.flat_map(|part| of(&policy.key(), &part)).collect();
            let new: Vec<String> = texts.iter().filter(|text| !known.contains(text)).cloned().collect();
            if new.is_empty() {
                continue;
            }
            let is_everywhere = options.len() < 2
                && DnsPolicy::ALL.iter().all(|policy| new.iter().all(|text| of(&policy.key(), options).contains(text)));
            let policy = if is_everywhere { String::new() } else { policy.key() };
            entries.insert(format!("{}|{policy}|{}", kind_key(index), options.join(" ")), new);
        }
    }
    entries
}

fn text_of(found: &Found) -> String {
    let Found { slug, container, message, help, .. } = found;
    let name = container.map(|_| format!("{NAME}: ")).unwrap_or_default();
    format!("{slug}: {name}{message} (fix: {help})")
}

/// Returns the variables of the policy after `images`, the variables with the table of images: `denials` has the findings that are new.
pub(super) fn variables(entries: &Entries, kind_of_container: &str) -> Vec<Variable> {
    let literals = entries.iter().map(|(key, texts)| (key.clone(), cel::texts(texts))).collect();
    let table = Table::new("denied", &literals, "['']");
    let mut variables: Vec<Variable> = table.variables().collect();
    let mut add = |name: &str, expression: String| variables.push((name.to_owned(), expression));
    add("inherits", inherits());
    add("key", "variables.named.map(found, found[0]).join(' ')".to_owned());
    let containers = |object: &str| {
        let list = |field: &str| format!("(has({object}.spec.{field}) ? {object}.spec.{field} : [])");
        format!("{} + {} + {}", list("initContainers"), list("containers"), list("ephemeralContainers"))
    };
    let name = cel::text(&NAME.to_string());
    // Pairs of the rule with the container, and the sentence.
    let found = |containers: &str, wanted: &str| {
        let keys = "(([''] + variables.texts).map(text, kind + '||' + text) + (variables.inherits ? ([''] + variables.texts + \
                    (size(variables.texts) > 1 ? [variables.key] : [])).map(text, kind + '|' + variables.dns + '|' + text) : []))";
        let texts = format!(
            "{keys}.filter(key, {}).map(key, {}.map(text, {wanted}).filter(text, text != '').join('\\n'))",
            table.has("key"),
            table.get("key")
        );
        let of_kind = cel::bind("kind", kind_of_container, &format!("{texts}.filter(text, text != '').join('\\n')"));
        format!("({containers}).map(c, {of_kind}).filter(text, text != '')")
    };
    let case = "text.split(': ')[0] + ' ' + c.name";
    add(
        "deniedBefore",
        format!("request.operation != 'UPDATE' ? [] : {}", flat(&found(&containers("oldObject"), case))),
    );
    let wanted = format!("{case} in variables.deniedBefore ? '' : text.replace({name}, c.name)");
    add("denials", flat(&found(&containers("object"), &wanted)));
    variables
}

/// Returns the lines of texts.
fn flat(texts: &str) -> String {
    cel::bind("texts", texts, "size(texts) == 0 ? [] : texts.join('\\n').split('\\n')")
}
