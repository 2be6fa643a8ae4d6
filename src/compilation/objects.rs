//! The objects of a compilation: policies and bindings. Must not know how a case is found.

use serde_json::{Value, json};

use super::answers::Answers;
use super::bindings::{self, BindingPlace};
use super::cel;
use super::conditions::{MatchCondition, conditions_on_starts, match_conditions};
use super::denials;
use super::images::{Images, LeftOut};
use super::label_selector::selects;
use super::mark;
use super::object_parts::{GROUP, constraints, escaped, labels, rule};
use super::settings::{Reach, Settings};
use super::variables::{
    OPTIONS, Variable, dns_variables, image_table, kind_of_container, list, listed, of_each_message, variables,
};
use crate::pod::{INJECTED_ANNOTATION, LIBC_LABEL, POLICIES_ANNOTATION, RESOLVERS_ANNOTATION, WARNINGS_ANNOTATION};
use crate::policy::Mode;

/// The most bytes of one policy. etcd takes requests of 1.5 MiB (etcd `--max-request-bytes`).
const POLICY_MAX: usize = 1_400_000;

/// The most warnings on one pod; the last one counts the rest.
const WARNINGS_MAX: usize = 5;

/// The longest mark of a pod, in characters: 16 images with their commands, and the options, have fewer.
const MARK_MAX: usize = 8_000;

/// A profile as objects to apply.
#[derive(Clone, Debug)]
pub struct Compilation {
    /// The policies and their bindings.
    pub objects: Vec<Value>,
    /// The images that the policies do not know.
    pub left_out: Vec<LeftOut>,
    /// The number of known images.
    pub images: usize,
    /// The number of kinds of these images: images of one kind get the same answers.
    pub kinds: usize,
    /// The number of situations with an answer.
    pub cases: usize,
}

/// A policy that the API server would not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy {name} has {bytes} bytes, over the limit of {POLICY_MAX}: name fewer images")]
pub struct TooLarge {
    name: String,
    bytes: usize,
}

/// Returns the policies of a profile.
///
/// # Errors
/// The table of images does not fit.
pub fn compile(settings: &Settings<'_>) -> Result<Compilation, TooLarge> {
    compile_again(settings, &mut Answers::default())
}

/// Returns the policies of a profile. `answers` keeps the engine's answers for the next time.
///
/// # Errors
/// The table of images does not fit.
pub fn compile_again(settings: &Settings<'_>, answers: &mut Answers) -> Result<Compilation, TooLarge> {
    let images = answers.ask(settings);
    let Answers { cases, texts, denied, .. } = answers;
    let policy = Policy {
        settings,
        conditions: match_conditions(settings.profile),
        variables: variables(&images, texts, cases, settings.default_mode),
    };
    let mut objects = vec![policy.mutating()];
    objects.extend(policy.mutating_bindings());
    // The webhook warns of the pods that it sees.
    if settings.webhooks.is_none_or(|webhooks| webhooks.is_separated) {
        objects.push(policy.findings());
        objects.extend(policy.findings_bindings());
    }
    // A profile may have no rule of level `deny`.
    if !denied.is_empty() {
        objects.push(policy.denying(denying_variables(&images, denied)));
        objects.extend(policy.denying_bindings());
    }
    for object in &objects {
        let bytes = object.to_string().len();
        if bytes > POLICY_MAX {
            return Err(TooLarge { name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(), bytes });
        }
    }
    let Images { entries: _, left_out, kinds } = images;
    let images = settings.images.len() - left_out.len();
    Ok(Compilation { objects, left_out, images, kinds: kinds.len(), cases: cases.by_key.len() })
}

/// The common parts of the policies of a profile.
struct Policy<'s> {
    settings: &'s Settings<'s>,
    conditions: Vec<MatchCondition>,
    variables: Vec<Variable>,
}

// === impl Policy ===

