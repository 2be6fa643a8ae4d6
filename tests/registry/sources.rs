//! Images on disk, and one image in several places.

use anyhow::Result;

use crate::Test;

pub(crate) const TESTS: &[(&str, Test)] = &[];
#[allow(dead_code)]
fn none() -> Result<()> {
    Ok(())
}
