//! A new admin on a node without muslin, with nothing but the archive of a release and its image: installs muslin in three ways, goes from
//! mode `audit` to `inject`, breaks six things, and asks `muslin doctor`. Records `docs/first-steps.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::Topic;
use crate::common::harness::tests;
use crate::node::doctor::{FAULTS, finds_each};
use crate::node::first_steps_page::{BROKEN, Page, STEPS};
use crate::node::installation::state;
use crate::node::real_node::{Node, REGISTRY, eventually, run};

pub(crate) const ON_REQUEST: Topic =
    tests![the_archive_alone_installs_muslin_in_three_ways, records_docs_first_steps_md];

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The folder that `scripts/release` wrote, whose archive is then used in place of one with this build's binary.
const RELEASE: &str = "MUSLIN_RELEASE";

/// Time limit until an installation, or its end, has taken effect.
const DEADLINE: Duration = Duration::from_secs(120);

/// An admin at a shell on the node, in the folder that the archive became.
struct Admin {
    node: Node,
    folder: PathBuf,
}

/// A way to install muslin: commands in a shell, one for each mode, and those that remove it.
struct Way {
    name: &'static str,
    audit: &'static str,
    inject: &'static str,
    uninstall: &'static str,
}

const WAYS: [Way; 3] = [
    Way {
        name: "muslin install",
        audit: "muslin install --image registry.example.com/muslin:VERSION --mode audit | kubectl apply -f -",
        inject: "muslin install --image registry.example.com/muslin:VERSION | kubectl apply -f -",
        uninstall: "muslin uninstall | kubectl delete --ignore-not-found -f -",
    },
    Way {
        name: "Helm",
        audit: "helm install muslin charts/muslin --namespace muslin --create-namespace \
                --set image.repository=registry.example.com/muslin --set mode=audit
                kubectl label namespace muslin muslin.dev/self=true",
        inject: "helm upgrade muslin charts/muslin --namespace muslin --reuse-values --set mode=inject",
        uninstall: "helm uninstall muslin --namespace muslin --wait
                    kubectl delete namespace muslin
                    muslin manifests crds | kubectl delete -f -",
    },
    Way {
        name: "kustomize",
        audit: "mkdir -p ours && cat >ours/kustomization.yaml <<'END'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../manifests/base]
images: [{name: muslin, newName: registry.example.com/muslin, newTag: VERSION}]
patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: muslin, namespace: muslin}
      spec: {template: {spec: {containers: [{name: muslin, env: [{name: MUSLIN_DEFAULT_MODE, value: audit}]}]}}}
END
kubectl apply -k ours",
        inject: "sed -i '/^patches/,$d' ours/kustomization.yaml && kubectl apply -k ours",
        uninstall: "kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration muslin.dev
                    kubectl delete --ignore-not-found -k ours",
    },
];

/// A node of its own: the one that the other tests share has muslin.
fn the_archive_alone_installs_muslin_in_three_ways(_: &mut Node) -> Result<()> {
    let archive = Archive::of_this_build()?;
    let admin = Admin::with(&archive)?;
    admin.shell("kubectl create namespace shop")?;
    admin.waits_for_the_service_account()?;
    admin.shell("kubectl apply -n shop -f manifests/examples/alpine-pod.yaml")?;
    for way in &WAYS {
        admin.goes(way).with_context(|| way.name)?;
    }
    Ok(())
}

fn records_docs_first_steps_md(_: &mut Node) -> Result<()> {
    let archive = Archive::of_this_build()?;
    let node = Node::start()?;
    let layouts = Layouts::of(&node, &archive)?;
    let begun = Instant::now();
    let admin = Admin::on(node, &archive, &layouts)?;
    let mut page = Page::default();
    let mut changed = None;
    for step in &STEPS {
        page.begin(step);
        for command in step.commands {
            // A person is slower than the controllers.
            if command.starts_with("kubectl apply") {
                admin.waits_for_the_service_account()?;
            } else if command.starts_with("muslin doctor") {
                admin.is_well()?;
            }
            let command = command.replace("VERSION", env!("CARGO_PKG_VERSION"));
            // A scan with findings ends with 1.
            let is_scan = command.starts_with("muslin scan");
            page.add(&command, &admin.shell(&if is_scan { format!("{command} || true") } else { command.clone() })?);
            if changed.is_none() && admin.options()?.contains("attempts 2") {
                changed = Some(begun.elapsed());
            }
        }
    }
    page.begin(&BROKEN);
    finds_each(&admin.node, &FAULTS, |fault| {
        page.add_fault(fault.name, &admin.shell("muslin doctor || true")?);
        Ok(())
    })?;
    page.write(changed.context("no pod was changed")?)
}

