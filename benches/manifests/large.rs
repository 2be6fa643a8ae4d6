//! Large inputs: many files, and one large file in each of the forms in which programs write clusters. Must not know what is measured.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use muslin::manifest::Stream;

use crate::generate::{Random, SHAPES};

/// One large file.
pub(crate) struct Large {
    pub(crate) title: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) bytes: usize,
}

/// Writes the large files, each of about so many bytes.
pub(crate) fn generate(folder: &Path, bytes: usize, seed: u64) -> Result<Vec<Large>> {
    let objects = objects(bytes, seed);
    let mut files = Vec::new();
    let mut add = |title, name: &str, text: String| -> Result<()> {
        let path = folder.join(name);
        fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
        files.push(Large { title, path, bytes: text.len() });
        Ok(())
    };
    add("one stream of documents", "stream.yaml", objects.join("---\n"))?;
    let mut list = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for line in objects.iter().flat_map(|object| object.lines().enumerate()) {
        let _ = writeln!(list, "{}{}", if line.0 == 0 { "- " } else { "  " }, line.1);
    }
    add("one List in YAML", "list.yaml", list)?;
    // JSON has no comments and so is shorter.
    let items: Vec<String> = objects.iter().filter_map(|object| json(object)).collect();
    add(
        "one List in JSON, on one line",
        "dense.json",
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{}]}}", items.join(",")),
    )?;
    Ok(files)
}

/// Returns objects of a pod each, without their first comments.
fn objects(bytes: usize, seed: u64) -> Vec<String> {
    let (mut random, mut objects, mut length) = (Random(seed), Vec::new(), 0);
    while length < bytes {
        let text = SHAPES[0](&mut random, &format!("app-{:06}", objects.len()), "shop");
        let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
        length += text.len();
        objects.push(text);
    }
    objects
}

fn json(object: &str) -> Option<String> {
    Some(Stream::new(object).documents.first()?.parse().ok()?.root().to_json())
}
