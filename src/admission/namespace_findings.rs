//! Findings by the namespace of their pod. Any user who may create a namespace can name one, so the number of series is bounded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::policy::Level;

/// The most namespaces with series of their own.
const NAMESPACES_MAX: usize = 200;

/// The time without a finding after which a namespace makes room for another. Prometheus has read its last increase by then.
const IDLE: Duration = Duration::from_secs(3600);

/// The label of all namespaces without series of their own. No namespace has this name.
const OTHERS: &str = "_others";

/// The longest name of a namespace (RFC 1123).
const NAME_MAX: usize = 63;

const LEVELS: [Level; 3] = [Level::Info, Level::Warn, Level::Deny];

/// The findings since the start, by namespace, collected at scrape time.
#[derive(Clone, Debug, Default)]
pub(super) struct NamespaceFindings(Arc<Mutex<HashMap<String, Counts>>>);

#[derive(Debug)]
struct Counts {
    /// By level; those that muslin left, and those that it fixed.
    counts: [[u64; 2]; LEVELS.len()],
    latest: Instant,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    // Prometheus sets the label `namespace`, to that of muslin's own pod.
    pod_namespace: String,
    level: &'static str,
    fixed: &'static str,
}

// === impl NamespaceFindings ===

impl NamespaceFindings {
    /// Counts the findings of one pod: the level of each, and whether muslin fixed it. The namespace is looked up once, as a pod can have
    /// thousands.
    pub(super) fn count(&self, namespace: &str, findings: impl IntoIterator<Item = (Level, bool)>) {
        self.count_at(Instant::now(), namespace, findings);
    }

    fn count_at(&self, now: Instant, namespace: &str, findings: impl IntoIterator<Item = (Level, bool)>) {
        let mut findings = findings.into_iter().peekable();
        if findings.peek().is_none() {
            return;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if has_room(&mut counts, namespace, now) { namespace } else { OTHERS };
        if !counts.contains_key(name) {
            counts.insert(name.to_owned(), Counts { counts: Default::default(), latest: now });
        }
        let Some(found) = counts.get_mut(name) else { return };
        found.latest = now;
        for (level, is_fixed) in findings {
            if let Some(index) = LEVELS.iter().position(|known| *known == level) {
                found.counts[index][usize::from(is_fixed)] += 1;
            }
        }
    }
}

/// Returns whether a namespace has series of its own, or can get them; removes those of an idle one for that.
fn has_room(counts: &mut HashMap<String, Counts>, namespace: &str, now: Instant) -> bool {
    // Without a cluster, any text can be a namespace.
    let is_name = (1..=NAME_MAX).contains(&namespace.len())
        && namespace.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_name {
        return false;
    }
    let named = counts.len() - usize::from(counts.contains_key(OTHERS));
    if counts.contains_key(namespace) || named < NAMESPACES_MAX {
        return true;
    }
    let of_namespaces = counts.iter().filter(|(name, _)| *name != OTHERS);
    let idlest = of_namespaces.min_by_key(|(_, found)| found.latest).map(|(name, found)| (name.clone(), found.latest));
    match idlest {
        Some((name, latest)) if now.duration_since(latest) > IDLE => counts.remove(&name).is_some(),
        _ => false,
    }
}

impl Collector for NamespaceFindings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Findings on pods by the pods' namespace, fixed or left";
        let family = Family::<Labels, Counter>::default();
        for (namespace, found) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            for (level, of_level) in LEVELS.iter().zip(found.counts) {
                for (fixed, count) in ["false", "true"].into_iter().zip(of_level).filter(|(_, count)| *count > 0) {
                    let labels = Labels { pod_namespace: namespace.clone(), level: level.name(), fixed };
                    family.get_or_create(&labels).inc_by(count);
                }
            }
        }
        family.encode(encoder.encode_descriptor("namespace_findings", help, None, family.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    fn text(findings: &NamespaceFindings) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(findings.clone()));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    fn series(findings: &NamespaceFindings) -> usize {
        text(findings).lines().filter(|line| !line.starts_with('#')).count()
    }

    #[test]
    fn counts_by_namespace_level_and_outcome() {
        let findings = NamespaceFindings::default();
        findings.count("shop", [(Level::Warn, false), (Level::Warn, false)]);
        findings.count("shop", [(Level::Deny, true)]);
        let text = text(&findings);
        for line in [
            r#"namespace_findings_total{pod_namespace="shop",level="warn",fixed="false"} 2"#,
            r#"namespace_findings_total{pod_namespace="shop",level="deny",fixed="true"} 1"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(series(&findings), 2);
    }

    #[test]
    fn a_pod_without_findings_takes_no_namespaces_room() {
        let findings = NamespaceFindings::default();
        findings.count("shop", []);
        assert!(findings.0.lock().unwrap().is_empty());
    }

    #[test]
    fn more_namespaces_share_one_label() {
        let findings = NamespaceFindings::default();
        for index in 0..NAMESPACES_MAX + 50 {
            findings.count(&format!("preview-{index}"), [(Level::Warn, false)]);
        }
        assert_eq!(series(&findings), NAMESPACES_MAX + 1);
        assert!(text(&findings).contains(r#"pod_namespace="_others",level="warn",fixed="false"} 50"#));
    }

    #[test]
    fn an_idle_namespace_makes_room() {
        let findings = NamespaceFindings::default();
        let began = Instant::now();
        for index in 0..NAMESPACES_MAX {
            findings.count_at(began, &format!("preview-{index}"), [(Level::Warn, false)]);
        }
        let later = began + IDLE + Duration::from_secs(1);
        findings.count_at(later, "preview-7", [(Level::Warn, false)]);
        findings.count_at(later, "shop", [(Level::Warn, false)]);
        let text = text(&findings);
        assert!(text.contains(r#"pod_namespace="shop""#) && text.contains(r#"pod_namespace="preview-7""#), "{text}");
        assert!(!text.contains(OTHERS), "{text}");
        assert_eq!(series(&findings), NAMESPACES_MAX);
    }

    #[test]
    fn a_text_that_no_namespace_has_gets_no_label() {
        let findings = NamespaceFindings::default();
        for name in ["a\"b", "A", "", &"a".repeat(64), "_others", "a.b"] {
            findings.count(name, [(Level::Info, false)]);
        }
        assert!(text(&findings).contains(r#"pod_namespace="_others",level="info",fixed="false"} 6"#));
        assert_eq!(series(&findings), 1);
    }
}
