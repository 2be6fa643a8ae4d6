//! `muslin docs`: writes the generated pages in `docs/` of muslin's repository. Hidden from `--help`, because only contributors use it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context as _;
use clap::Args;

use crate::explain::{Examples, GeneratedPage, pages, parts};
use crate::installation::{Template, templates};

use super::contract;
use super::outcome::{Failure, Outcome};
use super::schema::SCHEMAS;
use super::schema_page::page;

/// Write the generated pages in docs/, and the templates of the Helm chart in charts/.
#[derive(Debug, Args)]
pub(super) struct Docs {
    /// muslin's repository: examples come from tests/rules, pages go to docs
    #[arg(value_name = "REPOSITORY")]
    repository: PathBuf,
}

// === impl Docs ===

impl Docs {
    pub(super) fn run(&self, arguments: &clap::Command) -> Outcome {
        self.write(arguments).map_err(Failure::Input)
    }

    fn write(&self, arguments: &clap::Command) -> anyhow::Result<()> {
        for GeneratedPage { path, text } in pages_with_examples(&self.repository)? {
            let path = self.repository.join("docs").join(path);
            let folder = path.parent().unwrap_or(&self.repository);
            fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        for Template { file, text } in templates()? {
            let path = self.repository.join("charts/muslin/templates").join(file);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let path = self.repository.join("docs/schemas/README.md");
        fs::write(&path, page(&SCHEMAS)).with_context(|| format!("cannot write {}", path.display()))?;
        for schema in &SCHEMAS {
            let path = self.repository.join("docs/schemas").join(format!("{}.json", schema.name));
            fs::write(&path, schema.text().as_str()).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let metrics = self.repository.join("docs/metrics.md");
        let metrics = fs::read_to_string(&metrics).with_context(|| format!("cannot read {}", metrics.display()))?;
        for part in parts().into_iter().chain(contract::parts(&metrics, arguments)) {
            let path = self.repository.join("docs").join(part.page);
            let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let page =
                part.fill(&page).with_context(|| format!("{} has no place for a generated part", path.display()))?;
            fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Returns the pages, with the examples in the repository.
fn pages_with_examples(repository: &Path) -> anyhow::Result<Vec<GeneratedPage>> {
    let mut failure = None;
    let pages = pages(|slug| {
        read_examples(&repository.join("tests/rules").join(slug)).unwrap_or_else(|error| {
            failure = Some(error);
            Examples::default()
        })
    });
    failure.map_or(Ok(pages), Err)
}

fn read_examples(folder: &Path) -> anyhow::Result<Examples> {
    Ok(Examples {
        fires: read_if_exists(&folder.join("fires.yaml"))?,
        fixed: read_if_exists(&folder.join("fixed.yaml"))?,
    })
}

/// Reads a file; `None` if the file does not exist.
fn read_if_exists(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