impl Policy<'_> {
    fn name(&self) -> String {
        format!("muslin-{}", self.settings.profile.name)
    }

    fn findings_name(&self) -> String {
        format!("{}-findings", self.name())
    }

    /// Returns the policy that changes pods. Beside the webhook it looks at each pod that the webhook would see, because it has to remove
    /// marks. It does that first, so that no pod keeps one on which the other expression fails.
    fn mutating(&self) -> Value {
        let mutation =
            |expression: String| json!({ "patchType": "JSONPatch", "jsonPatch": { "expression": expression } });
        let (conditions, mutations) = match self.settings.webhooks {
            None => (self.match_conditions(), vec![mutation(patch(&self.is_known(), None))]),
            Some(webhooks) => {
                let path = cel::text(&format!("/metadata/annotations/{}", escaped(POLICIES_ANNOTATION)));
                let mark = format!("[JSONPatch{{op: 'add', path: {path}, value: {}}}]", mark::mark(&changed_options()));
                let mutations = vec![mutation(mark::removal()), mutation(patch(&self.is_known(), Some(&mark)))];
                (webhooks.changed.conditions.clone(), mutations)
            }
        };
        json!({
            "apiVersion": self.mutating_version(),
            "kind": "MutatingAdmissionPolicy",
            "metadata": { "name": self.name(), "labels": labels() },
            "spec": {
                // A pod starts unchanged if the policy fails.
                "failurePolicy": "Ignore",
                // A webhook may add a container with another resolver.
                "reinvocationPolicy": "IfNeeded",
                "matchConstraints": constraints(),
                "matchConditions": conditions,
                "variables": self.variables(&[]),
                "mutations": mutations,
            },
        })
    }

    fn mutating_bindings(&self) -> Vec<Value> {
        let left = self.settings.webhooks.and_then(|webhooks| bindings::without(&webhooks.left));
        let binding = |(suffix, mut expressions): BindingPlace| {
            expressions.extend(left.clone());
            let reach = self.settings.webhooks.map(|webhooks| &webhooks.changed);
            json!({
                "apiVersion": self.mutating_version(),
                "kind": "MutatingAdmissionPolicyBinding",
                "metadata": { "name": format!("{}{suffix}", self.name()), "labels": labels() },
                "spec": {
                    "policyName": self.name(),
                    "matchResources": bindings::resources(self.settings, reach, expressions),
                },
            })
        };
        bindings::places(self.settings, &mark::CHANGING).into_iter().map(binding).collect()
    }

    /// Returns whether the policy has the answer for a pod. Beside the webhook, that is also what the conditions ask for standalone.
    fn is_known(&self) -> String {
        let Settings { webhooks, pod_selector, .. } = self.settings;
        if webhooks.is_none() {
            return "variables.isKnown".to_owned();
        }
        let mut all: Vec<String> =
            self.conditions.iter().map(|MatchCondition { expression, .. }| format!("({expression})")).collect();
        all.extend(pod_selector.map(|selector| format!("({})", selects(selector))));
        all.push("variables.isKnown".to_owned());
        all.push(format!("size({}) <= {MARK_MAX}", mark::mark(&changed_options())));
        all.join(" && ")
    }

    fn mutating_version(&self) -> String {
        format!("{GROUP}/{}", self.settings.version.name())
    }

    /// Returns the policy that warns of findings, and writes them to the audit log. A validation that does not hold is one warning.
    fn findings(&self) -> Value {
        let validation = |number: usize| {
            json!({
                "expression": format!("size(variables.warnings) <= {number}"),
                "messageExpression": if number + 1 < WARNINGS_MAX {
                    format!("variables.warnings[{number}]")
                } else {
                    format!(
                        "size(variables.warnings) > {WARNINGS_MAX} ? 'muslin: and ' + \
                         string(size(variables.warnings) - {number}) + ' more findings' : variables.warnings[{number}]"
                    )
                },
            })
        };
        let validations: Vec<Value> = (0..WARNINGS_MAX).map(validation).collect();
        json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": self.findings_name(), "labels": labels() },
            "spec": {
                "failurePolicy": "Ignore",
                "matchConstraints": constraints(),
                "matchConditions": self.findings_conditions(),
                "variables": self.variables(&[("warnings".to_owned(), warnings())]),
                "validations": validations,
                "auditAnnotations": [
                    { "key": "findings", "valueExpression": audited("variables.lines.map(lines, lines.join('; ')).join('; ')") },
                    { "key": "injected", "valueExpression": audited("variables.claimed.join(' ')") },
                    { "key": "libc", "valueExpression": audited(&libc()) },
                ],
            },
        })
    }

    /// Returns the conditions on pods whose findings the policy reports: beside the webhook, those with a mark.
    fn findings_conditions(&self) -> Vec<Value> {
        let mut conditions = self.match_conditions();
        if self.settings.webhooks.is_some() {
            conditions.insert(0, json!({ "name": "changed-by-policies", "expression": mark::is_marked() }));
        }
        conditions
    }

    /// Returns the bindings. In mode `audit` the findings are written to the audit log alone; beside the webhook, it does that.
    fn findings_bindings(&self) -> Vec<Value> {
        let reach = self.settings.webhooks.map(|webhooks| &webhooks.changed);
        let mut bindings = self.validating_bindings(&self.findings_name(), "Warn", reach, &mark::CHANGING);
        if reach.is_none() {
            for mut binding in self.validating_bindings(&self.findings_name(), "Audit", reach, &[Mode::Audit]) {
                let name = binding["metadata"]["name"].as_str().unwrap_or_default();
                let name = name.replacen("-findings", "-findings-audit", 1);
                binding["metadata"]["name"] = json!(name);
                bindings.push(binding);
            }
        }
        bindings
    }

    fn validating_bindings(&self, policy: &str, action: &str, reach: Option<&Reach>, modes: &[Mode]) -> Vec<Value> {
        let binding = |(suffix, expressions): BindingPlace| {
            json!({
                "apiVersion": format!("{GROUP}/v1"),
                "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": { "name": format!("{policy}{suffix}"), "labels": labels() },
                "spec": {
                    "policyName": policy,
                    "validationActions": [action],
                    "matchResources": bindings::resources(self.settings, reach, expressions),
                },
            })
        };
        bindings::places(self.settings, modes).into_iter().map(binding).collect()
    }

    /// Returns the policy that denies pods with findings of level `deny`. If it fails, the pod is denied.
    fn denying(&self, variables: Vec<Variable>) -> Value {
        let expression =
            "'muslin enforces DNS settings in namespace ' + request.namespace + ': ' + variables.denials.join('; ')";
        json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": self.denials_name(), "labels": labels() },
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "matchPolicy": "Equivalent",
                    "resourceRules": [
                        rule(&["CREATE", "UPDATE"], "pods"),
                        rule(&["UPDATE"], "pods/ephemeralcontainers"),
                    ],
                },
                "matchConditions": self.denying_conditions(),
                "variables": variables.iter().map(variable).collect::<Vec<_>>(),
                "validations": [{
                    "expression": "size(variables.denials) == 0",
                    "message": "muslin enforces DNS settings: the pod has findings of level deny",
                    "messageExpression": expression,
                    "reason": "Forbidden",
                }],
            },
        })
    }

    /// Returns the conditions on pods that can be denied. Those of the webhook that an administrator added hold here, too.
    fn denying_conditions(&self) -> Vec<Value> {
        let Settings { profile, webhooks, pod_selector, .. } = self.settings;
        let mut conditions = literals(&conditions_on_starts(profile));
        let Some(webhooks) = webhooks else { return conditions };
        if let Some(selector) = pod_selector {
            conditions.push(json!({ "name": "selected-by-the-profile", "expression": selects(selector) }));
        }
        for condition in &webhooks.denied.conditions {
            if conditions.iter().all(|own| own["name"] != condition["name"]) {
                conditions.push(condition.clone());
            }
        }
        conditions
    }

    fn denying_bindings(&self) -> Vec<Value> {
        let reach = self.settings.webhooks.map(|webhooks| &webhooks.denied);
        self.validating_bindings(&self.denials_name(), "Deny", reach, &[Mode::Enforce])
    }

    fn denials_name(&self) -> String {
        format!("{}-denials", self.name())
    }

    fn match_conditions(&self) -> Vec<Value> {
        literals(&self.conditions)
    }

    fn variables(&self, more: &[Variable]) -> Vec<Value> {
        self.variables.iter().chain(more).map(variable).collect()
    }
}

