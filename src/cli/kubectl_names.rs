//! Names as kubectl takes them and the API server accepts them (RFC 1123).

/// Parses a label, such as the name of a namespace.
pub(super) fn parse_label(text: &str) -> Result<String, &'static str> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label =
        (1..=63).contains(&text.len()) && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-');
    if is_label {
        Ok(text.to_owned())
    } else {
        Err("a name has at most 63 lower-case letters, digits and inner hyphens")
    }
}

/// Parses a name of labels, such as that of a node.
pub(super) fn parse_name(text: &str) -> Result<String, &'static str> {
    // A label of it may be as long as the name (kubernetes `validation.IsDNS1123Subdomain`).
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_name = (1..=253).contains(&text.len()) && text.split('.').all(is_label);
    if is_name { Ok(text.to_owned()) } else { Err("a name has lower-case letters, digits, and inner hyphens and dots") }
}

/// Parses a pod's name: `NAME`, or `pod/NAME`.
pub(super) fn parse_pod(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        Some(("pod" | "pods" | "po", name)) => name,
        Some((kind, _)) => return Err(format!("a probe needs a pod, not a {kind}; kubectl get pods shows them")),
        None => text,
    };
    parse_name(name).map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_the_names_that_kubectl_takes() {
        for text in ["web", "pod/web", "pods/web", "po/web"] {
            assert_eq!(parse_pod(text).as_deref(), Ok("web"), "{text}");
        }
        for text in ["web-7d4b9.example-0", &"a".repeat(253)] {
            assert!(parse_pod(text).is_ok(), "{text}");
        }
        for text in ["", "pod/", "Web", "a/b", "deployment/web", "a_b", "../x", "-a", "a.", "a\n", &"a".repeat(254)] {
            assert!(parse_pod(text).is_err(), "{text}");
        }
        assert!(parse_pod("deployment/web").unwrap_err().contains("not a deployment"));
        assert!(
            parse_label("kube-system").is_ok() && parse_label(&"a".repeat(64)).is_err() && parse_label("a.b").is_err()
        );
    }
}
