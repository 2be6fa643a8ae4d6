//! Each check on a healthy cluster, and on one in which one thing is broken.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::compilation::WEBHOOK_CONDITION;

const PODS: &str = "pods.muslin.dev";

fn object<'o>(objects: &'o [Value], kind: &str) -> &'o Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap()
}

fn namespace(name: &str, labels: &[(&str, &str)]) -> NamespaceLabels {
    let own = [("kubernetes.io/metadata.name", name)];
    let labels = own.iter().chain(labels).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    NamespaceLabels { name: name.to_owned(), labels }
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/name": "muslin", "app.kubernetes.io/component": "webhook" }
        },
        "spec": { "containers": [{ "image": "registry.example.com/muslin:0.1.0" }] },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{ "imageID": "registry.example.com/muslin@sha256:1", "state": { "running": {} } }]
        }
    })
}

fn answer(status: u16, text: &str) -> PortAnswer {
    PortAnswer::Answer(status, text.to_owned())
}

fn dry_run(answer: &str) -> DryRun {
    let pod = json!({ "metadata": { "annotations": { "muslin.dev/doctor": answer } } });
    let result = CallResult::Created(Box::new(pod));
    DryRun { namespace: "default".to_owned(), took: Duration::from_millis(12), result }
}

/// A cluster in which all is well.
fn healthy() -> Observed {
    let objects = expected_objects(None, "muslin").unwrap();
    let mut deployment = object(&objects, "Deployment").clone();
    deployment["status"] = json!({ "availableReplicas": 1 });
    let definitions = objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition").map(|definition| {
        let mut definition = definition.clone();
        definition["status"] = json!({ "conditions": [{ "type": "Established", "status": "True" }] });
        definition
    });
    let configurations = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
        .map(|kind| Ok(Some(object(&objects, kind).clone())));
    let now = Timestamp::from_second(1_000_000_000).unwrap();
    let day = SignedDuration::from_hours(24);
    Observed {
        now,
        own_version: "0.1.0".to_owned(),
        namespace: "muslin".to_owned(),
        server: Ok("v1.34.4".to_owned()),
        definitions: Ok(definitions.collect()),
        configurations,
        namespaces: Ok(vec![
            namespace("default", &[]),
            namespace("kube-system", &[]),
            namespace("shop", &[("muslin.dev/mode", "enforce")]),
        ]),
        deployment: Ok(Some(deployment)),
        pods: Ok(vec![pod("muslin-1")]),
        replicas: vec![Replica {
            pod: "muslin-1".to_owned(),
            ready: answer(200, "ok\n"),
            webhook: answer(200, "ok\n"),
            metrics: answer(200, "muslin_pods_missed_total 0\n"),
        }],
        failed_inspections: Vec::new(),
        service: Ok(Some(object(&objects, "Service").clone())),
        slices: Ok(vec![json!({ "endpoints": [{ "conditions": { "ready": true } }] })]),
        secret: ServingSecret {
            name: "muslin-certificates".to_owned(),
            is_muslins: true,
            certificate: Ok(Some(CertificateFacts {
                from: now - day,
                until: now + day * 20,
                names: vec!["muslin.muslin.svc".to_owned()],
            })),
        },
        trust: vec![WebhookTrust { webhook: PODS.to_owned(), trust: Trust::Trusted }],
        rights: rights(&objects).into_iter().map(|right| (right, Ok(true))).collect(),
        dry_run: Some(dry_run("version=0.1.0 mode=inject")),
        enforced_dry_run: None,
        api_metrics: [Ok(String::new()), Ok(String::new())],
    }
}

/// Returns the checks that are not well after a change of a healthy cluster: their names, results and texts.
fn after(change: impl FnOnce(&mut Observed)) -> Vec<(&'static str, Status, String)> {
    let mut observed = healthy();
    change(&mut observed);
    let checks = judge(&observed).unwrap();
    let bad = checks.into_iter().filter(|check| check.status != Status::Ok);
    let bad = bad.inspect(|check| assert!(check.fix.is_some(), "{} says no way out: {}", check.check, check.message));
    bad.map(|check| (check.check, check.status, format!("{}\n{}", check.message, check.fix.unwrap_or_default())))
        .collect()
}

