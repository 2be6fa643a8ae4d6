//! `muslin probe POD`: runs the probe in a pod beside that pod, or in the pod itself, and shows its output here.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::cluster::{PodProbe, PodProbeError, PodProbeEvent, PodProbeSettings, ProbePlace, connect_as};
use crate::os::Signals;
use crate::policy::Level;
use crate::text::{Block, Line};

use crate::cli::outcome::{Failure, Outcome};
use crate::cli::policy_args::FailOn;
use crate::cli::probe_image::probe_image;
use crate::cli::terminal;

use super::args::{Output, ProbeArgs};
use super::pod_args::PodArgs;

/// The time that the container gets beyond the probe's own limit: to start, and to write the report.
const SPARE: Duration = Duration::from_secs(30);

/// The beginnings of messages, which muslin in the pod writes to standard error and a log does not tell apart.
const MESSAGES: [&str; 4] = ["error: ", "warning: ", "note: ", "hint: "];

/// The lines of a JSON document, and the messages before it.
#[derive(Default)]
struct Collected(Vec<String>);

/// Probes for the pod that the arguments name.
pub(super) fn run(arguments: &ProbeArgs, pod: &str) -> Outcome {
    if !arguments.pid.is_empty() && !arguments.pod.ephemeral {
        return Err(Failure::Input(anyhow!(
            "--pid needs --ephemeral: the pod beside does not see the processes of {pod}"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(Failure::Outside)?;
    runtime.block_on(probe(arguments, pod))
}

async fn probe(arguments: &ProbeArgs, pod: &str) -> Outcome {
    let PodArgs { pod: _, namespace, container, ephemeral, image, start_timeout, kubeconfig, context } = &arguments.pod;
    // From here on a signal stops the probe and cleans up.
    let mut signals = Signals::new().context("cannot listen for signals").map_err(Failure::Outside)?;
    let client = connect_as(kubeconfig.as_deref(), context.as_deref()).await;
    let client = client.context("cannot connect to the cluster").map_err(Failure::Outside)?;
    let image = match image {
        Some(image) => image.clone(),
        None => interruptible(&mut signals, probe_image(client.clone())).await?,
    };
    let settings = PodProbeSettings {
        namespace: namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned()),
        pod: pod.to_owned(),
        container: container.clone(),
        place: if *ephemeral { ProbePlace::Inside } else { ProbePlace::Beside },
        image,
        arguments: arguments_in_pod(arguments),
        start_max: Duration::from_secs(*start_timeout),
        run_max: Duration::from_secs(arguments.timeout) + SPARE,
    };
    let (place, namespace) = (settings.place, settings.namespace.clone());
    let prepared = async { PodProbe::prepare(client, settings).await.map_err(failure) };
    let probe = interruptible(&mut signals, prepared).await?;
    let mut lines = Collected::default();
    let mut show = |event: PodProbeEvent| match event {
        PodProbeEvent::Started { name, node, container } => {
            note_start(place, &name, pod, &namespace, &node, &container)
        }
        PodProbeEvent::Line(line) if matches!(arguments.output, Output::Json) => lines.0.push(line),
        PodProbeEvent::Line(line) => show_line(line),
    };
    let stop = async {
        signals.next().await;
    };
    let result = probe.run(&mut show, stop).await;
    // A second signal ends the wait for the deletion.
    let cleaned = tokio::select! {
        cleaned = probe.clean_up() => cleaned,
        _ = signals.next() => Err(probe.left("stopped again")),
    };
    let outcome = match result {
        Ok(code) if matches!(arguments.output, Output::Json) => lines.end(code, arguments.fail_on),
        Ok(code) => ended(code),
        Err(PodProbeError::Stopped) => Err(Failure::Outside(anyhow!(stopped(place, cleaned.is_ok())))),
        Err(error) => {
            lines.show_as_messages();
            Err(failure(error))
        }
    };
    match (outcome, cleaned) {
        (outcome, Ok(())) => outcome,
        (Ok(()), Err(left)) => Err(Failure::Outside(left.into())),
        (Err(failure), Err(left)) => {
            terminal::note(&Line::new(left.to_string()));
            Err(failure)
        }
    }
}

/// Returns a result, unless a signal comes first. Nothing is made yet.
async fn interruptible<T>(
    signals: &mut Signals,
    result: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        _ = signals.next() => Err(Failure::Outside(anyhow!("stopped"))),
        result = result => result,
    }
}

fn failure(error: PodProbeError) -> Failure {
    if error.is_input() { Failure::Input(error.into()) } else { Failure::Outside(error.into()) }
}

fn stopped(place: ProbePlace, is_clean: bool) -> &'static str {
    match (place, is_clean) {
        (ProbePlace::Beside, true) => "stopped: the pod beside was deleted",
        (ProbePlace::Beside, false) => "stopped",
        (ProbePlace::Inside, _) => {
            "stopped: the ephemeral container ends by itself, and stays in the pod's specification"
        }
    }
}

fn note_start(place: ProbePlace, name: &str, pod: &str, namespace: &str, node: &str, container: &str) {
    let text = match place {
        ProbePlace::Beside => format!(
            "probing from the pod {name} beside {pod} (namespace {namespace}, node {node}), which is deleted afterwards. A NetworkPolicy or a \
             mesh that selects {pod} by its labels does not apply there: --ephemeral probes in {pod} itself"
        ),
        ProbePlace::Inside => format!(
            "probing in the ephemeral container {name} of {pod} (namespace {namespace}, beside container {container}); it stays in the \
             pod's specification until {pod} is deleted"
        ),
    };
    terminal::note(&Line::new(text));
}

fn is_message(line: &str) -> bool {
    MESSAGES.iter().any(|beginning| line.starts_with(beginning))
}

/// Shows a line of the report on standard output, and a message on standard error.
fn show_line(line: String) {
    if is_message(&line) {
        terminal::message(&Line::new(line));
        return;
    }
    let mut block = Block::default();
    block.push_line(Line::new(line));
    // A closed pipe ends nothing: the pod must still be deleted.
    let _ = terminal::print(&block);
}

/// Returns the outcome of a container, which has shown its message.
fn ended(code: i32) -> Outcome {
    match u8::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code @ 1..=3) => Err(Failure::Shown(code)),
        _ => Err(Failure::Outside(anyhow!("the probe ended with exit code {code}"))),
    }
}

