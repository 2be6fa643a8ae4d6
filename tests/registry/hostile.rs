//! Servers and archives that misbehave.

use crate::Test;

pub(crate) const TESTS: &[(&str, Test)] = &[];
