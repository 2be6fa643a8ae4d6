//! Puts the program that `muslin probe` looks up names with where the source can include it: the file that the variable
//! `MUSLIN_LOOKUP_PROGRAM` names (`scripts/lookup-program` builds it), or an empty file without the variable.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

const PROGRAM: &str = "MUSLIN_LOOKUP_PROGRAM";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={PROGRAM}");
    let bytes = match env::var(PROGRAM) {
        Ok(path) if !path.is_empty() => {
            println!("cargo::rerun-if-changed={path}");
            fs::read(&path).map_err(|error| format!("{PROGRAM}={path}: {error}"))?
        }
        _ => Vec::new(),
    };
    Ok(fs::write(Path::new(&env::var("OUT_DIR")?).join("lookup-program"), bytes)?)
}