/// Asserts that exactly this check is bad, and that its texts have all of these words.
#[track_caller]
fn only(check: &str, status: Status, words: &[&str], change: impl FnOnce(&mut Observed)) {
    let found = after(change);
    assert!(matches!(&found[..], [(name, is, _)] if *name == check && *is == status), "{found:#?}");
    for word in words {
        assert!(found[0].2.contains(word), "no {word} in {}", found[0].2);
    }
}

fn webhook_of<'o>(observed: &'o mut Observed, configuration: usize, name: &str) -> &'o mut Value {
    let Ok(Some(configuration)) = &mut observed.configurations[configuration] else { panic!("no configuration") };
    configuration["webhooks"].as_array_mut().unwrap().iter_mut().find(|webhook| webhook["name"] == name).unwrap()
}

fn waiting(reason: &str, message: &str) -> Value {
    let mut pod = pod("muslin-1");
    pod["status"]["conditions"] = json!([{ "type": "Ready", "status": "False" }]);
    let state = json!({ "waiting": { "reason": reason, "message": message } });
    pod["status"]["containerStatuses"] = json!([{ "state": state, "restartCount": 7, "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } } }]);
    pod
}

#[test]
fn a_healthy_cluster_has_no_other_check_than_ok() {
    assert_eq!(after(|_| {}), vec![]);
    assert!(is_healthy(&judge(&healthy()).unwrap()));
}

#[test]
fn the_version_of_the_api_server() {
    only("api-server", Status::Wrong, &["1.30", "upgrade"], |it| it.server = Ok("v1.29.8-eks-1".to_owned()));
    only("api-server", Status::Warning, &["newer"], |it| it.server = Ok("v1.52.0".to_owned()));
    only("api-server", Status::Unknown, &["banana"], |it| it.server = Ok("banana".to_owned()));
    assert_eq!(after(|it| it.server = Ok("v1.30.14-gke.100".to_owned())), vec![]);
}

#[test]
fn definitions_are_there_and_current() {
    only("definitions", Status::Wrong, &["is missing", "muslin install"], |it| {
        it.definitions.as_mut().unwrap().remove(0);
    });
    only("definitions", Status::Wrong, &["differs at spec/versions/0", "muslin manifests crds"], |it| {
        it.definitions.as_mut().unwrap()[0]["spec"]["versions"][0]["schema"] = json!({});
    });
    only("definitions", Status::Wrong, &["does not serve"], |it| {
        it.definitions.as_mut().unwrap()[0]["status"] = json!({});
    });
    assert_eq!(
        after(|it| it.definitions.as_mut().unwrap()[0]["spec"]["conversion"] = json!({ "strategy": "None" })),
        vec![]
    );
}

#[test]
fn the_deployment_and_its_pods() {
    let found = after(|it| {
        it.deployment = Ok(None);
        it.pods = Ok(vec![]);
    });
    assert!(found.iter().any(|(name, status, text)| *name == "deployment"
        && *status == Status::Wrong
        && text.contains("no Deployment muslin")));
    only("deployment", Status::Wrong, &["no replicas", "kubectl scale"], |it| {
        it.deployment.as_mut().unwrap().as_mut().unwrap()["spec"]["replicas"] = json!(0);
    });
    let constraint = "pods \"muslin-\" is forbidden: unable to validate against any security context constraint";
    only("deployment", Status::Wrong, &["no pod can be created", "--platform openshift"], |it| {
        let conditions = json!([{ "type": "ReplicaFailure", "status": "True", "message": constraint }]);
        it.deployment.as_mut().unwrap().as_mut().unwrap()["status"]["conditions"] = conditions;
    });
    for reason in ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"] {
        let words = ["registry.example.com/muslin:0.1.0", reason, "not found", "push the image"];
        only("pods", Status::Wrong, &words, |it| it.pods = Ok(vec![pod("muslin-0"), waiting(reason, "not found")]));
    }
    only("pods", Status::Wrong, &["does not run yet", "in ten seconds", "describe pod"], |it| {
        it.pods = Ok(vec![pod("muslin-0"), waiting("ContainerCreating", "")]);
    });
    only("pods", Status::Wrong, &["137", "OOMKilled", "7 restarts", "--previous"], |it| {
        it.pods = Ok(vec![pod("muslin-0"), waiting("CrashLoopBackOff", "")]);
    });
    only("pods", Status::Wrong, &["no node takes", "0/3 nodes"], |it| {
        let mut pending = pod("muslin-1");
        let message = "0/3 nodes are available";
        pending["status"] =
            json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "message": message }] });
        it.pods = Ok(vec![pod("muslin-0"), pending]);
    });
}

