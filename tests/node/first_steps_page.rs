//! The page `docs/first-steps.md`: the commands of a new admin, their output, and the time that they took. Must not know how commands run.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/first-steps.md");

/// A section of the page.
pub(crate) struct Step {
    heading: &'static str,
    text: &'static str,
    pub(crate) commands: &'static [&'static str],
}

/// The steps, in their order. `VERSION` stands for muslin's version.
pub(crate) const STEPS: [Step; 6] = [
    Step {
        heading: "A cluster with a mistake",
        text: "A pod on Alpine with `attempts:0`, copied from advice for another resolver.",
        commands: &["kubectl create namespace shop", "kubectl apply -n shop -f manifests/examples/alpine-pod.yaml"],
    },
    Step {
        heading: "1. Look, with nothing installed",
        text: "`muslin scan` reads the cluster as you may read it, and writes nothing. The exit code is 1 because of the finding of level `deny`.",
        commands: &["muslin scan -A"],
    },
    Step {
        heading: "2. Install it, and change nothing",
        text: "In mode `audit`, muslin reviews new pods, and counts what it finds. `muslin doctor` shows that API servers reach it. The last \
               two commands create the pod anew, and show the counts.",
        commands: &[
            "muslin install --image registry.example.com/muslin:VERSION --mode audit | kubectl apply -f -",
            "kubectl rollout status deployment/muslin -n muslin",
            "muslin doctor",
            "kubectl replace --force -n shop -f manifests/examples/alpine-pod.yaml",
            "kubectl get --raw /api/v1/namespaces/muslin/pods/$(kubectl get pods -n muslin -o name | cut -d/ -f2):8080/proxy/metrics | grep ^muslin_findings_total",
        ],
    },
    Step {
        heading: "3. Warn, in one namespace",
        text: "The label previews what the namespace's pods would get. The author of a pod then sees the warnings of `kubectl`. The pod stays \
               as it is.",
        commands: &[
            "kubectl label namespace shop muslin.dev/mode=warn",
            "kubectl replace --force -n shop -f manifests/examples/alpine-pod.yaml",
            "kubectl get pod alpine -n shop -o jsonpath='{.spec.dnsConfig.options}{\"\\n\"}'",
        ],
    },
    Step {
        heading: "4. Fix, in one namespace",
        text: "",
        commands: &[
            "kubectl label --overwrite namespace shop muslin.dev/mode=inject",
            "kubectl replace --force -n shop -f manifests/examples/alpine-pod.yaml",
            "kubectl get pod alpine -n shop -o jsonpath='{.spec.dnsConfig.options}{\"\\n\"}'",
            "kubectl get pod alpine -n shop -o jsonpath='{.metadata.annotations.muslin\\.dev/injected}{\"\\n\"}'",
        ],
    },
    Step {
        heading: "5. Everywhere",
        text: "Without `--mode`, muslin injects in each namespace without a label of its own. Running pods stay as they are until they are created anew.",
        commands: &[
            "muslin install --image registry.example.com/muslin:VERSION | kubectl apply -f - | grep -v unchanged",
            "muslin doctor | tail -n 1",
        ],
    },
];

/// The section about faults, whose commands a test runs.
pub(crate) const BROKEN: Step = Step {
    heading: "When something is broken",
    text: "What `muslin doctor` says of six faults, one after the other; checks that are `ok` are left out.",
    commands: &[],
};

/// The page while it is written.
#[derive(Default)]
pub(crate) struct Page(String);

// === impl Page ===

impl Page {
    pub(crate) fn begin(&mut self, Step { heading, text, commands: _ }: &Step) {
        let _ = write!(self.0, "\n## {heading}\n");
        if !text.is_empty() {
            let _ = write!(self.0, "\n{text}\n");
        }
    }

    /// Adds a command and its output, without the addresses of the machine's own nameservers.
    pub(crate) fn add(&mut self, command: &str, output: &str) {
        let file = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let nameservers = file.lines().filter_map(|line| line.strip_prefix("nameserver "));
        let output = nameservers.fold(output.to_owned(), |text, address| text.replace(address.trim(), "192.0.2.53"));
        let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
        let _ = write!(self.0, "\n```\n$ {command}\n{}\n```\n", lines.join("\n").trim_end());
    }

    /// Adds what `muslin doctor` printed while a fault lasted, without the checks that are well.
    pub(crate) fn add_fault(&mut self, name: &str, table: &str) {
        let mut shown = String::new();
        let mut is_shown = true;
        for line in table.lines() {
            // A line that begins with a space continues the check before it.
            if !line.starts_with(' ') {
                is_shown = !line.starts_with("ok ");
            }
            if is_shown && !line.is_empty() {
                shown.push_str(line);
                shown.push('\n');
            }
        }
        let _ = write!(self.0, "\n### {name}\n");
        self.add("muslin doctor", &shown);
    }

    /// Writes the page. `took` is the time from the archive to the first changed pod.
    pub(crate) fn write(self, took: Duration) -> Result<()> {
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let cores = std::thread::available_parallelism().context("counting cores")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let memory = memory.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        let gib = memory.context("reading the memory's size")? / (1 << 20);
        let load = fs::read_to_string("/proc/loadavg")?;
        let system = fs::read_to_string("/etc/os-release")?;
        let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
        let page = format!(
            "# First steps

From the archive of a release to a changed pod, on a cluster of one node ([tests/node](../tests/node/node)) that had never seen muslin.
`cargo test --test node -- --ignored first_steps` (as root) runs these commands in the unpacked archive, and records what they print. The
node reaches no public registry: its registry has muslin's image, and a stand-in for `alpine:3.19`.

**{:.0} seconds** from the packed archive to the first changed pod, in step 4, with all commands run by a script: unpacking, pushing the
image, installing, creating the pod, and replacing it three times. You need the time to read besides. Measured on {today}, {cores} cores and {gib} GiB,
{}, with {} other programs waiting for a core on average.
{}",
            took.as_secs_f64().ceil(),
            system.trim_matches('"'),
            load.split('.').next().unwrap_or_default(),
            self.0
        );
        fs::write(PAGE, page).with_context(|| format!("writing {PAGE}"))
    }
}
