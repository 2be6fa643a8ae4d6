//! Tests of reading pods from JSON.

use super::*;

fn parse_pod(json: &str) -> Pod<'_> {
    serde_json::from_str(json).unwrap()
}

#[test]
fn reads_every_kind_of_container_init_first() {
    let pod = parse_pod(
        r#"{"spec":{"containers":[{"name":"app","image":"alpine:3.19"}],
            "initContainers":[{"name":"init","image":"busybox"},{"name":"sidecar","restartPolicy":"Always"}]}}"#,
    );
    let names: Vec<_> = pod.containers().map(|container| container.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["init", "sidecar", "app"]);
}

#[test]
fn null_counts_as_absent() {
    let pod = parse_pod(
        r#"{"metadata":{"name":null,"annotations":null,"labels":null},
            "spec":{"containers":[{"name":"app","image":null,"env":null,"command":null,"args":null}],
                    "initContainers":null,"hostNetwork":null,"dnsPolicy":null,"os":null,
                    "dnsConfig":{"nameservers":null,"searches":null,"options":null}}}"#,
    );
    assert_eq!(pod.dns(), Dns::default());
    assert_eq!(pod.dns_config_shape(), DnsConfigShape { is_object: true, has_options: false });
    assert_eq!(pod.name(), None);
    assert!(!pod.is_mirror() && !pod.is_windows());
}

#[test]
fn an_empty_object_is_an_empty_pod() {
    assert_eq!(parse_pod("{}").containers().count(), 0);
}

#[test]
fn rejects_a_list_in_place_of_an_object() {
    for json in [
        "[]",
        r#"{"metadata":[]}"#,
        r#"{"metadata":{"labels":[]}}"#,
        r#"{"metadata":{"annotations":[]}}"#,
        r#"{"spec":[null]}"#,
        r#"{"spec":{"dnsConfig":[]}}"#,
        r#"{"spec":{"dnsConfig":[null]}}"#,
        r#"{"spec":{"dnsConfig":{"options":[["ndots","2"]]}}}"#,
        r#"{"spec":{"containers":[["app","alpine"]]}}"#,
        r#"{"spec":{"containers":[{"env":[["GODEBUG",null]]}]}}"#,
        r#"{"spec":{"affinity":{"nodeAffinity":[]}}}"#,
    ] {
        let error = serde_json::from_str::<Pod<'_>>(json).expect_err(json).to_string();
        assert!(error.starts_with("invalid type: sequence, expected a"), "{json}: {error}");
    }
}

#[test]
fn borrows_strings_without_escapes() {
    let json = String::from(r#"{"spec":{"containers":[{"name":"app","image":"alpine:3.19"}]}}"#);
    let pod = parse_pod(&json);
    let image = pod.containers().next().unwrap().image.as_ref().unwrap();
    assert!(json.as_bytes().as_ptr_range().contains(&image.as_ptr()));
}

#[test]
fn keeps_only_the_environment_that_changes_the_resolver() {
    let pod = parse_pod(
        r#"{"spec":{"containers":[{"name":"app","env":[
            {"name":"SECRET","value":"a \"quoted\" text"},{"name":"GODEBUG","value":"netdns=cgo"},
            {"name":"RES_OPTIONS","value":"ndots:1"},{"name":"RES_OPTIONS","value":"ndots:2"},
            {"name":"LOCALDOMAIN","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}"#,
    );
    let env = &pod.containers().next().unwrap().env;
    assert_eq!(env.godebug.as_deref(), Some("netdns=cgo"));
    assert_eq!(env.res_options.as_deref(), Some("ndots:2"));
    assert_eq!(env.local_domain, None);
}

#[test]
fn values_of_the_environment_are_expanded_as_the_kubelet_does() {
    let pod = parse_pod(
        r#"{"spec":{"containers":[{"env":[
            {"name":"N","value":"1"},{"name":"MODE","value":"cgo"},{"name":"S","valueFrom":{"fieldRef":{"fieldPath":"x"}}},
            {"name":"GODEBUG","value":"netdns=$(MODE)"},{"name":"RES_OPTIONS","value":"ndots:$(N) $(LATER)"},
            {"name":"LOCALDOMAIN","value":"$(S).example.com"},{"name":"PATH","value":"/opt/$$(N)/bin:/bin"},
            {"name":"LATER","value":"rotate"}]}]}}"#,
    );
    let env = &pod.containers().next().unwrap().env;
    let values = ["GODEBUG", "RES_OPTIONS", "LOCALDOMAIN", "PATH"].map(|name| env.get(name));
    assert_eq!(values, [Some("netdns=cgo"), Some("ndots:1 $(LATER)"), None, Some("/opt/$(N)/bin:/bin")]);
}

