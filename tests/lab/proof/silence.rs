//! Resolvers that get no answer at all. The proof's tables omit this fault, as it would take minutes and no option fixes it; but
//! the model predicts how long resolvers wait.

use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use muslin::resolver::Settings;

use super::LATE;
use super::fault::DOMAIN;
use crate::lab::client::Client;
use crate::lab::network::{Lab, server};
use crate::lab::resolvers::Program;
use crate::lab::server::Script;
use crate::lab::world::World;

/// Short timeouts, as only the factors of the model's prediction are tested.
const OPTIONS: [&str; 4] = [
    "timeout:1 attempts:1",
    "timeout:1 attempts:2",
    "single-request timeout:1 attempts:1",
    "single-request-reopen timeout:2 attempts:1",
];

/// Three names are tried: two of the search list, and the name itself.
const SEARCH: &str = "a.invalid b.invalid";
const NAMES: u32 = 3;

pub(super) fn resolvers_without_answers_give_up_as_predicted(world: &World) -> Result<()> {
    let lab = Lab::new(world)?;
    let dead = [lab.server(server(1), Script::dead())?, lab.server(server(2), Script::dead())?];
    let mut clients = Vec::new();
    for options in OPTIONS {
        for nameservers in 1..=dead.len() {
            let servers = dead[..nameservers].iter().map(|server| format!("nameserver {}\n", server.address()));
            let servers = servers.collect::<String>();
            let client = lab.client(&format!("search {SEARCH}\n{servers}options ndots:5 {options}\n"))?;
            clients.push((options, nameservers, client));
        }
    }
    let wrong = thread::scope(|scope| {
        let mut running = Vec::new();
        for (options, nameservers, client) in &clients {
            for program in world.resolvers() {
                running.push(scope.spawn(move || against_model(program, options, *nameservers, client)));
            }
        }
        let joined = running.into_iter().map(|lookup| lookup.join().map_err(|_| anyhow!("a lookup panicked"))?);
        joined.filter_map(Result::transpose).collect::<Result<Vec<String>>>()
    })?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Returns a prediction of the model that a lookup contradicts.
fn against_model(program: &Program, options: &str, nameservers: usize, client: &Client<'_>) -> Result<Option<String>> {
    let settings = Settings::read_options(program.resolver, &options.split(' ').collect::<Vec<_>>());
    let settings = settings.context("an unknown resolver")?;
    let predicted = settings.gives_up_after(u32::try_from(nameservers)?, NAMES).context("an unlimited wait")?;
    let found = program.look_up_one(client, &format!("n.{DOMAIN}"))?;
    let holds = !found.succeeded() && (predicted..predicted + LATE).contains(&found.took);
    let resolver = program.resolver;
    Ok((!holds).then(|| format!("{resolver}, {options}, {nameservers} servers: {predicted:?}, but {found:?}")))
}