#[test]
fn a_pod_that_is_not_ready_gives_its_own_reason() {
    let unready = |it: &mut Observed, ready: PortAnswer| {
        it.pods.as_mut().unwrap()[0]["status"]["conditions"] = json!([]);
        it.replicas[0].ready = ready;
    };
    only("pods", Status::Wrong, &["the namespaces are not listed yet", "rights"], |it| {
        unready(it, answer(503, "the namespaces are not listed yet\n"));
    });
    only("pods", Status::Wrong, &["does not answer: refused"], |it| {
        unready(it, PortAnswer::Silent("refused".to_owned()))
    });
    only("pods", Status::Warning, &["in ten seconds"], |it| unready(it, answer(200, "ok\n")));
}

#[test]
fn replicas_have_one_version_and_it_is_the_doctors() {
    only("versions", Status::Warning, &["2 different images", "rollout"], |it| {
        let mut other = pod("muslin-2");
        other["status"]["containerStatuses"][0]["imageID"] = json!("registry.example.com/muslin@sha256:2");
        it.pods.as_mut().unwrap().push(other);
    });
    only("versions", Status::Warning, &["0.9.0", "0.1.0"], |it| it.dry_run = Some(dry_run("version=0.9.0 mode=warn")));
}

#[test]
fn missing_rights_are_named_and_what_the_caller_may_not_ask_is_unknown() {
    only("rights", Status::Wrong, &["list namespaces", "muslin install"], |it| {
        for (right, is_allowed) in &mut it.rights {
            *is_allowed = Ok(right.to_string() != "list namespaces");
        }
    });
    only("rights", Status::Wrong, &[", and ", " more"], |it| {
        it.rights.iter_mut().for_each(|(_, allowed)| *allowed = Ok(false))
    });
    only("rights", Status::Unknown, &["you may not read", "cluster admin"], |it| {
        it.rights[0].1 = Err(Unseen::Forbidden("subjectaccessreviews is forbidden".to_owned()));
    });
    let updates = rights(&expected_objects(None, "dns").unwrap());
    let secret = updates.iter().find(|right| right.to_string() == "update secrets muslin-certificates").unwrap();
    assert_eq!(secret.namespace.as_deref(), Some("dns"));
}

#[test]
fn the_service_selects_the_pods() {
    only("service", Status::Wrong, &["does not match", "muslin-1", "app.kubernetes.io/component"], |it| {
        it.service.as_mut().unwrap().as_mut().unwrap()["spec"]["selector"]["app.kubernetes.io/component"] =
            json!("web");
        it.slices = Ok(vec![]);
    });
    only("service", Status::Wrong, &["no ready endpoint"], |it| {
        it.slices = Ok(vec![json!({ "endpoints": [{ "conditions": { "ready": false } }] })]);
    });
    only("service", Status::Wrong, &["no Service muslin"], |it| it.service = Ok(None));
}

#[test]
fn the_webhooks_are_there_and_call_the_service() {
    only("webhooks", Status::Wrong, &["enforce.muslin.dev is missing"], |it| {
        let Ok(Some(configuration)) = &mut it.configurations[1] else { panic!() };
        configuration["webhooks"].as_array_mut().unwrap().retain(|webhook| webhook["name"] != "enforce.muslin.dev");
    });
    only("webhooks", Status::Wrong, &["calls", "/namespace"], |it| {
        webhook_of(it, 0, PODS)["clientConfig"]["service"]["namespace"] = json!("old");
    });
    only("webhooks", Status::Warning, &["failurePolicy"], |it| {
        webhook_of(it, 1, "enforce.muslin.dev")["failurePolicy"] = json!("Ignore");
    });
    let found = after(|it| it.configurations[0] = Ok(None));
    assert!(found.iter().any(|(name, status, text)| *name == "webhooks"
        && *status == Status::Wrong
        && text.contains("MutatingWebhookConfiguration muslin.dev is missing")));
}

