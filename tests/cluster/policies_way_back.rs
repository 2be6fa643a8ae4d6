//! Policies that muslin keeps while something around them changes: profiles roll out, select pods, are deleted; tags move; and muslin is
//! installed without policies again, during which no pod is missed. On request: `cargo test --test cluster -- --ignored polic`.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::certificates::is_settled;
use crate::cluster::inspection::{Fingerprints, overlay};
use crate::cluster::load::under_load;
use crate::cluster::policies::kubernetes;
use crate::cluster::policies_beside_webhook::{
    KNOWN, MARK, NAMESPACE, NEW, PROFILE, Rights, UNKNOWN, arguments, declare, dry_run, has_condition, is_marked,
    is_reviewed, mark, mark_of, options, wait_for_mark,
};
use crate::cluster::profiles::{Applied, applied, apply};
use crate::cluster::replicas::{Replicas, wait};
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const ON_REQUEST: Topic =
    tests![policies_follow_profiles_and_tags, no_pod_is_missed_on_the_way_back_from_policies];

/// The rights that `muslin install --policies` adds.
const ROLE: &str = "components/policies/cluster-role.yaml";

/// The arguments of replicas with policies.
const WITH_POLICIES: [&str; 4] = ["--policies", "--inspect-images", "--inspection-budget", "0"];

/// Makes a namespace with a profile, and declares an image. The rest of the result deletes the profile and the definitions in the end.
fn prepared(cluster: &Cluster) -> Result<(Rights<'_>, (Applied<'_>, Fingerprints<'_>))> {
    let fingerprints = Fingerprints::apply(cluster)?;
    let rights = Rights::apply(cluster)?;
    let (profile, _) = applied(cluster, PROFILE, &giving(4))?;
    cluster.namespace(NAMESPACE, &[("muslin.dev/profile", PROFILE)])?;
    declare(cluster, '1', KNOWN, "musl 1.2.5")?;
    Ok((rights, (profile, fingerprints)))
}

fn policies_follow_profiles_and_tags(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    let (rights, _kept) = prepared(cluster)?;
    declare(cluster, '2', NEW, "musl 1.2.5")?;
    let _muslin = cluster.muslin_with(&arguments())?;
    wait_for_mark(cluster, KNOWN)?;
    a_profile_that_rolls_out_is_the_webhooks(cluster)?;
    pods_that_a_profile_does_not_select_are_the_webhooks(cluster)?;
    a_tag_that_moved_to_another_resolver_is_the_webhooks(cluster)?;
    an_image_counts_by_its_digest(cluster)?;
    a_deleted_profile_takes_its_policies_along(cluster, &rights)
}

/// Returns a profile with one option for all pods: no registry has the images, so that the webhook does not know them.
pub(crate) fn giving(timeout: u8) -> Value {
    let options = json!([format!("timeout:{timeout}")]);
    json!({ "options": { "musl": options, "mixed": options, "others": options } })
}

/// Changes the profile, and waits until a pod of the namespace is as expected.
fn becomes(cluster: &Cluster, spec: &Value, wanted: &Value, holds: impl Fn(&Value) -> bool) -> Result<()> {
    let output = apply(cluster, PROFILE, spec)?;
    ensure!(output.status.success(), "{}", output.stderr);
    let begin = Instant::now();
    let mut last = Value::Null;
    wait("as expected", || {
        last = dry_run(cluster, wanted)?.0;
        Ok(holds(&last))
    })
    .with_context(|| format!("{spec}: {last:#}"))?;
    eprintln!("{spec} counts after {:?}", begin.elapsed());
    Ok(())
}

fn a_profile_that_rolls_out_is_the_webhooks(cluster: &Cluster) -> Result<()> {
    let known = pod(NAMESPACE, "rolling", KNOWN);
    let mut rolling = giving(5);
    rolling["rollout"] = json!({ "percent": 100, "soak": "1h" });
    let is_canary = |pod: &Value| pod["metadata"]["labels"]["muslin.dev/rollout"] == "canary";
    // muslin records the present settings first, and refuses a rollout until then.
    wait("recorded", || Ok(apply(cluster, PROFILE, &rolling)?.status.success()))?;
    becomes(cluster, &rolling, &known, |pod| mark(pod).is_null() && is_canary(pod) && options(pod) == "timeout:5")?;
    becomes(cluster, &giving(5), &known, |pod| is_marked(pod, KNOWN) && options(pod) == "timeout:5")
}

fn pods_that_a_profile_does_not_select_are_the_webhooks(cluster: &Cluster) -> Result<()> {
    let mut selecting = giving(6);
    selecting["podSelector"] = json!({ "matchLabels": { "tier": "web" } });
    let mut selected = pod(NAMESPACE, "selected", KNOWN);
    selected["metadata"]["labels"] = json!({ "tier": "web" });
    becomes(cluster, &selecting, &selected, |pod| is_marked(pod, KNOWN) && options(pod) == "timeout:6")?;
    let (other, _) = dry_run(cluster, &pod(NAMESPACE, "other", KNOWN))?;
    ensure!(mark(&other).is_null() && is_reviewed(&other) && options(&other) != "timeout:6", "{other:#}");
    becomes(cluster, &giving(4), &pod(NAMESPACE, "other", KNOWN), |pod| {
        is_marked(pod, KNOWN) && options(pod) == "timeout:4"
    })
}

