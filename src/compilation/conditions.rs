//! The conditions that a pod meets before a policy looks at it: nothing about the pod changes muslin's answer that the policy does not
//! know. A pod that does not meet them stays as it is. Must not know images or options.

use super::cel;
use super::vocabulary::DnsPolicy;
use crate::pod::{
    AMBIENT_DNS_ANNOTATION, INJECT_ANNOTATION, INJECTED_ANNOTATION, ISTIO_CONFIG_ANNOTATION, ISTIO_MODE_LABEL,
    KEY_PREFIX, LIBC_LABEL, MESH_PROXY_VARIABLE, MIRROR_ANNOTATION, OS_LABELS, POLICIES_ANNOTATION, RESOLVER_VARIABLES,
    RESOLVERS_ANNOTATION, WARNINGS_ANNOTATION,
};
use crate::policy::{InjectAnnotation, Profile};

/// The most characters of all annotations of a pod, so that muslin's own fit: the API server allows 262,144 bytes, and a character has
/// up to four.
const ANNOTATIONS_MAX: usize = 50_000;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MatchCondition {
    pub(super) name: &'static str,
    pub(super) expression: String,
}

/// The containers of a pod, as an expression.
pub(super) const CONTAINERS: &str =
    "(has(object.spec.initContainers) ? object.spec.initContainers : []) + object.spec.containers";

/// The options of a pod, as an expression.
pub(super) const OPTIONS: &str =
    "has(object.spec.dnsConfig) && has(object.spec.dnsConfig.options) ? object.spec.dnsConfig.options : []";

/// Returns an expression with options as texts.
pub(super) fn texts(options: &str) -> String {
    format!("{options}.map(o, (has(o.name) ? o.name : '') + (has(o.value) && o.value != '' ? ':' + o.value : ''))")
}

/// Returns an expression with the pod's DNS policy in one word.
pub(super) fn dns_policy() -> String {
    format!(
        "(has(object.spec.dnsPolicy) && object.spec.dnsPolicy != '' ? object.spec.dnsPolicy : 'ClusterFirst') + \
         (has(object.spec.hostNetwork) && object.spec.hostNetwork ? {} : '')",
        cel::text(DnsPolicy::HOST_NETWORK)
    )
}

/// Returns the conditions on pods of a profile.
pub(super) fn match_conditions(profile: &Profile) -> Vec<MatchCondition> {
    let mut conditions = any_pod(profile);
    conditions.extend(of_any_profile());
    conditions.push(condition("room-for-annotations", room()));
    conditions
}

/// Returns the conditions that are the same for all profiles.
pub(super) fn of_any_profile() -> [MatchCondition; 4] {
    [
        condition("no-nameservers-and-searches-of-its-own", inherits()),
        condition("no-other-key-of-muslin", keys()),
        condition("no-dns-proxy-of-a-mesh", no_mesh_proxy()),
        condition("no-variable-that-resolvers-read", environment()),
    ]
}

/// Returns the conditions on pods whose containers start, for denials: other settings do not keep a pod from being denied.
pub(super) fn conditions_on_starts(profile: &Profile) -> Vec<MatchCondition> {
    let mut conditions = any_pod(profile);
    conditions.push(condition(
        "it-starts-a-container",
        "request.operation == 'CREATE' || object.spec != oldObject.spec".to_owned(),
    ));
    conditions
}

fn condition(name: &'static str, expression: String) -> MatchCondition {
    MatchCondition { name, expression }
}

/// The conditions on every pod.
fn any_pod(profile: &Profile) -> Vec<MatchCondition> {
    let mut conditions =
        vec![condition("not-a-mirror-pod", no_annotation(MIRROR_ANNOTATION)), condition("runs-on-linux", linux())];
    let accounts: Vec<&str> = profile.exempt.accounts().collect();
    if !accounts.is_empty() {
        let account = "(has(object.spec.serviceAccountName) ? object.spec.serviceAccountName : 'default')";
        let accounts = cel::texts(accounts);
        conditions.push(condition(
            "not-an-exempt-service-account",
            format!("!((request.namespace + '/' + {account}) in {accounts})"),
        ));
    }
    conditions
}