/// The archive of a release.
struct Archive {
    /// Keeps the file of this build.
    _folder: tempfile::TempDir,
    file: PathBuf,
}

/// The images that a registry of the cluster has: muslin's, and a stand-in for `alpine:3.19`.
struct Layouts {
    muslin: PathBuf,
    alpine: PathBuf,
}

// === impl Archive ===

impl Archive {
    /// Returns the archive of the release, if the variable names one, or one of the same layout with this build's binary.
    fn of_this_build() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let name = format!("muslin-{}-{}-linux", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
        if let Some(release) = std::env::var_os(RELEASE) {
            return Ok(Self { _folder: folder, file: Path::new(&release).join(format!("{name}.tar.gz")) });
        }
        let root = folder.path().join(&name);
        let bin = root.join("bin");
        fs::create_dir_all(&bin)?;
        fs::create_dir_all(root.join("completions"))?;
        let muslin = text(&bin.join("muslin"))?;
        // The debugging symbols are ten times as large as the rest.
        run("strip", &["-o", &muslin, env!("CARGO_BIN_EXE_muslin")])?;
        for link in ["kubectl-muslin", "kubectl_complete-muslin"] {
            std::os::unix::fs::symlink("muslin", bin.join(link))?;
        }
        fs::write(root.join("completions/muslin.bash"), run(&muslin, &["completions", "bash"])?)?;
        run(&muslin, &["man", &text(&root.join("man/man1"))?])?;
        for part in ["manifests", "charts", "certs", "docs", "README.md", "CHANGELOG.md", "LICENSE"] {
            run("cp", &["-r", &format!("{ROOT}/{part}"), &text(&root)?])?;
        }
        let file = folder.path().join(format!("{name}.tar.gz"));
        run("tar", &["-czf", &text(&file)?, "-C", &text(folder.path())?, &name])?;
        fs::remove_dir_all(&root)?;
        Ok(Self { _folder: folder, file })
    }

    /// Unpacks the archive, and returns its one folder.
    fn unpack(&self, into: &Path) -> Result<PathBuf> {
        fs::create_dir_all(into)?;
        run("tar", &["-xzf", &text(&self.file)?, "-C", &text(into)?])?;
        let mut entries = fs::read_dir(into)?;
        let root = entries.next().context("the archive is empty")??.path();
        ensure!(entries.next().is_none(), "the archive has more than one folder");
        Ok(root)
    }
}

// === impl Layouts ===

impl Layouts {
    fn of(node: &Node, archive: &Archive) -> Result<Self> {
        let binary = archive.unpack(&node.folder().join("for-the-image"))?.join("bin/muslin");
        let layouts = Self { muslin: node.folder().join("muslin.image"), alpine: node.folder().join("alpine.image") };
        run(format!("{ROOT}/scripts/image"), &["layout", &text(&layouts.muslin)?, &text(&binary)?])?;
        run(format!("{ROOT}/tests/node/image"), &["alpine", &text(&layouts.alpine)?])?;
        Ok(layouts)
    }
}

// === impl Admin ===

impl Admin {
    fn with(archive: &Archive) -> Result<Self> {
        let node = Node::start()?;
        let layouts = Layouts::of(&node, archive)?;
        Self::on(node, archive, &layouts)
    }

