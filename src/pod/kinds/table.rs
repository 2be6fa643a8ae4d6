//! All rows of the table, and the search for one.

use super::kind::PodKind;
use super::{builtin, operators, pipelines, workloads};

// === impl PodKind ===

impl PodKind {
    /// Returns every row, Kubernetes' own kinds first.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        let groups = [builtin::KINDS, workloads::KINDS, pipelines::KINDS, operators::KINDS];
        groups.into_iter().flatten()
    }

    /// Returns the row about a kind.
    pub fn named(api_version: &str, kind: &str) -> Option<&'static Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let group = builtin::current_group(group, kind);
        Self::all()
            .find(|row| row.kind == kind && row.group == group && (row.version.is_empty() || row.version == version))
    }

    /// Returns whether the kind is one of Kubernetes' own.
    pub fn is_builtin(&self) -> bool {
        builtin::KINDS.iter().any(|row| std::ptr::eq(row, self))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::kind::Layout;
    use super::*;
    use crate::pod::workload::WORKLOAD_KINDS;

    #[test]
    fn finds_the_row_of_a_kind_by_group_and_version() {
        let place = |api_version, kind| PodKind::named(api_version, kind).map(|row| row.pods[0].at);
        for (api_version, kind, at) in [
            ("v1", "Pod", Some("")),
            ("v1", "ReplicationController", Some("/spec/template")),
            ("apps/v1", "Deployment", Some("/spec/template")),
            ("apps/v1beta2", "StatefulSet", Some("/spec/template")),
            ("apps/v1", "DaemonSet", Some("/spec/template")),
            ("apps/v1", "ReplicaSet", Some("/spec/template")),
            ("batch/v1", "Job", Some("/spec/template")),
            ("batch/v1beta1", "CronJob", Some("/spec/jobTemplate/spec/template")),
            ("extensions/v1beta1", "Deployment", Some("/spec/template")),
            ("extensions/v1beta1", "Job", None),
            ("v1", "PodTemplate", Some("/template")),
            ("v1", "Service", None),
            ("serving.knative.dev/v1", "Service", Some("/spec/template")),
            ("argoproj.io/v1alpha1", "Rollout", Some("/spec/template")),
            ("example.com/v1", "Deployment", None),
        ] {
            assert_eq!(place(api_version, kind), at, "{api_version} {kind}");
        }
        let sources = ["v1", "v1beta1"].map(|version| {
            let row = PodKind::named(&format!("tekton.dev/{version}"), "PipelineRun").unwrap();
            &row.pods[0].dns
        });
        assert_ne!(sources[0], sources[1]);
    }

    #[test]
    fn has_every_kind_of_the_webhook_with_the_same_pointer() {
        for kind in &WORKLOAD_KINDS {
            let row = PodKind::all().find(|row| row.group == kind.group && row.kind == kind.kind);
            let row = row.unwrap_or_else(|| panic!("no row about {}", kind.kind));
            assert_eq!((row.plural, row.pods.len(), row.pods[0].at), (kind.plural, 1, kind.template_pointer));
        }
    }

    #[test]
    fn names_no_kind_twice() {
        let mut seen = BTreeSet::new();
        for row in PodKind::all() {
            assert!(seen.insert((row.group, row.version, row.kind)), "{} is there twice", row.kind);
            assert!(!row.pods.is_empty() && !row.source.is_empty(), "{}", row.kind);
            assert!(row.plural.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{}", row.plural);
        }
        assert!(seen.len() > 60, "{}", seen.len());
    }

    #[test]
    fn patterns_are_pointers() {
        for place in PodKind::all().flat_map(|row| row.pods) {
            let (init, containers) = match place.layout {
                Layout::Fields { init, containers } => (init, containers),
                _ => (&[][..], &[][..]),
            };
            for pattern in [place.at].iter().chain(init).chain(containers) {
                assert!(pattern.is_empty() || pattern.starts_with('/') && !pattern.ends_with('/'), "{pattern}");
            }
        }
    }
}