#[test]
fn a_selector_is_judged_by_the_namespaces_that_it_chooses() {
    let select = |selector: Value| move |it: &mut Observed| webhook_of(it, 0, PODS)["namespaceSelector"] = selector;
    only("selectors", Status::Wrong, &["matches no namespace"], select(json!({ "matchLabels": { "a": "b" } })));
    only(
        "selectors",
        Status::Warning,
        &["leaves out default"],
        select(json!({
            "matchExpressions": [{ "key": "muslin.dev/mode", "operator": "Exists" }]
        })),
    );
    only("selectors", Status::Warning, &["includes kube-system"], select(json!({})));
    only("selectors", Status::Warning, &["objectSelector"], |it| {
        webhook_of(it, 0, PODS)["objectSelector"] = json!({ "matchLabels": { "a": "b" } });
    });
    let label = |key: &'static str, value: &'static str| {
        move |it: &mut Observed| it.namespaces.as_mut().unwrap().push(namespace("web", &[(key, value)]))
    };
    only("selectors", Status::Warning, &["of web is no mode", "off, audit, warn"], label("muslin.dev/mode", "of"));
    only("selectors", Status::Warning, &["skips web", "muslin.dev/mode=off"], label("muslin.dev/self", "true"));
    assert_eq!(after(label("muslin.dev/mode", "audit")), vec![]);
    // As the API server of AKS adds it: no namespace here has the label.
    assert_eq!(
        after(|it| {
            let added = json!({ "key": "control-plane", "operator": "DoesNotExist" });
            webhook_of(it, 0, PODS)["namespaceSelector"]["matchExpressions"].as_array_mut().unwrap().push(added);
        }),
        vec![]
    );
}

#[test]
fn an_installation_that_enforces_everywhere_has_other_selectors() {
    let with = |name: &str, value: &str| {
        let variables = json!([{ "name": name, "value": value }]);
        json!({ "spec": { "template": { "spec": { "containers": [{ "env": variables }] } } } })
    };
    let enforces = |objects: &[Value]| {
        let configuration = object(objects, "ValidatingWebhookConfiguration");
        enforced_namespace(configuration, &[namespace("default", &[])]).is_some()
    };
    assert!(enforces(&expected_objects(Some(&with("MUSLIN_DEFAULT_MODE", "enforce")), "muslin").unwrap()));
    assert!(!enforces(&expected_objects(Some(&with("MUSLIN_DEFAULT_MODE", "audit")), "muslin").unwrap()));
    let reads = |objects: &[Value]| rights(objects).iter().any(|right| right.resource == "imagefingerprints");
    assert!(reads(&expected_objects(Some(&with("MUSLIN_INSPECT_IMAGES", "true")), "muslin").unwrap()));
    assert!(!reads(&expected_objects(None, "muslin").unwrap()));
}

#[test]
fn the_certificate_is_valid_for_the_service() {
    fn certificate(it: &mut Observed) -> &mut CertificateFacts {
        it.secret.certificate.as_mut().unwrap().as_mut().unwrap()
    }
    let hour = SignedDuration::from_hours(1);
    only("certificate", Status::Wrong, &["expired at 2001-09-09"], |it| certificate(it).until = it.now - hour);
    only("certificate", Status::Wrong, &["not yet", "clocks"], |it| certificate(it).from = it.now + hour);
    only("certificate", Status::Warning, &["expires in 6 days"], |it| {
        certificate(it).until = it.now + hour * 24 * 6 + hour
    });
    only("certificate", Status::Wrong, &["is for web.shop.svc"], |it| {
        certificate(it).names = vec!["web.shop.svc".to_owned()];
    });
    only("certificate", Status::Wrong, &["no readable"], |it| it.secret.certificate = Ok(None));
    only("certificate", Status::Unknown, &["you may not read the Secret"], |it| {
        it.secret.certificate = Err(Unseen::Forbidden("secrets is forbidden".to_owned()));
    });
    only("certificate", Status::Wrong, &["certs/README.md"], |it| {
        it.secret.is_muslins = false;
        certificate(it).until = it.now;
    });
}

#[test]
fn ca_bundle_contains_the_ca() {
    for (trust, status, words) in [
        (Trust::Empty, Status::Wrong, "is empty"),
        (Trust::Unreadable, Status::Wrong, "no readable certificate"),
        (Trust::Foreign, Status::Wrong, "does not contain the CA"),
        (Trust::Expired, Status::Wrong, "not valid now"),
        (Trust::Unknown, Status::Unknown, "not known"),
    ] {
        only("ca-bundle", status, &[words], |it| it.trust[0].trust = trust);
    }
}

