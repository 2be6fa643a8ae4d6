use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::files::FILES;
use super::*;

fn installation() -> Installation {
    Installation {
        image: "registry.example.com/muslin:0.1.0".to_owned(),
        namespace: NAMESPACE.to_owned(),
        mode: Mode::Inject,
        components: Vec::new(),
        has_monitoring: false,
        variables: Vec::new(),
    }
}

fn find<'o>(objects: &'o [Value], kind: &str) -> &'o Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap()
}

fn variables(objects: &[Value]) -> Vec<(&str, &str)> {
    let variables = &find(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"];
    let variables = variables.as_array().unwrap().iter();
    variables.filter_map(|variable| variable["name"].as_str().zip(variable["value"].as_str())).collect()
}

#[test]
fn every_file_of_the_folders_is_part_of_the_program() {
    fn collect(folder: &Path, files: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else {
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
                files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut files = BTreeSet::new();
    for folder in ["base", "components", "monitoring"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(folder), &mut files);
    }
    assert_eq!(FILES.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), files);
}

#[test]
fn every_platform_can_be_chosen() {
    for platform in Platform::ALL {
        let chosen = Installation { components: vec![Component::Platform(platform)], ..installation() };
        assert!(chosen.objects().unwrap().len() > 10, "{platform:?}");
    }
}

#[test]
fn the_webhooks_are_applied_last_and_deleted_first() {
    let all =
        [Component::HighAvailability, Component::ImageInspection, Component::CertManager, Component::NetworkPolicy];
    let objects = Installation { components: all.to_vec(), has_monitoring: true, ..installation() }.objects().unwrap();
    assert!(objects[objects.len() - 2..].iter().all(is_webhook_configuration));
    let deleted = objects_to_delete(NAMESPACE, true, true, false).unwrap();
    assert!(deleted[..2].iter().all(is_webhook_configuration));
    assert_eq!(deleted.last().unwrap()["kind"], "Namespace");
}

#[test]
fn whatever_is_installed_is_deleted() {
    let deleted = objects_to_delete("dns-system", true, true, false).unwrap();
    let components = vec![
        Component::HighAvailability,
        Component::EnforceEverywhereButSystem,
        Component::ImageInspection,
        Component::PrivateRegistries,
        Component::PullSecrets,
        Component::Reports,
        Component::CertManager,
        Component::NetworkPolicy,
        Component::Platform(Platform::OpenShift),
        Component::HostNetwork,
        Component::WatchNodes,
        Component::WatchZones,
        Component::WatchNodeFiles,
    ];
    for components in [Vec::new(), components] {
        let namespace = "dns-system".to_owned();
        let installed = Installation { components, namespace, has_monitoring: true, ..installation() };
        for object in installed.objects().unwrap() {
            assert!(deleted.contains(&name_of(&object)), "{}", name_of(&object));
        }
    }
}

#[test]
fn definitions_can_be_kept() {
    let kept = objects_to_delete(NAMESPACE, false, false, true).unwrap();
    assert!(kept.iter().all(|object| object["kind"] != "CustomResourceDefinition"));
}

#[test]
fn the_mode_enforce_has_two_replicas_and_selects_namespaces_without_a_label() {
    let objects = Installation { mode: Mode::Enforce, ..installation() }.objects().unwrap();
    assert_eq!(find(&objects, "Deployment")["spec"]["replicas"], 2);
    assert!(variables(&objects).contains(&("MUSLIN_DEFAULT_MODE", "enforce")));
    let webhooks = find(&objects, "ValidatingWebhookConfiguration")["webhooks"].as_array().unwrap();
    let enforcing = webhooks.iter().find(|webhook| webhook["name"] == "enforce.muslin.dev").unwrap();
    let selector = enforcing["namespaceSelector"].to_string();
    assert!(selector.contains("NotIn\",\"values\":[\"off\",\"audit\""), "{selector}");
}

#[test]
fn other_modes_and_variables_are_set_for_the_container() {
    let more = vec![("MUSLIN_DOCS_URL".to_owned(), "https://docs.example.com".to_owned())];
    let objects = Installation { mode: Mode::Audit, variables: more, ..installation() }.objects().unwrap();
    let variables = variables(&objects);
    assert!(variables.contains(&("MUSLIN_DEFAULT_MODE", "audit")), "{variables:?}");
    assert!(variables.contains(&("MUSLIN_DOCS_URL", "https://docs.example.com")), "{variables:?}");
}

#[test]
fn the_pages_about_alerts_are_below_the_address_of_the_docs() {
    let pages = |variables: &[(&str, &str)]| -> Vec<String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let objects = Installation { has_monitoring: true, variables, ..installation() }.objects().unwrap();
        let rules = find(&objects, "PrometheusRule")["spec"]["groups"][0]["rules"].as_array().unwrap();
        rules.iter().map(|rule| rule["annotations"]["runbook_url"].as_str().unwrap().to_owned()).collect()
    };
    let page = "alerts/MuslinIsGone.md";
    assert_eq!(pages(&[])[0], format!("docs/{page}"));
    for address in ["https://docs.example.com/muslin", "https://docs.example.com/muslin/"] {
        let pages = pages(&[("MUSLIN_DOCS_URL", address)]);
        assert_eq!(pages[0], format!("https://docs.example.com/muslin/{page}"));
        assert!(
            pages.iter().all(|page| page.starts_with("https://docs.example.com/muslin/alerts/Muslin")),
            "{pages:?}"
        );
    }
}

