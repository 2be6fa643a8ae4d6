//! Tests of the resolver model against measurements, against sources, and by properties of any input.

mod changes;
mod dump;
mod lab;
mod lookups;
mod options;
mod parsers;
mod properties;

use super::{Family, Resolver, Settings, Version};

/// The musl releases on which the laboratory ran.
const MEASURED_MUSL: [Version; 6] = [
    Version::new(1, 1, 24),
    Version::new(1, 2, 2),
    Version::new(1, 2, 3),
    Version::new(1, 2, 4),
    Version::new(1, 2, 5),
    Version::new(1, 2, 6),
];

fn musl(minor: u16, patch: u16) -> Resolver {
    Family::Musl.at(Version::new(1, minor, patch))
}

fn glibc() -> Resolver {
    Family::Glibc.at(Version::new(2, 36, 0))
}

fn go() -> Resolver {
    Family::Go.at(Version::new(1, 27, 0))
}

/// Returns the settings that a resolver reads from a line.
fn settings(resolver: Resolver, line: &str) -> Settings {
    let options: Vec<&str> = line.split_ascii_whitespace().collect();
    let Some(settings) = Settings::read_options(resolver, &options) else {
        unreachable!("{resolver} is a known resolver")
    };
    settings
}