#[test]
fn a_port_that_does_not_answer_says_why() {
    let silent = |reason: &str| {
        let reason = format!("error trying to reach service: dial tcp 10.244.0.5:8443: {reason}");
        move |it: &mut Observed| it.replicas[0].webhook = PortAnswer::Silent(reason)
    };
    let words = ["plain port answers", "--platform gke", "--host-network", "NetworkPolicies"];
    only("port", Status::Wrong, &words, silent("i/o timeout"));
    only("port", Status::Wrong, &["MUSLIN_BIND"], silent("connect: connection refused"));
    only("port", Status::Unknown, &["cluster admin"], |it| {
        it.replicas[0].webhook = PortAnswer::Unseen(Unseen::Forbidden("pods/proxy is forbidden".to_owned()));
    });
}

#[test]
fn a_pod_that_comes_back_unmarked_was_not_reviewed() {
    let unmarked = |it: &mut Observed| it.dry_run = Some(dry_run("?"));
    let found = after(unmarked);
    assert_eq!(found[1].0, "call", "{found:?}");
    assert!(found[1].2.contains("unmarked after 12 ms"));
    for (error, advice) in [
        ("x509: certificate has expired or is not yet valid", "ca-bundle"),
        ("context deadline exceeded", "--platform gke"),
        ("dial tcp 10.96.9.9:443: connect: connection refused", "MUSLIN_BIND"),
    ] {
        let message = format!("failed calling webhook \"enforce.muslin.dev\": failed to call webhook: Post: {error}");
        let found = after(|it| {
            unmarked(it);
            it.enforced_dry_run = Some(DryRun { result: CallResult::Denied(message), ..dry_run("?") });
        });
        let call = found.iter().find(|(name, ..)| *name == "call").unwrap();
        assert!(call.1 == Status::Wrong && call.2.contains(error) && call.2.contains(advice), "{call:?}");
    }
    // muslin of another version marks pods without an answer.
    let found = after(|it| {
        let pod = json!({ "metadata": { "labels": { "muslin.dev/libc": "musl" } } });
        it.dry_run = Some(DryRun { result: CallResult::Created(Box::new(pod)), ..dry_run("") });
    });
    assert!(found.iter().all(|(name, ..)| *name == "versions"), "{found:?}");
}

#[test]
fn a_call_that_is_slow_or_denied_by_others_is_no_failure_of_muslin() {
    only("call", Status::Warning, &["1500 ms"], |it| it.dry_run.as_mut().unwrap().took = Duration::from_millis(1500));
    let denied = |message: &str| CallResult::Denied(message.to_owned());
    let found =
        after(|it| it.dry_run.as_mut().unwrap().result = denied("admission webhook \"policy\" denied the request"));
    assert!(found.iter().any(|(name, status, _)| (*name, *status) == ("call", Status::Unknown)), "{found:?}");
    let found = after(|it| it.dry_run = None);
    assert!(found.iter().any(|(name, status, _)| (*name, *status) == ("call", Status::Unknown)), "{found:?}");
}

#[test]
fn calls_that_failed_are_counted_by_the_api_server() {
    const COUNTS: &str = "apiserver_admission_webhook_fail_open_count{name=\"pods.muslin.dev\",type=\"admit\"} 3\n\
        apiserver_admission_webhook_fail_open_count{name=\"other.example.com\",type=\"admit\"} 9\n\
        apiserver_admission_webhook_rejection_count{error_type=\"calling_webhook_error\",name=\"enforce.muslin.dev\",operation=\"CREATE\",rejection_code=\"0\",type=\"validating\"} 2\n\
        apiserver_admission_webhook_rejection_count{error_type=\"no_error\",name=\"enforce.muslin.dev\",operation=\"CREATE\",rejection_code=\"403\",type=\"validating\"} 7\n";
    only("fail-open", Status::Warning, &["5 times", "but not now"], |it| {
        it.api_metrics = [Ok(COUNTS.to_owned()), Ok(COUNTS.to_owned())];
    });
    only("fail-open", Status::Wrong, &["5 times while"], |it| it.api_metrics[1] = Ok(COUNTS.to_owned()));
    only("fail-open", Status::Unknown, &["cluster admin"], |it| {
        it.api_metrics[0] = Err(Unseen::Forbidden("cannot get path /metrics".to_owned()));
    });
}

