//! The variables of a policy: what it reads in a pod, and the case that it looks up. The expressions hold tables from the engine, and
//! decide nothing by themselves. Must not know what is done with the case.

use std::collections::BTreeMap;

use super::cases::{Case, Cases, KindTexts, Row, row_key};
use super::cel::{self, Table};
use super::conditions::{self, CONTAINERS};
use super::groups::{Group, Texts};
use super::images::{ANY_COMMAND, COMMANDS, Images, USUAL_COMMAND};
use super::vocabulary::names;
use crate::image::ALPINE_PROGRAMS_WITH_C_ARES;
use crate::plan::{ANNOTATION_LINE_MAX, ANNOTATION_LINES_MAX, FIXED, NAMES_MAX};
use crate::pod::INJECTED_ANNOTATION;
use crate::policy::{MODE_LABEL, Mode};

/// The most containers and the most options of a pod that policies look at: more than nearly every pod has, and few enough that walking
/// over pairs of them stays cheap.
pub(super) const ITEMS_MAX: usize = 16;

/// A variable: its name and its expression.
pub(super) type Variable = (String, String);

/// Returns the variables that every policy of a profile has, in an order in which each uses the ones before it.
pub(super) fn variables(images: &Images, kinds: &[KindTexts], cases: &Cases, default_mode: Mode) -> Vec<Variable> {
    let mut variables = pod_variables();
    let (mode, default) = (cel::text(MODE_LABEL), cel::text(default_mode.name()));
    variables.push(variable(
        "mode",
        format!(
            "has(namespaceObject.metadata.labels) && {mode} in namespaceObject.metadata.labels ? \
             namespaceObject.metadata.labels[{mode}] : {default}"
        ),
    ));
    // What an earlier pass set is not the author's, but what it replaced is: `attempts:2 (was attempts:0)`.
    variables.extend(dns_variables(&format!(
        "{OPTIONS}.filter(text, !(text in variables.claimed)) + variables.claimed.filter(text, text.endsWith(')')).map(text, \
         text.substring(0, size(text) - 1))"
    )));
    let table = image_table(images);
    variables.extend(table.variables());
    variables.push(variable("kinds", format!("variables.containers.map(c, {})", kind_of_container(&table))));
    variables.push(variable("resolverOf", texts_of(kinds, |kind| &kind.resolver)));
    variables.push(variable("libcOf", texts_of(kinds, |kind| &kind.libc)));
    variables.push(variable("row", row_of_pod(&cases.rows)));
    variables.extend(case_variables(cases));
    variables.push(variable("lines", lines_of_groups()));
    variables.push(variable("isKnown", is_known()));
    variables
}

fn variable(name: &str, expression: impl Into<String>) -> Variable {
    (name.to_owned(), expression.into())
}

/// Returns the table of images: the key of a container → the key of its kind.
pub(super) fn image_table(images: &Images) -> Table {
    let entries = images.entries.iter().map(|(key, kind)| (key.clone(), cel::text(&kind_key(*kind)))).collect();
    Table::new("images", &entries, "''")
}

/// Returns the key of a kind in tables.
pub(super) fn kind_key(kind: usize) -> String {
    format!("k{kind}")
}

fn texts_of(kinds: &[KindTexts], text: fn(&KindTexts) -> &String) -> String {
    let keys: Vec<String> = (0..kinds.len()).map(kind_key).collect();
    let entries = keys.iter().zip(kinds).map(|(key, kind)| (key.as_str(), cel::text(text(kind))));
    cel::map([("", cel::text(""))].into_iter().chain(entries))
}

/// The options of the pod, as texts.
pub(super) const OPTIONS: &str = "variables.texts";

/// The variables of the pod as a whole.
fn pod_variables() -> Vec<Variable> {
    let injected = cel::text(INJECTED_ANNOTATION);
    let numbers: Vec<String> = (0..ITEMS_MAX).map(|number| number.to_string()).collect();
    vec![
        variable("numbers", format!("[{}]", numbers.join(", "))),
        variable("containers", CONTAINERS),
        variable("indexes", "variables.numbers.filter(number, number < size(variables.containers))"),
        variable(
            "claimed",
            format!(
                "has(object.metadata.annotations) && {injected} in object.metadata.annotations ? \
                 object.metadata.annotations[{injected}].split(' ') : []"
            ),
        ),
    ]
}

/// The pod's DNS settings. `authored` are the options that count as the author's.
pub(super) fn dns_variables(authored: &str) -> Vec<Variable> {
    vec![
        variable("options", conditions::OPTIONS),
        variable("texts", conditions::texts("variables.options")),
        variable("authored", authored),
        // The author's options by name, in the order of the table's keys. A pod with more of them is not known.
        variable(
            "named",
            format!(
                "size(variables.authored) > {ITEMS_MAX} ? [] : {}.map(name, variables.authored.filter(text, text == name || \
                 text.startsWith(name + ':'))).filter(found, size(found) > 0)",
                cel::texts(names())
            ),
        ),
        variable("dns", conditions::dns_policy()),
    ]
}

