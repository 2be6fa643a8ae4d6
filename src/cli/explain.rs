//! `muslin explain`: pages about a rule, a verdict, an option, a resolver, a profile, a mode, an Event's reason, an alert or an image name. Uses no network and no files.

use anyhow::anyhow;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::explain::{Topic, for_terminal, index};
use crate::report::SchemaVersion;

use super::outcome::{Failure, Outcome};
use super::output_format::OutputFormat;
use super::terminal;
use crate::text::{Block, Line};

/// Maximum page width, also used if standard output is no terminal: longer lines are hard to read.
const WIDTH_MAX: usize = 100;

/// Hint after a topic that is not found.
const HINT: &str = "`muslin explain` lists all topics; an image name needs a tag, as in `app:1.2`";

/// Explain a rule, a verdict, an option, a resolver, a profile, a mode, an Event's reason, an alert, a label or an image name.
///
/// Explains a rule (attempts-zero), a verdict of `muslin probe` (stale-nameserver), options with or without values (ndots, timeout:2
/// attempts:5), a resolver with or without a version (glibc, musl 1.2.3), a resolver inside programs (netty), a profile (fast), a
/// mode (enforce), the reason of an Event (MuslResolver), an alert of muslin's manifests (MuslinIsGone), a label or an annotation of muslin (muslin.dev/resolvers), or an image name
/// (alpine:3.17). If a word fits several of these, the first in this order is explained. Without TOPIC, lists all topics.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The topic; several words form one topic
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,

    /// The output format
    #[arg(long, short, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// The output of `muslin explain -o json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct ExplainDocument {
    #[serde(rename = "schemaVersion")]
    version: SchemaVersion<1>,
    /// The kind of topic; `index` is the list of all topics.
    #[schemars(extend("enum" = [
        "index", "rule", "verdict", "options", "resolver", "resolver-beside-c-ares", "embedded-resolver", "profile", "mode",
        "event-reason", "alert", "key", "image"
    ]))]
    kind: &'static str,
    /// The topic as muslin names it; empty for the index.
    topic: String,
    /// The page, in Markdown.
    markdown: String,
}

// === impl Explain ===

impl Explain {
    pub(super) fn run(&self) -> Outcome {
        // Pages repeat it, and no topic has a character that is escaped.
        let topic = Line::new(self.topic.join(" "));
        let (kind, topic, markdown) = if topic.trim().is_empty() {
            ("index", String::new(), index())
        } else {
            let topic = Topic::find(&topic).map_err(|unknown| Failure::Usage(anyhow!("{unknown}"), HINT))?;
            (topic.kind(), topic.name(), topic.markdown())
        };
        terminal::print(&match self.output {
            OutputFormat::Human => Block::rendered(for_terminal(&markdown, page_width())),
            OutputFormat::Json => {
                Block::indented_json(&ExplainDocument { version: SchemaVersion, kind, topic, markdown })
            }
        })
    }
}

fn page_width() -> usize {
    terminal::width().map_or(WIDTH_MAX, |width| width.min(WIDTH_MAX))
}