    /// Unpacks the archive, and pushes the images to the node's registry.
    fn on(node: Node, archive: &Archive, layouts: &Layouts) -> Result<Self> {
        let folder = archive.unpack(&node.folder().join("admin"))?;
        node.push(&layouts.muslin, &format!("muslin:{}", env!("CARGO_PKG_VERSION")))?;
        node.push(&layouts.alpine, "library/alpine:3.19")?;
        // The node's runtime asks its registry for images of Docker Hub.
        let hub = node.folder().join("registries/docker.io");
        fs::create_dir_all(&hub)?;
        let hosts = fs::read_to_string(node.folder().join("registries").join(REGISTRY).join("hosts.toml"))?;
        fs::write(hub.join("hosts.toml"), hosts)?;
        Ok(Self { node, folder })
    }

    /// Runs a command in the shell, and returns what a terminal would show.
    fn shell(&self, command: &str) -> Result<String> {
        let helm = run(format!("{ROOT}/tests/helm/build"), &[])?;
        let tools = self.node.folder().join("tools");
        if !tools.exists() {
            fs::create_dir_all(&tools)?;
            std::os::unix::fs::symlink(helm.trim(), tools.join("helm"))?;
        }
        let (bin, kubernetes) = (self.folder.join("bin"), self.node.folder().join("bin"));
        let path = format!("{}:{}:{}:/usr/bin:/bin", bin.display(), kubernetes.display(), tools.display());
        let command = command.replace("VERSION", env!("CARGO_PKG_VERSION"));
        let output = self
            .node
            .command("bash")
            .args(["-c", &format!("exec 2>&1\nset -e -o pipefail\n{command}")])
            .current_dir(&self.folder)
            .env("PATH", path)
            .stdin(Stdio::null())
            .output()
            .context("starting a shell")?;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{command}: {shown}");
        Ok(shown)
    }

    /// Installs muslin in mode `audit`, lets it inject, and uninstalls it.
    fn goes(&self, way: &Way) -> Result<()> {
        let Way { name: _, audit, inject, uninstall } = way;
        self.shell(audit)?;
        self.is_well()?;
        ensure!(self.reviewed_options()?.contains("attempts 0"), "mode audit changed a pod");
        self.shell(inject)?;
        eventually(DEADLINE, || {
            let options = self.reviewed_options()?;
            ensure!(options.contains("attempts 2"), "the pod is not changed: {options}");
            Ok(())
        })?;
        self.is_well()?;
        self.shell(uninstall)?;
        ensure!(self.reviewed_options()?.contains("attempts 0"), "muslin is still there");
        for kind in ["mutatingwebhookconfigurations", "crds", "clusterroles", "clusterrolebindings"] {
            let left = self.shell(&format!("kubectl get {kind} -o name | grep muslin || true"))?;
            ensure!(left.is_empty(), "left behind: {left}");
        }
        let left = self.shell("kubectl get namespace muslin --ignore-not-found")?;
        ensure!(left.is_empty(), "left behind: {left}");
        Ok(())
    }

    /// Waits for what the controller manager makes in a new namespace, without which no pod is created in it.
    fn waits_for_the_service_account(&self) -> Result<()> {
        eventually(DEADLINE, || self.shell("kubectl get serviceaccount default -n shop")).map(drop)
    }

    /// Waits until `muslin doctor` of the archive, run as the plugin of kubectl, finds nothing wrong.
    fn is_well(&self) -> Result<()> {
        eventually(DEADLINE, || self.shell("kubectl muslin doctor")).map(drop).with_context(|| state(&self.node))
    }

    /// Creates the example pod anew, and returns its options.
    fn reviewed_options(&self) -> Result<String> {
        self.shell("kubectl replace --force -n shop -f manifests/examples/alpine-pod.yaml")?;
        self.options()
    }

    fn options(&self) -> Result<String> {
        let pod = "kubectl get pods -n shop --ignore-not-found -o";
        self.shell(&format!(
            "{pod} jsonpath='{{range .items[*].spec.dnsConfig.options[*]}}{{.name}} {{.value}}{{\"\\n\"}}{{end}}'"
        ))
    }
}

fn text(path: &Path) -> Result<String> {
    Ok(path.to_str().context("the path is not UTF-8")?.to_owned())
}