#[test]
fn openshift_chooses_the_user_id() {
    let components = vec![Component::CertManager, Component::Platform(Platform::OpenShift)];
    let objects = Installation { components, ..installation() }.objects().unwrap();
    let context = &find(&objects, "Deployment")["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(context.to_string(), r#"{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}"#);
}

#[test]
fn the_kubelet_reads_the_permissions_of_files_as_octal_numbers() {
    let objects = Installation { components: vec![Component::OwnCertificate], ..installation() }.objects().unwrap();
    let volume = &find(&objects, "Deployment")["spec"]["template"]["spec"]["volumes"][0];
    assert_eq!(volume["secret"]["defaultMode"], 0o440);
}

#[test]
fn a_chart_says_where_each_part_is() {
    let templates = templates().unwrap();
    let deployment = templates.iter().find(|template| template.file == "deployment-muslin.yaml").unwrap();
    for part in [
        "{{- if eq .Values.platform \"gke\" }}\n              containerPort: 10250\n{{- else }}\n              containerPort: 8443\n",
        "{{- if .Values.privateRegistries }}\n            - name: REGISTRY_AUTH_FILE\n",
        "namespace: {{ .Release.Namespace | quote }}\n",
    ] {
        assert!(deployment.text.contains(part), "{part}\n{}", deployment.text);
    }
}

#[test]
fn a_watch_on_nodes_and_one_in_zones_differ_in_their_kind_and_in_where_they_run_alone() {
    let watch = |component, kind: &str| {
        let objects = Installation { components: vec![component], ..installation() }.objects().unwrap();
        let object =
            objects.into_iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == "muslin-watch");
        object.unwrap()["spec"]["template"]["spec"].take()
    };
    let (mut nodes, mut zones) =
        (watch(Component::WatchNodes, "DaemonSet"), watch(Component::WatchZones, "Deployment"));
    assert!(nodes["tolerations"].take().is_array() && zones["topologySpreadConstraints"].take().is_array());
    for spec in [&mut nodes, &mut zones] {
        spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    assert_eq!(nodes, zones);
    assert_eq!(nodes["containers"][0]["image"], "registry.example.com/muslin:0.1.0");
}

#[test]
fn helm_evaluates_no_text_of_a_manifest() {
    let templates = templates().unwrap();
    let dashboard = templates.iter().find(|template| template.file == "configmap-muslin-dashboard.yaml").unwrap();
    assert!(dashboard.text.contains(r#"{{ "{{" }}"#));
    let actions = dashboard.text.matches("{{").count() - 2 * dashboard.text.matches(r#"{{ "{{" }}"#).count();
    assert_eq!(actions, 3, "if, namespace, end");
}

#[test]
fn the_ports_of_the_host_s_network_outrank_a_platform_s() {
    let components = vec![Component::HostNetwork, Component::Platform(Platform::Gke)];
    let objects = Installation { components, ..installation() }.objects().unwrap();
    let bound: Vec<_> = variables(&objects).into_iter().filter(|(name, _)| *name == "MUSLIN_BIND").collect();
    assert_eq!(bound, [("MUSLIN_BIND", "9443")]);
    let spec = &find(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(spec["containers"][0]["ports"][0]["containerPort"], 9443);
    assert_eq!(spec["dnsPolicy"], "ClusterFirstWithHostNet");
}