/// Returns an expression with the key of the kind of a container (`c`); empty for an image that is not known.
pub(super) fn kind_of_container(images: &Table) -> String {
    let programs = cel::texts(ALPINE_PROGRAMS_WITH_C_ARES);
    let is_plain = format!(
        "!c.command[0].contains('$(') && !{programs}.exists(name, c.command[0] == name || c.command[0].endsWith('/' + name))"
    );
    let commands = cel::texts(COMMANDS);
    let usual =
        format!("c.image + (c.command[0] in {commands} ? '{USUAL_COMMAND}' : {is_plain} ? '{ANY_COMMAND}' : '?')");
    let usual = cel::bind("other", &usual, &images.get("other"));
    let by_command = format!("{} ? {} : {usual}", images.has("key"), images.get("key"));
    let by_command = cel::bind("key", "c.image + ' ' + c.command[0]", &by_command);
    format!("(!has(c.image) ? '' : has(c.command) && size(c.command) > 0 ? {by_command} : {})", images.get("c.image"))
}

/// Returns the first part of the case's key: the first row whose condition the pod meets.
fn row_of_pod(rows: &[Row]) -> String {
    let mut row = String::from("''");
    for Row { options: _, same_as, kinds, is_for_all } in rows.iter().rev() {
        let kinds = cel::texts(kinds.iter().copied().map(kind_key));
        let quantifier = if *is_for_all { "all" } else { "exists" };
        let key = cel::text(&row_key(Some(*same_as)));
        row = format!("variables.kinds.{quantifier}(kind, kind in {kinds}) ? {key} : ({row})");
    }
    let changes = cel::texts([Mode::Inject, Mode::Enforce].map(Mode::name));
    let (warn, warns) = (cel::text(Mode::Warn.name()), cel::text(&row_key(None)));
    format!("variables.mode in {changes} ? ({row}) : variables.mode == {warn} ? {warns} : ''")
}

/// The tables of cases and of groups, and the case of the pod. Equal cases and equal groups are held once.
fn case_variables(cases: &Cases) -> Vec<Variable> {
    let mut contents: Vec<&Case> = cases.by_key.values().collect();
    contents.sort_unstable();
    contents.dedup();
    let mut groups: Vec<&Group> = contents.iter().flat_map(|case| &case.groups).collect();
    groups.sort_unstable();
    groups.dedup();
    let index = |case: &Case| contents.binary_search(&case).unwrap_or_default();
    let keys = cases.by_key.iter().map(|(key, case)| (key.clone(), cel::text(&format!("c{}", index(case))))).collect();
    let bodies =
        contents.iter().enumerate().map(|(index, case)| (format!("c{index}"), case_literal(case, &groups))).collect();
    let group_bodies =
        groups.iter().enumerate().map(|(index, group)| (format!("g{index}"), group_literal(group))).collect();
    let keys = Table::new("cases", &keys, "''");
    let bodies = Table::new("contents", &bodies, "{'': ['']}");
    let groups = Table::new("groups", &group_bodies, "{'': ''}");
    let mut variables: Vec<Variable> = keys.variables().chain(bodies.variables()).chain(groups.variables()).collect();
    let key = "variables.row + '|' + variables.dns + '|' + variables.named.map(found, found[0]).join(' ')";
    variables.push(variable("caseId", cel::bind("key", key, &keys.get("key"))));
    variables.push(variable("case", bodies.get("variables.caseId")));
    let groups = groups.get("group");
    variables.push(variable("found", format!("{}.map(group, {groups})", list("groups"))));
    variables
}

/// Returns a list of the pod's case, which is empty if the case has none of this name.
pub(super) fn list(name: &str) -> String {
    format!("('{name}' in variables.case ? variables.case['{name}'] : [])")
}

fn case_literal(case: &Case, groups: &[&Group]) -> String {
    let Case { added, replaced, injected, groups: own, excluded, conflicts } = case;
    let group_key = |group: &Group| format!("g{}", groups.binary_search(&group).unwrap_or_default());
    let conflicts = conflicts.iter().map(|(one, other)| format!("{} {}", kind_key(*one), kind_key(*other)));
    let lists: [(&str, Vec<String>); 6] = [
        ("added", added.clone()),
        ("replaced", replaced.clone()),
        ("injected", injected.iter().cloned().collect()),
        ("groups", own.iter().map(group_key).collect()),
        ("excluded", excluded.iter().copied().map(kind_key).collect()),
        ("conflicts", conflicts.collect()),
    ];
    let lists = lists.iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (*name, cel::texts(list)));
    cel::map([("", "['']".to_owned())].into_iter().chain(lists))
}

