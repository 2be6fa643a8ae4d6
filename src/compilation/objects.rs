//! The objects of a compilation: policies and bindings. Must not know how a case is found.

use serde_json::{Value, json};

use super::cases::{Cases, kind_texts};
use super::cel;
use super::conditions::{MatchCondition, conditions_on_starts, match_conditions};
use super::denials;
use super::engine::Engine;
use super::images::{Images, LeftOut};
use super::settings::Settings;
use super::variables::{
    OPTIONS, Variable, dns_variables, image_table, kind_of_container, list, listed, of_each_message, variables,
};
use crate::pod::{INJECTED_ANNOTATION, LIBC_LABEL, RESOLVERS_ANNOTATION, WARNINGS_ANNOTATION};
use crate::policy::{MODE_LABEL, Mode, PROFILE_LABEL, Profile, SELF_LABEL, SYSTEM_NAMESPACE};

/// The most bytes of one policy. etcd takes requests of 1.5 MiB (etcd `--max-request-bytes`).
const POLICY_MAX: usize = 1_400_000;

/// The most warnings on one pod; the last one counts the rest.
const WARNINGS_MAX: usize = 5;

/// The API group of policies.
const GROUP: &str = "admissionregistration.k8s.io";

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
    let Settings { profile, images, cluster_domain, cluster_nameservers, default_mode, .. } = *settings;
    let engine = Engine { profile, cluster_domain, cluster_nameservers };
    let images = Images::new(images, profile);
    let cases = Cases::ask(&engine, &images.kinds);
    let kinds = kind_texts(&engine, &images.kinds);
    let policy = Policy {
        settings,
        conditions: match_conditions(profile),
        variables: variables(&images, &kinds, &cases, default_mode),
    };
    let denied = denials::entries(&engine, &images.kinds);
    let objects = [policy.mutating(), policy.mutating_binding(), policy.findings()];
    let mut objects: Vec<Value> = objects.into_iter().chain(policy.findings_bindings()).collect();
    // A profile may have no rule of level `deny`.
    if !denied.is_empty() {
        objects.extend([policy.denying(denying_variables(&images, &denied)), policy.denying_binding()]);
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

    /// Returns the policy that changes pods.
    fn mutating(&self) -> Value {
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
                "matchConditions": self.match_conditions(),
                "variables": self.variables(&[]),
                "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": patch() } }],
            },
        })
    }

    fn mutating_binding(&self) -> Value {
        json!({
            "apiVersion": self.mutating_version(),
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": { "name": self.name(), "labels": labels() },
            "spec": {
                "policyName": self.name(),
                "matchResources": self.resources(&[Mode::Warn, Mode::Inject, Mode::Enforce]),
            },
        })
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
                "matchConditions": self.match_conditions(),
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

    /// Returns two bindings: in mode `audit` the findings are written to the audit log alone.
    fn findings_bindings(&self) -> [Value; 2] {
        let binding = |suffix: &str, actions: &[&str], modes: &[Mode]| {
            json!({
                "apiVersion": format!("{GROUP}/v1"),
                "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": { "name": format!("{}{suffix}", self.findings_name()), "labels": labels() },
                "spec": {
                    "policyName": self.findings_name(),
                    "validationActions": actions,
                    "matchResources": self.resources(modes),
                },
            })
        };
        [
            binding("", &["Warn"], &[Mode::Warn, Mode::Inject, Mode::Enforce]),
            binding("-audit", &["Audit"], &[Mode::Audit]),
        ]
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
                "matchConditions": literals(&conditions_on_starts(self.settings.profile)),
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

    fn denying_binding(&self) -> Value {
        json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": { "name": self.denials_name(), "labels": labels() },
            "spec": {
                "policyName": self.denials_name(),
                "validationActions": ["Deny"],
                "matchResources": self.resources(&[Mode::Enforce]),
            },
        })
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

    /// Returns the pods of the profile, in namespaces in one of these modes.
    fn resources(&self, modes: &[Mode]) -> Value {
        let mut resources = json!({ "namespaceSelector": self.selector(modes) });
        if let Some(selector) = self.settings.pod_selector {
            resources["objectSelector"] = selector.clone();
        }
        resources
    }

    /// Returns the selector of namespaces with the profile in one of these modes.
    fn selector(&self, modes: &[Mode]) -> Value {
        let Settings { profile, default_mode, default_profile, .. } = self.settings;
        let expression = |key: &str, operator: &str, values: Vec<&str>| json!({ "key": key, "operator": operator, "values": values });
        let mut expressions = vec![
            expression("kubernetes.io/metadata.name", "NotIn", vec![SYSTEM_NAMESPACE]),
            expression(SELF_LABEL, "NotIn", vec!["true"]),
        ];
        // An absent label is in no list.
        expressions.push(if modes.contains(default_mode) {
            let others: Vec<&str> =
                Mode::ALL.into_iter().filter(|mode| !modes.contains(mode)).map(Mode::name).collect();
            expression(MODE_LABEL, "NotIn", others)
        } else {
            expression(MODE_LABEL, "In", modes.iter().map(|mode| mode.name()).collect())
        });
        expressions.push(if profile.name == **default_profile {
            let others = Profile::NAMES.into_iter().filter(|name| *name != profile.name).collect();
            expression(PROFILE_LABEL, "NotIn", others)
        } else {
            expression(PROFILE_LABEL, "In", vec![&profile.name])
        });
        json!({ "matchExpressions": expressions })
    }
}

fn labels() -> Value {
    json!({ "app.kubernetes.io/name": "muslin", "app.kubernetes.io/component": "policies" })
}

fn constraints() -> Value {
    json!({ "matchPolicy": "Equivalent", "resourceRules": [rule(&["CREATE"], "pods")] })
}

fn rule(operations: &[&str], resource: &str) -> Value {
    json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": [resource], "scope": "Namespaced",
    })
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

/// Returns the expression with the operations of the patch.
fn patch() -> String {
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
    format!("!variables.isKnown ? [] : {} + {parents} + {annotations} + {} + {}", label(), replaced(), added())
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

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
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

/// Returns the operations that add options, with their parents where these are absent.
fn added() -> String {
    let added = list("added");
    let missing = format!("{added}.filter(text, !(text in variables.claimed))");
    let option = "(text.contains(':') ? {'name': text.split(':')[0], 'value': text.split(':')[1]} : {'name': text})";
    format!(
        "(size({missing}) == 0 ? [] : \
         !has(object.spec.dnsConfig) ? [JSONPatch{{op: 'add', path: '/spec/dnsConfig', value: {{'options': {missing}.map(text, {option})}}}}] : \
         !has(object.spec.dnsConfig.options) ? [JSONPatch{{op: 'add', path: '/spec/dnsConfig/options', value: {missing}.map(text, {option})}}] : \
         {missing}.map(text, JSONPatch{{op: 'add', path: '/spec/dnsConfig/options/-', value: {option}}}))"
    )
}
