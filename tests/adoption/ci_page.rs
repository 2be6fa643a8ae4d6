//! The examples on `docs/ci.md`: each has the form of its kind of file, names inputs and hooks that exist.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::programs::{REPOSITORY, ensure_schema, program, text};

/// Returns the examples on the page, each with the name of its file.
fn examples() -> Vec<(String, String)> {
    let page = fs::read_to_string(Path::new(REPOSITORY).join("docs/ci.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    blocks.map(|block| (block.lines().next().unwrap().trim_start_matches("# ").to_owned(), block)).collect()
}

fn example(name: &str) -> Value {
    let (_, text) = examples().into_iter().find(|(named, _)| named == name).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn each_example_has_the_form_of_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let examples = examples();
    assert_eq!(examples.len(), 3);
    for (name, text_of) in examples {
        let file = folder.path().join(name.replace('/', "-"));
        fs::write(&file, text_of).unwrap();
        match name.as_str() {
            ".pre-commit-config.yaml" => {
                let output = program("pre-commit").arg("validate-config").arg(&file).output().unwrap();
                assert!(output.status.success(), "{}", text(&output));
            }
            _ => ensure_schema("vendor.github-workflows", &file),
        }
    }
}

#[test]
fn the_examples_name_inputs_and_hooks_that_exist() {
    let read = |name: &str| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(Path::new(REPOSITORY).join(name)).unwrap()).unwrap()
    };
    let (action, hooks) = (read("action.yml"), read(".pre-commit-hooks.yaml"));
    let page = fs::read_to_string(Path::new(REPOSITORY).join("docs/ci.md")).unwrap();
    for workflow in [".github/workflows/dns.yml", ".github/workflows/dns-code-scanning.yml"] {
        let workflow = example(workflow);
        for (input, _) in workflow["jobs"]["muslin"]["steps"][1]["with"].as_object().unwrap() {
            assert!(!action["inputs"][input].is_null(), "{input}");
        }
    }
    for name in action["inputs"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("| `{name}` |")), "docs/ci.md lacks the input {name}");
    }
    for name in action["outputs"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{name}`")), "docs/ci.md lacks the output {name}");
    }
    let ids: Vec<&str> = hooks.as_array().unwrap().iter().map(|hook| hook["id"].as_str().unwrap()).collect();
    for id in &ids {
        assert!(page.contains(&format!("`{id}`")), "docs/ci.md lacks the hook {id}");
    }
    let used = example(".pre-commit-config.yaml")["repos"][0]["hooks"][0]["id"].as_str().unwrap().to_owned();
    assert!(ids.contains(&used.as_str()));
}