/// Returns a group as a map: the texts of each kind under the kind's key, the changes of open findings under the same with a `!`.
fn group_literal(group: &Group) -> String {
    let mut entries: BTreeMap<String, String> = BTreeMap::new();
    match group {
        Group::Pod { line, warning } => {
            entries.insert("line".to_owned(), line.clone());
            entries.extend(warning.iter().map(|warning| ("warning".to_owned(), warning.clone())));
        }
        Group::Containers { slug, needs_all, change_varies, findings } => {
            entries.insert("rule".to_owned(), (*slug).to_owned());
            entries.extend(needs_all.then(|| ("all".to_owned(), String::new())));
            entries.extend(change_varies.then(|| ("varies".to_owned(), String::new())));
            for (kind, Texts { message, change }) in findings {
                entries.insert(kind_key(*kind), message.clone());
                entries.extend(change.iter().map(|change| (format!("{}!", kind_key(*kind)), change.clone())));
            }
        }
        Group::Accepted { head, messages } => {
            entries.insert("accepts".to_owned(), head.clone());
            entries.extend(messages.iter().map(|(kind, message)| (kind_key(*kind), message.clone())));
        }
    }
    cel::map(entries.iter().map(|(key, value)| (key.as_str(), cel::text(value))))
}

/// Returns an expression with the names of the containers at `indexes` (a free name), as a line lists them.
pub(super) fn listed(indexes: &str) -> String {
    let name = |index: usize| format!("variables.containers[{indexes}[{index}]].name");
    let first: Vec<String> = (0..NAMES_MAX).map(name).collect();
    let first = first.join(" + ', ' + ");
    format!(
        "(size({indexes}) > {NAMES_MAX} ? {first} + ' and ' + string(size({indexes}) - {NAMES_MAX}) + ' more' : \
         {indexes}.map(index, variables.containers[index].name).join(', '))"
    )
}

/// Returns an expression with the text cut to the length of a line of the annotation. What is fixed keeps the word at its end.
fn cut(text: &str) -> String {
    let (most, fixed) = (ANNOTATION_LINE_MAX, cel::text(FIXED));
    let (kept, kept_of_fixed) = (most - '…'.len_utf8(), most - '…'.len_utf8() - FIXED.len());
    let body = format!(
        "size(line) <= {most} ? line : line.endsWith({fixed}) ? line.substring(0, {kept_of_fixed}) + '…' + {fixed} : \
         line.substring(0, {kept}) + '…'"
    );
    cel::bind("line", text, &body)
}

/// Returns an expression that maps the first container of each message of a group of findings (`group`) by `body`, which may use
/// `messages`, `first` and `same`, the indexes of the containers with that message.
pub(super) fn of_each_message(body: &str) -> String {
    let each = cel::bind("same", "variables.indexes.filter(other, messages[other] == messages[first])", body);
    let messages = "variables.kinds.map(kind, kind in group ? group[kind] : '')";
    let distinct = format!(
        "'all' in group && '' in messages ? [] : variables.indexes.filter(first, messages[first] != '' && \
         messages.indexOf(messages[first]) == first).map(first, {each})"
    );
    cel::bind("messages", messages, &distinct)
}

/// Returns the lines of the annotation `muslin.dev/warnings`, a list for each group.
fn lines_of_groups() -> String {
    let finding = of_each_message(&cut(&format!("group['rule'] + ': ' + {} + ': ' + messages[first]", listed("same"))));
    let accepted = cel::bind(
        "same",
        "variables.indexes.filter(index, variables.kinds[index] in group)",
        &format!(
            "size(same) == 0 ? [] : [{}]",
            cut(
                "group['accepts'] + variables.containers[same[0]].name + (size(same) > 1 ? ' and ' + string(size(same) - 1) + \
                 ' more' : '') + ': ' + group[variables.kinds[same[0]]]"
            )
        ),
    );
    format!(
        "variables.found.map(group, 'line' in group ? [group['line']] : 'accepts' in group ? {accepted} : {finding}).filter(lines, \
         size(lines) > 0)"
    )
}

/// Returns whether the case is the answer for the pod. An earlier pass counts if the pod has what it claims, in the same order.
fn is_known() -> String {
    let conditions = [
        format!("size(variables.containers) > 0 && size(variables.containers) <= {ITEMS_MAX}"),
        format!("size(variables.texts) <= {ITEMS_MAX}"),
        "variables.kinds.all(kind, kind != '')".to_owned(),
        "variables.named.all(found, size(found) == 1) && size(variables.named) == size(variables.authored)".to_owned(),
        // `{name: "ndots:2"}` has the text of another option.
        "variables.options.all(o, has(o.name) && !o.name.contains(':'))".to_owned(),
        "variables.caseId != ''".to_owned(),
        format!("variables.kinds.all(kind, !(kind in {}))", list("excluded")),
        format!("{}.all(pair, !pair.split(' ').all(kind, kind in variables.kinds))", list("conflicts")),
        format!(
            "size(variables.claimed) == 0 || (variables.claimed.join(' ') == {injected}.join('') && \
             variables.texts.filter(text, text in {added}) == {added} && {replaced}.all(text, \
             size(variables.texts.filter(other, other == text)) == 1))",
            injected = list("injected"),
            added = list("added"),
            replaced = list("replaced"),
        ),
        format!("variables.lines.map(lines, size(lines)).sum() <= {ANNOTATION_LINES_MAX}"),
    ];
    let conditions: Vec<String> = conditions.iter().map(|condition| format!("({condition})")).collect();
    conditions.join(" && ")
}