// === impl Collected ===

impl Collected {
    /// Prints the document, and returns the outcome that the probe would have had here.
    fn end(self, code: i32, FailOn(fail_on): FailOn) -> Outcome {
        let (messages, document): (Vec<&String>, Vec<&String>) = self.0.iter().partition(|line| is_message(line));
        let document = document.into_iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        let (Ok(document), 0) = (serde_json::from_str::<Value>(&document), code) else {
            self.show_as_messages();
            return match code {
                0 => Err(Failure::Outside(anyhow!(
                    "the probe printed no JSON, or the node has lost a part of its log: try again"
                ))),
                code => ended(code),
            };
        };
        messages.into_iter().for_each(|line| terminal::message(&Line::new(line.clone())));
        terminal::print(&Block::indented_json(&document))?;
        let count = |level: Level| document["summary"][level.name()].as_u64().unwrap_or_default();
        let levels = [Level::Info, Level::Warn, Level::Deny].into_iter();
        let counted: u64 = levels.filter(|level| fail_on.is_some_and(|least| *level >= least)).map(count).sum();
        if counted > 0 { Err(Failure::Findings) } else { Ok(()) }
    }

    fn show_as_messages(&self) {
        self.0.iter().for_each(|line| terminal::message(&Line::new(line.clone())));
    }
}