fn literals(conditions: &[MatchCondition]) -> Vec<Value> {
    let literal =
        |MatchCondition { name, expression }: &MatchCondition| json!({ "name": name, "expression": expression });
    conditions.iter().map(literal).collect()
}

fn variable((name, expression): &Variable) -> Value {
    json!({ "name": name, "expression": expression })
}

/// Returns the variables of the policy that denies pods. All options of the pod count, also what muslin added.
fn denying_variables(images: &Images, denied: &denials::Entries) -> Vec<Variable> {
    let table = image_table(images);
    let mut variables = dns_variables(OPTIONS);
    variables.extend(table.variables());
    variables.extend(denials::variables(denied, &kind_of_container(&table)));
    variables
}

/// Returns an expression for the audit log: empty, and so no entry, for a pod that is not known or has nothing.
fn audited(value: &str) -> String {
    format!("variables.isKnown ? {value} : ''")
}

/// Returns the label's value.
fn libc() -> String {
    let first = "variables.libcOf[variables.kinds[0]]";
    format!("(variables.kinds.all(kind, variables.libcOf[kind] == {first}) ? {first} : 'mixed')")
}

/// Returns the warnings about findings that muslin does not fix.
fn warnings() -> String {
    let is_open = "(variables.kinds[first] + '!') in group";
    let change = "('varies' in group && variables.kinds.exists(kind, kind != variables.kinds[0]) ? messages[first] : \
                  group[variables.kinds[first] + '!'] + ' (' + messages[first] + ')')";
    let warning = of_each_message(&format!(
        "{is_open} ? 'muslin: ' + {} + ': ' + {change} + ' [' + group['rule'] + ']' : ''",
        listed("same")
    ));
    let of_group = format!("'warning' in group ? [group['warning']] : 'rule' in group ? {warning} : []");
    let flat = format!(
        "variables.found.map(group, ({of_group}).filter(text, text != '').join('\\n')).filter(text, text != '')"
    );
    format!(
        "!variables.isKnown ? [] : {}",
        cel::bind("texts", &flat, "size(texts) == 0 ? [] : texts.join('\\n').split('\\n')")
    )
}