fn no_annotation(key: &str) -> String {
    format!("!has(object.metadata.annotations) || !({} in object.metadata.annotations)", cel::text(key))
}

/// A pod on Windows has no resolv.conf. `os` names the node's operating system, or else the node selector and the affinity do.
fn linux() -> String {
    let labels = cel::texts(OS_LABELS);
    let required = "object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    let terms = format!(
        "!has(object.spec.affinity) || !has(object.spec.affinity.nodeAffinity) || !has({required}) || \
         {required}.nodeSelectorTerms.all(term, !has(term.matchExpressions) || term.matchExpressions.all(one, \
         !(one.key in {labels}) || (one.operator == 'In' && one.values == ['linux'])))"
    );
    let selector = format!(
        "!has(object.spec.nodeSelector) || {labels}.all(label, !(label in object.spec.nodeSelector) || \
         object.spec.nodeSelector[label] == 'linux')"
    );
    format!("has(object.spec.os) ? object.spec.os.name == 'linux' : (({selector}) && ({terms}))")
}

/// Returns whether the pod has neither nameservers nor searches of its own.
pub(super) fn inherits() -> String {
    let empty =
        |field: &str| format!("(!has(object.spec.dnsConfig.{field}) || size(object.spec.dnsConfig.{field}) == 0)");
    let policies = "!has(object.spec.dnsPolicy) || object.spec.dnsPolicy != 'None'";
    format!("({policies}) && (!has(object.spec.dnsConfig) || ({} && {}))", empty("nameservers"), empty("searches"))
}

/// The pod has the keys that muslin writes, and `muslin.dev/inject: "true"`, but no opt-out, no ignored rule, and no key that nothing
/// reads.
fn keys() -> String {
    let prefix = cel::text(KEY_PREFIX);
    let known = cel::texts([INJECTED_ANNOTATION, RESOLVERS_ANNOTATION, WARNINGS_ANNOTATION, POLICIES_ANNOTATION]);
    let (inject, words) = (cel::text(INJECT_ANNOTATION), cel::texts(InjectAnnotation::TRUE));
    let annotations = format!(
        "!has(object.metadata.annotations) || object.metadata.annotations.all(key, !key.startsWith({prefix}) || \
         key in {known} || (key == {inject} && object.metadata.annotations[key] in {words}))"
    );
    let libc = cel::text(LIBC_LABEL);
    let labels = format!(
        "!has(object.metadata.labels) || object.metadata.labels.all(key, !key.startsWith({prefix}) || key == {libc})"
    );
    format!("({annotations}) && ({labels})")
}

fn no_mesh_proxy() -> String {
    let (config, variable) = (cel::text(ISTIO_CONFIG_ANNOTATION), cel::text(MESH_PROXY_VARIABLE));
    let by_annotation = format!(
        "!has(object.metadata.annotations) || !({config} in object.metadata.annotations) || \
         !object.metadata.annotations[{config}].contains({variable})"
    );
    let (label, capture) = (cel::text(ISTIO_MODE_LABEL), cel::text(AMBIENT_DNS_ANNOTATION));
    let by_label = format!(
        "!has(object.metadata.labels) || !({label} in object.metadata.labels) || \
         object.metadata.labels[{label}] != 'ambient' || (has(object.metadata.annotations) && \
         {capture} in object.metadata.annotations && object.metadata.annotations[{capture}] == 'false')"
    );
    format!("({by_annotation}) && ({by_label})")
}

fn environment() -> String {
    let names = cel::texts(RESOLVER_VARIABLES);
    format!("({CONTAINERS}).all(c, !has(c.env) || c.env.all(variable, !(variable.name in {names})))")
}

fn room() -> String {
    format!(
        "!has(object.metadata.annotations) || object.metadata.annotations.map(key, size(key) + \
         size(object.metadata.annotations[key])).sum() < {ANNOTATIONS_MAX}"
    )
}
