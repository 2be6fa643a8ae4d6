//! The architectures of the nodes that a pod may run on, and whether they run Windows, by its node selector and its required node
//! affinity. Must not know of images or platforms.

use std::collections::HashSet;

use serde::Deserialize;

use super::charged;
use super::objects_only::deserialize_objects_only;
use super::text::Text;

/// The label of a node's architecture, and its name before Kubernetes 1.14, which kubelets still set
/// (kubernetes `staging/src/k8s.io/api/core/v1/well_known_labels.go`).
const ARCH_LABELS: [&str; 2] = ["kubernetes.io/arch", "beta.kubernetes.io/arch"];

/// The label of a node's operating system, and its older name (the same file).
pub(crate) const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];

const WINDOWS: &str = "windows";

/// The most architectures of one pod; images of the rest are not looked at. Linux runs Kubernetes on six (kubernetes
/// `hack/lib/golang.sh`, `KUBE_SUPPORTED_SERVER_PLATFORMS`).
const ARCHITECTURES_MAX: usize = 16;

/// `spec.nodeSelector`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self")]
pub(super) struct NodeSelector<'a> {
    #[serde(borrow, default, rename = "kubernetes.io/arch")]
    arch: Option<Text<'a>>,
    #[serde(borrow, default, rename = "beta.kubernetes.io/arch")]
    old_arch: Option<Text<'a>>,
    #[serde(borrow, default, rename = "kubernetes.io/os")]
    os: Option<Text<'a>>,
    #[serde(borrow, default, rename = "beta.kubernetes.io/os")]
    old_os: Option<Text<'a>>,
}

/// `spec.affinity`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub(super) struct Affinity<'a> {
    #[serde(borrow, default)]
    node_affinity: Option<NodeAffinity<'a>>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
struct NodeAffinity<'a> {
    #[serde(borrow, default, rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<Required<'a>>,
}

/// The terms, of which one must hold.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
struct Required<'a> {
    #[serde(borrow, default, deserialize_with = "charged::items")]
    node_selector_terms: Option<Vec<Term<'a>>>,
}

/// The expressions, which must all hold.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
struct Term<'a> {
    #[serde(borrow, default, deserialize_with = "charged::items")]
    match_expressions: Option<Vec<Expression<'a>>>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self")]
struct Expression<'a> {
    #[serde(borrow, default)]
    key: Option<Text<'a>>,
    #[serde(borrow, default)]
    operator: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "charged::items")]
    values: Option<Vec<Text<'a>>>,
}

deserialize_objects_only! { NodeSelector, Affinity, NodeAffinity, Required, Term, Expression }

/// Returns the architectures that the pod may run on, among those of the cluster and those that the pod names, each once. All of the
/// cluster's are returned for a pod without constraints, and for one whose constraints leave none: such a pod stays pending.
pub(super) fn architectures<'p>(
    selector: Option<&'p NodeSelector<'_>>,
    affinity: Option<&'p Affinity<'_>>,
    cluster: &[&'p str],
) -> Vec<&'p str> {
    let named = selector.and_then(|selector| selector.arch.as_deref().or(selector.old_arch.as_deref()));
    let terms = terms(affinity);
    let admitted: Vec<&str> = match named {
        Some(arch) => vec![arch],
        None => {
            let mut seen = HashSet::new();
            let admitted = terms.iter().flat_map(|term| term.admits(cluster));
            admitted.filter(|arch| seen.insert(*arch)).take(ARCHITECTURES_MAX).collect()
        }
    };
    if admitted.is_empty() { cluster.to_vec() } else { admitted }
}

/// Returns whether the pod runs on nodes with Windows alone: its selector says so, or each term of its affinity does.
pub(super) fn is_for_windows(selector: Option<&NodeSelector<'_>>, affinity: Option<&Affinity<'_>>) -> bool {
    if let Some(os) = selector.and_then(|selector| selector.os.as_deref().or(selector.old_os.as_deref())) {
        return os == WINDOWS;
    }
    let terms = terms(affinity);
    !terms.is_empty() && terms.iter().all(Term::is_for_windows)
}

fn terms<'p, 'a>(affinity: Option<&'p Affinity<'a>>) -> &'p [Term<'a>] {
    affinity
        .and_then(|affinity| affinity.node_affinity.as_ref()?.required.as_ref()?.node_selector_terms.as_deref())
        .unwrap_or_default()
}

// === impl Term ===