/// Returns the expression with the operations of the patch, for a pod whose answer is known.
fn patch(is_known: &str, mark: Option<&str>) -> String {
    let resolvers = "variables.indexes.map(index, variables.containers[index].name + '=' + \
                     variables.resolverOf[variables.kinds[index]]).join(', ')";
    let injected = list("injected");
    let warnings = "variables.lines.map(lines, lines.join('\\n'))";
    let annotations = format!(
        "{} + {} + {}",
        annotation(INJECTED_ANNOTATION, &injected, &format!("{injected}.join('')")),
        annotation(WARNINGS_ANNOTATION, warnings, &format!("{warnings}.join('\\n')")),
        annotation(RESOLVERS_ANNOTATION, "['']", resolvers),
    );
    let parents = "(has(object.metadata.annotations) ? [] : [JSONPatch{op: 'add', path: '/metadata/annotations', \
                   value: {'muslin.dev/resolvers': ''}}])";
    let all = format!("{} + {parents} + {annotations} + {} + {}", label(), replaced(), added());
    let mark = mark.map(|mark| format!(" + {mark}")).unwrap_or_default();
    format!("!({is_known}) ? [] : {all}{mark}")
}

/// Returns the operations that set the label.
fn label() -> String {
    let (key, path, libc) =
        (cel::text(LIBC_LABEL), cel::text(&format!("/metadata/labels/{}", escaped(LIBC_LABEL))), libc());
    format!(
        "(!has(object.metadata.labels) ? [JSONPatch{{op: 'add', path: '/metadata/labels', value: {{{key}: {libc}}}}}] : \
         {key} in object.metadata.labels && object.metadata.labels[{key}] == {libc} ? [] : \
         [JSONPatch{{op: 'add', path: {path}, value: {libc}}}])"
    )
}

/// Returns the operations on one annotation: none if it is as it should be. An empty list of wanted texts means that it should not be.
fn annotation(key: &str, wanted: &str, value: &str) -> String {
    let path = cel::text(&format!("/metadata/annotations/{}", escaped(key)));
    let key = cel::text(key);
    let has = format!("has(object.metadata.annotations) && {key} in object.metadata.annotations");
    format!(
        "(size({wanted}) == 0 ? ({has} ? [JSONPatch{{op: 'remove', path: {path}}}] : []) : \
         {has} && object.metadata.annotations[{key}] == {value} ? [] : \
         [JSONPatch{{op: 'add', path: {path}, value: {value}}}])"
    )
}

/// Returns the operations that change the numbers of the author's options.
fn replaced() -> String {
    let replaced = list("replaced");
    let of_option = "text.split(':')[0] == variables.options[number].name";
    format!(
        "variables.numbers.filter(number, number < size(variables.options) && {replaced}.exists(text, {of_option})).map(number, \
         JSONPatch{{op: 'add', path: '/spec/dnsConfig/options/' + string(number) + '/value', \
         value: {replaced}.filter(text, {of_option})[0].split(':')[1]}})"
    )
}

/// Returns an expression with the options of the case that the pod has not yet.
fn missing() -> String {
    format!("{}.filter(text, !(text in variables.claimed))", list("added"))
}

/// Returns an expression with the options of the changed pod.
fn changed_options() -> String {
    let replaced = format!("{}.filter(new, new.split(':')[0] == text.split(':')[0])", list("replaced"));
    format!("(variables.texts.map(text, ({replaced} + [text])[0]) + {})", missing())
}

/// Returns the operations that add options, with their parents where these are absent.
fn added() -> String {
    let missing = missing();
    let option = "(text.contains(':') ? {'name': text.split(':')[0], 'value': text.split(':')[1]} : {'name': text})";
    format!(
        "(size({missing}) == 0 ? [] : \
         !has(object.spec.dnsConfig) ? [JSONPatch{{op: 'add', path: '/spec/dnsConfig', value: {{'options': {missing}.map(text, {option})}}}}] : \
         !has(object.spec.dnsConfig.options) ? [JSONPatch{{op: 'add', path: '/spec/dnsConfig/options', value: {missing}.map(text, {option})}}] : \
         {missing}.map(text, JSONPatch{{op: 'add', path: '/spec/dnsConfig/options/-', value: {option}}}))"
    )
}