#[test]
fn muslins_own_metrics_tell_of_missed_pods_caches_and_registries() {
    let metrics = |text: &str| {
        let text = text.to_owned();
        move |it: &mut Observed| it.replicas[0].metrics = PortAnswer::Answer(200, text)
    };
    only("missed-pods", Status::Warning, &["4 pods"], metrics("muslin_pods_missed_total 4\n"));
    let cache = "muslin_node_local_reachable{address=\"169.254.20.10\"} ";
    only("node-cache", Status::Wrong, &["169.254.20.10"], metrics(&format!("{cache}0\n")));
    assert_eq!(after(metrics(&format!("{cache}1\n"))), vec![]);
    let policies = |objects: u32, left_out: u32| {
        metrics(&format!(
            "muslin_policy_objects {objects}\nmuslin_policy_images 9\nmuslin_policy_images_left_out {left_out}\nmuslin_policy_pods_total 5\n\
             muslin_reviews_total{{hook=\"mutate\",outcome=\"changed\",mode=\"inject\"}} 3\n\
             muslin_reviews_total{{hook=\"enforce\",outcome=\"denied\",mode=\"enforce\"}} 7\n"
        ))
    };
    assert_eq!(after(policies(12, 0)), vec![]);
    let ways = "know 9 images changed 5 pods since the leader started, and the webhook reviewed 3";
    only("policies", Status::Warning, &[ways, "2 more images"], policies(12, 2));
    only("policies", Status::Warning, &["1.36"], policies(0, 0));
    let unserved = metrics("muslin_policy_objects 2\nmuslin_policies_served 0\n");
    only("policies", Status::Warning, &["does not serve MutatingAdmissionPolicy", "upgrade"], unserved);
    let condition = json!({ "name": WEBHOOK_CONDITION });
    let left = |it: &mut Observed| {
        webhook_of(it, 0, PODS)["matchConditions"].as_array_mut().unwrap().push(condition);
    };
    only("policies", Status::Warning, &["any author", "\"/webhooks/0/matchConditions/"], left);
    let inspections = |read, failed| {
        metrics(&format!("muslin_inspections_read_total {read}\nmuslin_inspections_failed_total {failed}\n"))
    };
    only("registries", Status::Wrong, &["all 2 inspections", "kubectl logs"], inspections(0, 2));
    only("registries", Status::Warning, &["2 inspections", "3 did not"], inspections(3, 2));
    assert_eq!(after(inspections(3, 0)), vec![]);
    let line = |registry: &str, unreachable: bool| {
        let line = json!({
            "timestamp": "2026-11-30T10:00:00Z", "level": "WARN", "message": "cannot inspect an image", "platform": "linux/amd64",
            "image": format!("{registry}/app:1"), "registry": registry, "unreachable": unreachable, "error": "timed out"
        });
        FailedInspection::of_log_line(&line.to_string()).unwrap()
    };
    let with = |lines: Vec<FailedInspection>| {
        move |it: &mut Observed| {
            inspections(3, 2)(it);
            it.failed_inspections = lines;
        }
    };
    let words = ["did not reach", "b.example.com (and 1 more)", "timed out", "NetworkPolicies", "--allow-network"];
    only("registries", Status::Wrong, &words, with(vec![line("a.example.com", true), line("b.example.com", true)]));
    only("registries", Status::Warning, &["a.example.com/app:1: timed out"], with(vec![line("a.example.com", false)]));
    assert_eq!(FailedInspection::of_log_line("{\"message\":\"changed a pod\"}"), None);
}

#[test]
fn a_dry_run_goes_where_muslin_reviews_pods() {
    let objects = expected_objects(None, "muslin").unwrap();
    let mutating = object(&objects, "MutatingWebhookConfiguration");
    let off = [("muslin.dev/mode", "off")];
    let namespaces = [namespace("web", &[]), namespace("default", &[]), namespace("api", &[])];
    assert_eq!(namespace_for_dry_run(mutating, &namespaces).as_deref(), Some("default"));
    let namespaces =
        [namespace("kube-public", &[]), namespace("web", &[]), namespace("default", &off), namespace("api", &[])];
    assert_eq!(namespace_for_dry_run(mutating, &namespaces).as_deref(), Some("api"));
    assert_eq!(namespace_for_dry_run(mutating, &[namespace("muslin", &[])]), None);
    let validating = object(&objects, "ValidatingWebhookConfiguration");
    assert_eq!(enforced_namespace(validating, &namespaces), None);
    let shop = [namespace("shop", &[("muslin.dev/mode", "enforce")])];
    assert_eq!(enforced_namespace(validating, &shop).as_deref(), Some("shop"));
}