/// Returns the arguments for muslin in the pod: those that mean the same there.
fn arguments_in_pod(arguments: &ProbeArgs) -> Vec<String> {
    let ProbeArgs {
        server,
        name,
        external_name,
        inside_only,
        outside_only,
        invent_below,
        large_name,
        cluster_domain,
        pid,
        upstream,
        no_interception_query,
        no_getaddrinfo,
        timeout,
        max_queries,
        pairs,
        burst,
        output,
        fail_on: FailOn(fail_on),
        // These are for the machine that muslin runs on, and conflict with a pod, or choose the cluster.
        pod: _,
        binary: _,
        resolv_conf: _,
        node_resolv_conf: _,
        root: _,
        origins_only: _,
        corefile: _,
        from_cluster: _,
        lookup_program: _,
        look_up: _,
        // Links are for terminals.
        docs: _,
        watch: _,
    } = arguments;
    let mut words = vec!["probe".to_owned()];
    let mut option = |option: &str, value: &dyn std::fmt::Display| words.push(format!("--{option}={value}"));
    server.iter().for_each(|server| option("server", server));
    name.iter().for_each(|name| option("name", name));
    external_name.iter().for_each(|name| option("external-name", name));
    invent_below.iter().for_each(|domain| option("invent-below", domain));
    large_name.iter().for_each(|name| option("large-name", name));
    cluster_domain.iter().for_each(|domain| option("cluster-domain", domain));
    pid.iter().for_each(|id| option("pid", id));
    upstream.iter().for_each(|server| option("upstream", server));
    option("timeout", timeout);
    option("max-queries", max_queries);
    option("pairs", pairs);
    option("burst", burst);
    match output {
        Output::Human => option("fail-on", &fail_on.map_or("never", Level::name)),
        Output::Json => {
            // A message after the document could come between its lines in the log.
            option("fail-on", &"never");
            option("output", &"json");
        }
    }
    let flags = [
        ("--inside-only", inside_only),
        ("--outside-only", outside_only),
        ("--no-interception-query", no_interception_query),
        ("--no-getaddrinfo", no_getaddrinfo),
    ];
    words.extend(flags.into_iter().filter(|(_, is_set)| **is_set).map(|(flag, _)| flag.to_owned()));
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        probe: ProbeArgs,
    }

    fn parse(words: &[&str]) -> Result<ProbeArgs, clap::Error> {
        Command::try_parse_from([&["probe"], words].concat()).map(|command| command.probe)
    }

    #[test]
    fn muslin_in_the_pod_gets_what_means_the_same_there() {
        let words = [
            "pod/web",
            "-n",
            "shop",
            "-c",
            "app",
            "--ephemeral",
            "--pid",
            "1",
            "--name",
            "a.b",
            "--server",
            "10.0.0.10",
            "--inside-only",
            "--pairs",
            "3",
            "--fail-on",
            "warn",
            "--timeout",
            "5",
            "--image",
            "registry.example.com/muslin:1",
        ];
        let arguments = parse(&words).unwrap();
        assert_eq!(
            arguments_in_pod(&arguments).join(" "),
            "probe --server=10.0.0.10:53 --name=a.b --external-name=example.com --pid=1 --timeout=5 --max-queries=2000 --pairs=3 \
             --burst=100 --fail-on=warn --inside-only"
        );
        // muslin in the pod understands them.
        let passed = arguments_in_pod(&arguments);
        parse(&passed.iter().skip(1).map(String::as_str).collect::<Vec<_>>()).unwrap();
        let json = arguments_in_pod(&parse(&["web", "-o", "json"]).unwrap()).join(" ");
        assert!(json.ends_with("--fail-on=never --output=json"), "{json}");
    }

    #[test]
    fn options_of_a_pod_need_one_and_options_of_a_machine_exclude_it() {
        for words in [
            &["-n", "shop"][..],
            &["-c", "app"],
            &["--ephemeral"],
            &["--image", "a/b:1"],
            &["--start-timeout", "5"],
            &["--context", "a"],
            &["--kubeconfig", "a"],
            &["web", "--root", "/"],
            &["web", "--origins-only"],
            &["web", "--resolv-conf", "a"],
            &["web", "--node-resolv-conf", "a"],
            &["web", "--from-cluster"],
            &["web", "--corefile", "a"],
            &["web", "--binary", "a"],
            &["web", "api"],
            &["web", "-n", "../x"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
        for words in [&["--from-cluster", "--kubeconfig", "a", "--context", "b"][..], &["web", "--context", "b"], &[]] {
            assert!(parse(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn the_outcome_of_a_document_is_that_of_a_probe_here() {
        let document = |warn: u32| {
            let document = format!("note: a\n{{\n  \"summary\": {{ \"deny\": 0, \"warn\": {warn}, \"info\": 1 }}\n}}");
            Collected(document.lines().map(str::to_owned).collect())
        };
        assert!(document(1).end(0, FailOn(Some(Level::Deny))).is_ok());
        assert!(document(0).end(0, FailOn(Some(Level::Warn))).is_ok());
        assert!(document(0).end(0, FailOn(None)).is_ok());
        assert!(matches!(document(1).end(0, FailOn(Some(Level::Warn))), Err(Failure::Findings)));
        assert!(matches!(document(0).end(0, FailOn(Some(Level::Info))), Err(Failure::Findings)));
        let text = Collected(vec!["error: a".to_owned()]);
        assert!(matches!(text.end(2, FailOn(None)), Err(Failure::Shown(2))));
        assert!(matches!(Collected::default().end(0, FailOn(None)), Err(Failure::Outside(_))));
        assert!(matches!(ended(137), Err(Failure::Outside(_))));
    }
}
