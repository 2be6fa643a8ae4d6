//! The Jobs of `manifests` that run `muslin probe`, with an image, as their files are written.

const JOB: &str = include_str!("../../manifests/probe.yaml");
const NODE_JOB: &str = include_str!("../../manifests/probe-node.yaml");

/// The choices for a Job.
#[derive(Clone, Debug)]
pub struct ProbeJob {
    /// The image of muslin.
    pub image: String,
    /// The namespace; that of `kubectl create` if `None`.
    pub namespace: Option<String>,
    /// The node; any if `None`.
    pub node: Option<String>,
    /// Is true for the Job that also reads the node's files.
    pub reads_node: bool,
}

// === impl ProbeJob ===

impl ProbeJob {
    /// Returns the manifest.
    pub fn manifest(&self) -> String {
        let text = if self.reads_node { NODE_JOB } else { JOB };
        let mut lines: Vec<String> = Vec::new();
        // The comment at the top is about the file.
        for line in text.lines().skip_while(|line| line.starts_with('#')) {
            let indent = &line[..line.len() - line.trim_start().len()];
            match line.trim() {
                "image: muslin" => lines.push(format!("{indent}image: \"{}\"", self.image)),
                "# nodeName: worker-1" if self.node.is_some() => {
                    lines.push(format!("{indent}nodeName: \"{}\"", self.node.as_deref().unwrap_or_default()));
                }
                "metadata:" if indent.is_empty() && self.namespace.is_some() => {
                    lines.push(line.to_owned());
                    lines.push(format!("  namespace: \"{}\"", self.namespace.as_deref().unwrap_or_default()));
                }
                _ => lines.push(line.to_owned()),
            }
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_job_has_the_image_the_namespace_and_the_node() {
        for reads_node in [false, true] {
            let image = "registry.example.com:5000/muslin@sha256:0".to_owned();
            let plain = ProbeJob { image: image.clone(), namespace: None, node: None, reads_node };
            let text = plain.manifest();
            assert!(text.contains("# nodeName: worker-1") && text.starts_with("apiVersion: batch/v1\n"), "{text}");
            let job: Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["image"], image);
            assert_eq!(job["metadata"]["namespace"], Value::Null);
            let placed = ProbeJob { namespace: Some("123".to_owned()), node: Some("worker-2".to_owned()), ..plain };
            let job: Value = serde_saphyr::from_str(&placed.manifest()).unwrap();
            assert_eq!(job["metadata"]["namespace"], "123");
            assert_eq!(job["spec"]["template"]["spec"]["nodeName"], "worker-2");
        }
    }
}
