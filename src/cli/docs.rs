//! `muslin docs`: writes the generated part of this repository's `docs/`. For those who work on muslin; hidden from others.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context as _;
use clap::Args;

use crate::explain::{Examples, MadePage, pages, parts};

use super::{Failure, Outcome};

/// Write the generated part of docs/.
#[derive(Debug, Args)]
pub(super) struct Docs {
    /// muslin's repository: examples are read from its tests/rules, pages are written to its docs
    #[arg(value_name = "REPOSITORY")]
    repository: PathBuf,
}

// === impl Docs ===

impl Docs {
    pub(super) fn run(&self) -> Outcome {
        self.write().map_err(Failure::Input)
    }

    fn write(&self) -> anyhow::Result<()> {
        for MadePage { path, text } in made(&self.repository)? {
            let path = self.repository.join("docs").join(path);
            let folder = path.parent().unwrap_or(&self.repository);
            fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        for part in parts() {
            let path = self.repository.join("docs").join(part.page);
            let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let page =
                part.fill(&page).with_context(|| format!("{} has no place for a generated part", path.display()))?;
            fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// The pages, with the examples that the repository has.
fn made(repository: &Path) -> anyhow::Result<Vec<MadePage>> {
    let mut failure = None;
    let pages = pages(|slug| {
        examples(&repository.join("tests/rules").join(slug)).unwrap_or_else(|error| {
            failure = Some(error);
            Examples::default()
        })
    });
    failure.map_or(Ok(pages), Err)
}

fn examples(folder: &Path) -> anyhow::Result<Examples> {
    Ok(Examples { fires: read(&folder.join("fires.yaml"))?, fixed: read(&folder.join("fixed.yaml"))? })
}

/// A file's text; `None` where there is no such file.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