/// One name has two digests now. The policies cannot know which one a node has.
fn a_tag_that_moved_to_another_resolver_is_the_webhooks(cluster: &Cluster) -> Result<()> {
    wait_for_mark(cluster, NEW)?;
    declare(cluster, '3', NEW, "glibc")?;
    let begin = Instant::now();
    wait("left to the webhook", || {
        let (moved, _) = dry_run(cluster, &pod(NAMESPACE, "moved", NEW))?;
        ensure!(is_reviewed(&moved), "{moved:#}");
        Ok(mark(&moved).is_null())
    })?;
    eprintln!("a tag that moved is the webhook's after {:?}", begin.elapsed());
    // The old digest has no names any more.
    let name = format!("sha256-{}", "2".repeat(64));
    let output = cluster.control_plane.kubectl(&["delete", "imagefingerprint", &name], None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    wait("changed by the policies", || {
        let (moved, _) = dry_run(cluster, &pod(NAMESPACE, "moved", NEW))?;
        Ok(is_marked(&moved, NEW) && moved["metadata"]["labels"]["muslin.dev/libc"] == "glibc")
    })
}

fn an_image_counts_by_its_digest(cluster: &Cluster) -> Result<()> {
    let by_digest = format!("registry.example.com/policies/known@sha256:{}", "4".repeat(64));
    declare(cluster, '4', &by_digest, "musl 1.2.5")?;
    wait_for_mark(cluster, &by_digest)?;
    Ok(())
}

fn a_deleted_profile_takes_its_policies_along(cluster: &Cluster, rights: &Rights<'_>) -> Result<()> {
    let known = pod(NAMESPACE, "without-profile", KNOWN);
    let mut forged = known.clone();
    forged["metadata"]["annotations"] = json!({ MARK: mark_of(KNOWN, "") });
    let look = |pod: &Value| {
        ensure!(is_reviewed(pod), "{pod:#}");
        Ok(())
    };
    // A namespace that names a profile which is gone gets `default`, and no pod is missed meanwhile.
    let ((), made) = under_load(cluster, &known, look, || {
        let output = cluster.control_plane.kubectl(&["delete", "resolverprofile", PROFILE], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        wait("changed by the webhook", || {
            let (pod, _) = dry_run(cluster, &known)?;
            Ok(mark(&pod).is_null() && options(&pod) != "timeout:4")
        })?;
        wait("without its policies", || Ok(rights.written()?.iter().all(|name| !name.contains(PROFILE))))
    })?;
    eprintln!("{made} pods were created while a profile was deleted");
    ensure!(made > 20, "{made}");
    let (pod, _) = dry_run(cluster, &forged)?;
    ensure!(mark(&pod).is_null() && is_reviewed(&pod), "{pod:#}");
    Ok(())
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Result<()> {
    let output = cluster.control_plane.kubectl(arguments, None)?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
    Ok(())
}

/// By kubectl, once with the role deleted first, as the page says, and once with the role left.
fn no_pod_is_missed_on_the_way_back_from_policies(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    let (rights, _kept) = prepared(cluster)?;
    let mut replicas = Replicas::start(cluster, 2, &WITH_POLICIES)?;
    wait("settled", || is_settled(cluster))?;
    wait_for_mark(cluster, KNOWN)?;
    let look = |pod: &Value| {
        ensure!(is_reviewed(pod) && options(pod) == "timeout:4", "{pod:#}");
        Ok(())
    };
    let known = pod(NAMESPACE, "on-the-way-back", KNOWN);
    for is_role_deleted in [true, false] {
        let ((), made) = under_load(cluster, &known, look, || {
            if is_role_deleted {
                kubectl(cluster, &["delete", "clusterrole,clusterrolebinding", "muslin-policies"])?;
                // No controller here deletes what belonged to the role.
                for name in rights.written()? {
                    kubectl(cluster, &["delete", &name])?;
                }
            }
            replicas.roll_to(&WITH_POLICIES[1..])?;
            wait("without the condition", || Ok(!has_condition(cluster)?))?;
            wait("without policies", || Ok(rights.written()?.is_empty()))
        })?;
        eprintln!("{made} pods were created on the way back");
        ensure!(made > 50, "{made}");
        let mut forged = pod(NAMESPACE, "forged", UNKNOWN);
        forged["metadata"]["annotations"] = json!({ MARK: mark_of(UNKNOWN, "") });
        ensure!(is_reviewed(&dry_run(cluster, &forged)?.0), "a forged mark counts");
        // And forth.
        let ((), _) = under_load(cluster, &known, look, || {
            kubectl(cluster, &["apply", "-f", &overlay(ROLE)])?;
            replicas.roll_to(&WITH_POLICIES)?;
            wait_for_mark(cluster, KNOWN).map(drop)
        })?;
    }
    Ok(())
}