#[test]
fn recognizes_mirror_pods_and_windows_pods() {
    assert!(parse_pod(r#"{"metadata":{"annotations":{"kubernetes.io/config.mirror":"abc"}}}"#).is_mirror());
    assert!(parse_pod(r#"{"spec":{"os":{"name":"windows"}}}"#).is_windows());
    assert!(!parse_pod(r#"{"spec":{"os":{"name":"linux"}}}"#).is_windows());
}

#[test]
fn counts_the_room_that_other_annotations_leave() {
    let pod = parse_pod(r#"{"metadata":{"annotations":{"a":"12345678","muslin.dev/warnings":"not counted"}}}"#);
    // One byte of key, ten of value with its quotes.
    assert_eq!(pod.annotations().room(), 256 * 1024 - 11);
}

#[test]
fn the_error_for_a_wrong_type_names_the_annotation() {
    let error =
        serde_json::from_str::<Pod<'_>>(r#"{"metadata":{"annotations":{"muslin.dev/inject":false}}}"#).unwrap_err();
    assert!(error.to_string().starts_with("annotation muslin.dev/inject: invalid type: boolean"), "{error}");
}

#[test]
fn a_pod_shows_that_a_mesh_takes_its_dns_queries() {
    let takes = |metadata: &str, env: &str| {
        let json =
            format!(r#"{{"metadata":{metadata},"spec":{{"containers":[{{"name":"istio-proxy","env":{env}}}]}}}}"#);
        serde_json::from_str::<Pod<'_>>(&json).unwrap().dns().mesh_dns_proxy
    };
    let config = |value: &str| {
        let text = format!("proxyMetadata:\n  ISTIO_META_DNS_CAPTURE: {value}\n");
        serde_json::json!({ "annotations": { "proxy.istio.io/config": text } }).to_string()
    };
    let env = |value: &str| format!(r#"[{{"name":"ISTIO_META_DNS_CAPTURE","value":"{value}"}}]"#);
    let ambient = |capture: &str| {
        let capture = serde_json::json!({ "ambient.istio.io/dns-capture": capture });
        serde_json::json!({ "labels": { "istio.io/dataplane-mode": "ambient" }, "annotations": capture }).to_string()
    };
    let shown = [
        takes(&config("\"true\""), "[]"),
        takes(&config("true"), "[]"),
        takes("{}", &env("true")),
        takes(&ambient("true"), "[]"),
        takes(r#"{"labels":{"istio.io/dataplane-mode":"ambient"}}"#, "[]"),
    ];
    assert_eq!(shown, [true; 5]);
    let others = [
        takes(&config("\"false\""), "[]"),
        takes("{}", &env("false")),
        takes("{}", "[]"),
        takes(&ambient("false"), "[]"),
        takes(r#"{"labels":{"istio.io/dataplane-mode":"none"}}"#, "[]"),
    ];
    assert_eq!(others, [false; 5]);
}

mod resolv_conf {
    use super::*;

    fn dns(policy: Policy, options: &[(&str, Option<&str>)]) -> Dns {
        Dns {
            policy,
            options: options.iter().map(|(name, value)| DnsOption::new(name, *value)).collect(),
            ..Dns::default()
        }
    }

    fn options(dns: &Dns) -> Vec<String> {
        dns.resolv_conf("shop", "cluster.local").options
    }

    #[test]
    fn cluster_first_starts_from_the_cluster_s_search_list_and_ndots() {
        let conf = Dns::default().resolv_conf("shop", "cluster.local");
        assert_eq!(conf.searches, ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
        assert_eq!(conf.options, ["ndots:5"]);
    }

    #[test]
    fn the_pod_s_option_replaces_the_base_s() {
        assert_eq!(options(&dns(Policy::ClusterFirst, &[("ndots", Some("2"))])), ["ndots:2"]);
    }

    #[test]
    fn an_option_with_its_value_in_its_name_stands_beside_the_base_s() {
        assert_eq!(options(&dns(Policy::ClusterFirst, &[("ndots:2", None)])), ["ndots:5", "ndots:2"]);
    }

    #[test]
    fn the_last_of_several_with_one_name_counts() {
        let dns = dns(Policy::None, &[("timeout", Some("1")), ("rotate", None), ("timeout", Some("2"))]);
        assert_eq!(options(&dns), ["rotate", "timeout:2"]);
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        assert_eq!(options(&dns(Policy::None, &[("edns0", Some(""))])), ["edns0"]);
    }

    #[test]
    fn host_network_turns_cluster_first_into_the_node_s_file() {
        assert_eq!(Policy::of(None, true), Policy::ClusterFirstOnHostNetwork);
        assert_eq!(Policy::of(Some("ClusterFirstWithHostNet"), true), Policy::ClusterFirstWithHostNet);
        assert_eq!(Policy::ClusterFirstOnHostNetwork.base(), Base::Node);
    }

    #[test]
    fn duplicates_are_written_once() {
        let twice = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let dns = Dns {
            nameservers: twice(&["192.0.2.1", "192.0.2.2", "192.0.2.1"]),
            searches: twice(&["a.test", "svc.cluster.local", "a.test"]),
            ..Dns::default()
        };
        let conf = dns.resolv_conf("shop", "cluster.local");
        assert_eq!(conf.nameservers, ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(conf.searches[2..], ["cluster.local", "a.test"]);
    }

    #[test]
    fn counts_the_options_line_as_it_is_written() {
        let conf = dns(Policy::ClusterFirst, &[("timeout", Some("5"))]).resolv_conf("shop", "cluster.local");
        assert_eq!(conf.options_line_len(), "options ndots:5 timeout:5".len());
    }
}

mod injected {
    use super::*;

    #[test]
    fn parses_its_own_text() {
        let text = "dnsPolicy:None (was dnsPolicy:ClusterFirst) timeout:5 attempts:10 (was attempts:0) timeout:5 (was timeout:00 at 12)";
        let injected = Injected::parse(text);
        assert_eq!(injected.options.len(), 4);
        assert_eq!(injected.options[3].index, Some(12));
        assert_eq!(
            injected.options[2],
            InjectedOption { option: "attempts:10".to_owned(), replaced: Some("attempts:0".to_owned()), index: None }
        );
        assert_eq!(injected.to_string(), text);
    }

    #[test]
    fn skips_malformed_entries() {
        for text in
            ["", "(was", "(was x)", "a (was", "a (was b", ") ( was", "a (was b at", "a (was b at x)", "a (was b at 1"]
        {
            let _ = Injected::parse(text).to_string();
        }
        assert_eq!(Injected::parse("a (was b at -1)").options[0].replaced, None);
        assert_eq!(
            Injected::parse("a (was b").options,
            [InjectedOption { option: "a".to_owned(), replaced: None, index: None }]
        );
    }
}

/// Whatever a plan can depend on makes two pods unequal.
#[test]
fn two_pods_are_equal_for_a_plan_if_only_names_and_foreign_labels_differ() {
    const POD: &str = r#"{"metadata":{"name":"a"},"spec":{"containers":[{"name":"app","image":"alpine:3.19"}]}}"#;
    let one: Pod<'_> = serde_json::from_str(POD).unwrap();
    let renamed = POD.replace(r#""name":"a""#, r#""generateName":"b-","namespace":"shop","uid":"1""#);
    assert!(one.equals_for_plan(&serde_json::from_str(&renamed).unwrap()));
    for (from, to) in [
        ("alpine:3.19", "alpine:3.18"),
        (r#""name":"app""#, r#""name":"apps""#),
        (r#""name":"a""#, r#""annotations":{}"#),
        (r#""name":"a""#, r#""annotations":{"muslin.dev/inject":"true"}"#),
        (r#""name":"a""#, r#""annotations":{"muslin.dev/ignore":"musl-slow-retry"}"#),
        (r#""name":"a""#, r#""labels":{"muslin.dev/libc":"musl"}"#),
        (r#""spec":{"#, r#""spec":{"hostNetwork":true,"#),
        (r#""spec":{"#, r#""spec":{"dnsPolicy":"None","#),
        (r#""spec":{"#, r#""spec":{"dnsConfig":{},"#),
        (r#""spec":{"#, r#""spec":{"dnsConfig":{"searches":["a"]},"#),
        (r#""spec":{"#, r#""spec":{"dnsConfig":{"nameservers":["a"]},"#),
        (r#""spec":{"#, r#""spec":{"os":{"name":"linux"},"#),
        (r#""image":"#, r#""command":["a"],"image":"#),
        (r#""image":"#, r#""args":["a"],"image":"#),
        (r#""image":"#, r#""env":[{"name":"GODEBUG","value":"netdns=go"}],"image":"#),
        (r#""containers":"#, r#""initContainers":"#),
    ] {
        let other = POD.replace(from, to);
        assert_ne!(other, POD);
        assert!(!one.equals_for_plan(&serde_json::from_str(&other).unwrap()), "{other}");
    }
}

#[test]
fn the_ephemeral_containers_of_a_running_pod_are_its_last_containers() {
    let text = r#"{"spec":{"initContainers":[{"name":"init"}],"containers":[{"name":"app","image":"a"}],
        "ephemeralContainers":[{"name":"shell","image":"b"}]}}"#;
    let names = |pod: &Pod<'_>| pod.containers().map(|it| it.name.as_deref().unwrap().to_owned()).collect::<Vec<_>>();
    let new: Pod<'_> = serde_json::from_str(text).unwrap();
    let RunningPod(running) = serde_json::from_str(text).unwrap();
    assert_eq!(names(&new), ["init", "app"]);
    assert_eq!(names(&running), ["init", "app", "shell"]);
    let RunningPod(bare) = serde_json::from_str(r#"{"spec":{"ephemeralContainers":[{"name":"shell"}]}}"#).unwrap();
    assert_eq!(names(&bare), ["shell"]);
    assert!(serde_json::from_str::<RunningPod<'_>>("[]").is_err());
}

#[test]
fn pods_run_the_same_images_in_containers_of_the_same_names() {
    let pod = |text: &'static str| serde_json::from_str::<Pod<'_>>(text).unwrap();
    let before = pod(r#"{"metadata":{"labels":{}},"spec":{"containers":[{"name":"app","image":"a"}]}}"#);
    assert!(pod(r#"{"spec":{"containers":[{"name":"app","image":"a","args":["x"]}]}}"#).runs_the_images_of(&before));
    for other in [
        r#"{"spec":{"containers":[{"name":"app","image":"b"}]}}"#,
        r#"{"spec":{"containers":[{"name":"web","image":"a"}]}}"#,
        r#"{"spec":{"initContainers":[{"name":"app","image":"a"}],"containers":[{"name":"app","image":"a"}]}}"#,
        "{}",
    ] {
        assert!(!pod(other).runs_the_images_of(&before), "{other}");
    }
}
