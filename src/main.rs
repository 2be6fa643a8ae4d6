//! Parses arguments and runs one command.

fn main() {}