impl Term<'_> {
    /// Returns whether an expression admits no other operating system. Nodes run Linux or Windows.
    fn is_for_windows(&self) -> bool {
        self.match_expressions.iter().flatten().any(|Expression { key, operator, values }| {
            let mut values = values.iter().flatten().map(|value| &**value);
            let is_os = key.as_deref().is_some_and(|key| OS_LABELS.contains(&key));
            is_os
                && match operator.as_deref() {
                    Some("In") => values.next().is_some_and(|first| first == WINDOWS) && values.all(|os| os == WINDOWS),
                    Some("NotIn") => values.any(|os| os == "linux"),
                    _ => false,
                }
        })
    }

    fn admits<'p>(&'p self, cluster: &[&'p str]) -> Vec<&'p str> {
        let mut admitted: Option<Vec<&str>> = None;
        let mut excluded: HashSet<&str> = HashSet::new();
        for Expression { key, operator, values } in self.match_expressions.iter().flatten() {
            if !key.as_deref().is_some_and(|key| ARCH_LABELS.contains(&key)) {
                continue;
            }
            let values = values.iter().flatten().map(|value| &**value);
            match operator.as_deref() {
                Some("In") => {
                    admitted = Some(match admitted {
                        Some(before) => {
                            let values: HashSet<&str> = values.collect();
                            before.into_iter().filter(|arch| values.contains(arch)).collect()
                        }
                        None => values.collect(),
                    });
                }
                Some("NotIn") => excluded.extend(values),
                _ => {} // the other operators say nothing about the value
            }
        }
        let mut admitted = admitted.unwrap_or_else(|| cluster.to_vec());
        admitted.retain(|arch| !excluded.contains(arch));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use crate::pod::Pod;

    fn architectures(spec: &str) -> Vec<String> {
        let text = format!(r#"{{"spec":{spec}}}"#);
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        pod.architectures(&["amd64", "arm64"]).into_iter().map(str::to_owned).collect()
    }

    fn affine(terms: &str) -> Vec<String> {
        architectures(&format!(
            r#"{{"affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":
               {{"nodeSelectorTerms":[{terms}]}}}}}}}}"#
        ))
    }

    fn arch(operator: &str, values: &str) -> String {
        format!(r#"{{"key":"kubernetes.io/arch","operator":"{operator}","values":[{values}]}}"#)
    }

    fn is_windows(spec: &str) -> bool {
        let text = format!(r#"{{"spec":{spec}}}"#);
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        pod.is_windows()
    }

    #[test]
    fn windows_by_the_pod_s_own_word_its_selector_or_each_term_of_its_affinity() {
        let affine = |terms: &str| {
            format!(
                r#"{{"affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":
                   {{"nodeSelectorTerms":[{terms}]}}}}}}}}"#
            )
        };
        let term = |key: &str, operator: &str, values: &str| {
            format!(r#"{{"matchExpressions":[{{"key":"{key}","operator":"{operator}","values":[{values}]}}]}}"#)
        };
        let windows = term("kubernetes.io/os", "In", r#""windows""#);
        let no_linux = term("beta.kubernetes.io/os", "NotIn", r#""linux""#);
        let both = term("kubernetes.io/os", "In", r#""windows","linux""#);
        for spec in [
            r#"{"os":{"name":"windows"}}"#.to_owned(),
            r#"{"nodeSelector":{"kubernetes.io/os":"windows"}}"#.to_owned(),
            r#"{"nodeSelector":{"beta.kubernetes.io/os":"windows"}}"#.to_owned(),
            affine(&windows),
            affine(&format!("{windows},{no_linux}")),
        ] {
            assert!(is_windows(&spec), "{spec}");
        }
        for spec in [
            "{}".to_owned(),
            r#"{"nodeSelector":{"kubernetes.io/os":"linux"}}"#.to_owned(),
            r#"{"nodeSelector":{"disk":"ssd"}}"#.to_owned(),
            affine(&both),
            affine(&format!("{windows},{both}")),
            affine(&term("kubernetes.io/os", "In", "")),
            affine(&term("kubernetes.io/os", "NotIn", r#""windows""#)),
            affine(&term("disk", "In", r#""windows""#)),
        ] {
            assert!(!is_windows(&spec), "{spec}");
        }
    }

    #[test]
    fn all_of_the_cluster_without_constraints() {
        assert_eq!(architectures("{}"), ["amd64", "arm64"]);
        assert_eq!(architectures(r#"{"nodeSelector":{"disk":"ssd"},"affinity":null}"#), ["amd64", "arm64"]);
        assert_eq!(affine(r#"{"matchExpressions":[{"key":"disk","operator":"Exists"}]}"#), ["amd64", "arm64"]);
    }

    #[test]
    fn the_one_of_the_node_selector_even_if_the_cluster_has_none() {
        assert_eq!(architectures(r#"{"nodeSelector":{"kubernetes.io/arch":"s390x"}}"#), ["s390x"]);
        assert_eq!(architectures(r#"{"nodeSelector":{"beta.kubernetes.io/arch":"arm64"}}"#), ["arm64"]);
    }

    #[test]
    fn the_union_of_the_terms_of_the_required_affinity() {
        let one = format!(r#"{{"matchExpressions":[{}]}}"#, arch("In", r#""arm64""#));
        let other = format!(r#"{{"matchExpressions":[{}]}}"#, arch("In", r#""riscv64","arm64""#));
        assert_eq!(affine(&one), ["arm64"]);
        assert_eq!(affine(&format!("{one},{other}")), ["arm64", "riscv64"]);
    }

    #[test]
    fn the_intersection_of_the_expressions_of_a_term() {
        let both = [arch("In", r#""arm64","amd64""#), arch("NotIn", r#""arm64""#)].join(",");
        assert_eq!(affine(&format!(r#"{{"matchExpressions":[{both}]}}"#)), ["amd64"]);
        let not = arch("NotIn", r#""amd64""#);
        assert_eq!(affine(&format!(r#"{{"matchExpressions":[{not}]}}"#)), ["arm64"]);
    }
}
