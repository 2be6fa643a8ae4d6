//! `muslin compile`: what it prints, and what it refuses. `tests/cluster/policies.rs` has the policies on an API server.

use super::{Folder, Run};

#[test]
fn prints_policies_and_bindings_and_says_what_they_leave() {
    let folder = Folder::new();
    let folder = folder.with(
        "images.txt",
        "alpine:3.19\nexample.com/app:1 musl 1.2.5\nmcr.microsoft.com/windows/nanoserver:ltsc2022\n",
    );
    let arguments = ["compile", "default", "--no-official-images", "--images", "images.txt"];
    let run = folder.run(&arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for object in [
        "kind: MutatingAdmissionPolicy\n",
        "kind: MutatingAdmissionPolicyBinding\n",
        "kind: ValidatingAdmissionPolicy\n",
        "kind: ValidatingAdmissionPolicyBinding\n",
        "apiVersion: admissionregistration.k8s.io/v1\n",
    ] {
        assert!(run.stdout.contains(object), "{object}");
    }
    let limit = "an image that is not in the table: the pod stays as it is";
    assert!(
        run.stdout.contains(&format!("# - {limit}")) && run.stderr.contains(&format!("not in the policies: {limit}"))
    );
    assert!(run.stdout.contains("'example.com/app:1': 'k"), "the image is in the table");
    assert!(run.stderr.contains("nanoserver:ltsc2022 is for Windows"), "{}", run.stderr);
    let beta = folder.run(&[&arguments[..], &["--kubernetes", "1.34"]].concat()).stdout;
    assert!(beta.contains("apiVersion: admissionregistration.k8s.io/v1beta1\n"));
    let newest = folder.run(&[&arguments[..], &["--kubernetes", "v1.37.2"]].concat()).stdout;
    assert_eq!(newest, run.stdout);
    assert_eq!(beta.replace("k8s.io/v1beta1\n", "k8s.io/v1\n"), run.stdout, "the output is otherwise the same");
}

#[test]
fn a_profile_of_the_cluster_can_be_compiled_from_its_file() {
    let profile = |spec: &str| {
        format!("apiVersion: muslin.dev/v1alpha1\nkind: ResolverProfile\nmetadata: {{name: shop}}\nspec: {spec}\n")
    };
    let good = profile("{options: {musl: ['ndots:5']}, podSelector: {matchLabels: {app: web}}}");
    let folder = Folder::new().with("good.yaml", good).with("bad.yaml", profile("{options: {musl: ['atempts:3']}}"));
    let run =
        folder.run_with("alpine:3.19", &["compile", "--file", "good.yaml", "--no-official-images", "--images", "-"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("name: muslin-shop\n") && run.stdout.contains("objectSelector:"), "{}", run.stdout);
    let run = folder.run(&["compile", "--file", "bad.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("bad.yaml") && run.stderr.contains("did you mean `attempts`?"), "{}", run.stderr);
}

#[test]
fn a_profile_that_rolls_out_is_compiled_without_that_which_is_said() {
    let profile = "apiVersion: muslin.dev/v1alpha1\nkind: ResolverProfile\nmetadata: {name: shop}\n\
                   spec: {options: {musl: ['ndots:5']}, rollout: {percent: 10, soak: 1h}}\n";
    let folder = Folder::new().with("shop.yaml", profile).with("wrong.yaml", profile.replace("1h", "400h"));
    let run =
        folder.run_with("alpine:3.19", &["compile", "--file", "shop.yaml", "--no-official-images", "--images", "-"]);
    let says = "shop.yaml: not in the policies: spec.rollout; all new pods get the settings at once, and not 10 % of them first";
    assert!(run.code == 0 && run.stderr.contains(says), "{}", run.stderr);
    let run = folder.run(&["compile", "--file", "wrong.yaml"]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("rollout.soak: `400h` is no time between 1s and 336h, such as 1h or 30m"),
        "{}",
        run.stderr
    );
}

#[test]
fn refuses_what_it_cannot_read() {
    let folder = Folder::new()
        .with("images.txt", "alpine:3.19\nexample.com/app:1 bionic\n")
        .with("images.json", "{\"objects\": []}");
    for (arguments, says) in [
        (&["compile", "fats"][..], "invalid value 'fats'"),
        (&["compile", "--images", "absent.txt"], "cannot read absent.txt"),
        (&["compile", "--images", "images.txt"], "images.txt: line 2: `bionic` is not a resolver"),
        (&["compile", "--images", "images.json"], "muslin scan --images -o json"),
        (&["compile", "--file", "images.txt"], "images.txt is no ResolverProfile"),
        (&["compile", "default", "--kubernetes", "1.33"], "does not serve MutatingAdmissionPolicy"),
        (&["compile", "default", "--kubernetes", "v1.30.14"], "use the webhook (muslin install)"),
        (&["compile", "default", "--kubernetes", "new"], "such as 1.36"),
        (&["compile", "default", "--file", "images.txt"], "cannot be used with"),
    ] {
        let Run { code, stdout, stderr } = folder.run(arguments);
        assert_eq!((code, &*stdout), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
}
