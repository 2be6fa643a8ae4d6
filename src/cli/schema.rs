//! `muslin schema`: the JSON Schemas of muslin.toml and of every JSON output, made from the types that read and write them.

use anyhow::anyhow;
use clap::Args;
use clap::builder::PossibleValuesParser;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::report::{CheckDocument, OriginsDocument, ProbeDocument, StatusDocument, table};
use crate::text::{Block, Line};

use super::config_schema::ConfigFile;
use super::doctor::DoctorDocument;
use super::explain::ExplainDocument;
use super::inspect::Inspected;
use super::outcome::{Failure, Outcome};
use super::queries::QueriesDocument;
use super::scan::{ImageInUse, ScanDocument};
use super::terminal;
use super::version::VersionDocument;

/// Print the JSON Schema of muslin.toml or of a JSON output.
///
/// Without NAME, lists the schemas. Each JSON output has its version in the field schemaVersion. The version grows when a field is
/// removed or renamed, or means something else; new fields do not change it.
#[derive(Debug, Args)]
#[command(
    name = "schema",
    after_help = "Examples:
  muslin schema check
  muslin schema muslin.toml > muslin.schema.json   # for editors: write `#:schema ./muslin.schema.json` atop muslin.toml"
)]
pub(super) struct SchemaArgs {
    /// The schema to print
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(SCHEMAS.map(|schema| schema.name)))]
    name: Option<String>,
}

/// A schema, its name, and what it describes.
pub(super) struct NamedSchema {
    pub(super) name: &'static str,
    /// The output or file that has this form.
    pub(super) of: &'static str,
    make: fn() -> Schema,
}

/// Every schema.
pub(super) const SCHEMAS: [NamedSchema; 12] = [
    NamedSchema {
        name: "muslin.toml",
        of: "the configuration file of `check` and `inject`",
        make: of_input::<ConfigFile>,
    },
    NamedSchema { name: "check", of: "`muslin check -o json`", make: of_output::<CheckDocument<'_>> },
    NamedSchema { name: "scan", of: "`muslin scan -o json`", make: of_output::<ScanDocument<'_>> },
    NamedSchema { name: "scan-images", of: "`muslin scan --images -o json`", make: of_output::<Vec<ImageInUse>> },
    NamedSchema { name: "status", of: "`muslin status -o json`", make: of_output::<StatusDocument<'_>> },
    NamedSchema { name: "inspect", of: "`muslin inspect -o json`", make: of_output::<Vec<Inspected<'_>>> },
    NamedSchema { name: "probe", of: "`muslin probe -o json`", make: of_output::<ProbeDocument<'_>> },
    NamedSchema {
        name: "probe-origins",
        of: "`muslin probe --origins-only -o json`",
        make: of_output::<OriginsDocument<'_>>,
    },
    NamedSchema { name: "queries", of: "`muslin queries -o json`", make: of_output::<QueriesDocument<'_>> },
    NamedSchema { name: "doctor", of: "`muslin doctor -o json`", make: of_output::<DoctorDocument<'_>> },
    NamedSchema { name: "explain", of: "`muslin explain -o json`", make: of_output::<ExplainDocument> },
    NamedSchema { name: "version", of: "`muslin version -o json`", make: of_output::<VersionDocument> },
];

fn of_input<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

fn of_output<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

// === impl NamedSchema ===

impl NamedSchema {
    /// Returns the schema as JSON on indented lines.
    pub(super) fn text(&self) -> Block {
        Block::indented_json(&self.value())
    }

    /// Returns the schema, with its subject as title.
    pub(super) fn value(&self) -> Value {
        let mut schema = (self.make)();
        schema.insert("title".to_owned(), Value::from(self.of.replace('`', "")));
        schema.to_value()
    }
}

// === impl SchemaArgs ===

impl SchemaArgs {
    pub(super) fn run(&self) -> Outcome {
        let Some(name) = &self.name else {
            let heads = ["NAME", "DESCRIBES"].map(Line::new).to_vec();
            let rows = SCHEMAS.iter().map(|schema| [schema.name, schema.of].map(Line::new).to_vec());
            let rows: Vec<_> = std::iter::once(heads).chain(rows).collect();
            return terminal::print(&table(&rows));
        };
        let found = SCHEMAS.iter().find(|schema| schema.name == name);
        let schema = found.ok_or_else(|| Failure::Input(anyhow!("there is no schema `{name}`")))?;
        terminal::print(&schema.text())
    }
}
