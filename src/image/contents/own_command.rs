//! The programs that an image's own command may start: all that its words name, and the words of the scripts among them. Must not know
//! which of them runs.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::facts::{Config, DEFAULT_PATH};
use super::files::script::Script;
use super::layers::filesystem::{PathTarget, Tree};
use super::layers::path::{join_path, normalise_path, split_path};
use super::program_kind::ProgramKind;
use super::shell::parser::ShellText;
use crate::budget::count_turns;

/// The most words that are looked up. The command of an image and its scripts have some twenty.
const WORDS_MAX: usize = 256;
/// The longest word that is looked up, in bytes (`PATH_MAX`).
const WORD_MAX_BYTES: usize = 4096;
/// The most folders of the search path.
const FOLDERS_MAX: usize = 64;

/// The search for the programs that words name.
struct Search<'t> {
    tree: &'t Tree,
    config: &'t Config,
    waiting: VecDeque<String>,
    seen: HashSet<String>,
    found: BTreeSet<String>,
}

/// Returns the programs that the image's own command may start, as paths without links to folders.
pub(crate) fn own_programs(tree: &Tree, config: &Config) -> BTreeSet<String> {
    let mut search = Search { tree, config, waiting: VecDeque::new(), seen: HashSet::new(), found: BTreeSet::new() };
    config.entrypoint.iter().chain(&config.cmd).for_each(|word| search.add(word));
    while let Some(word) = search.waiting.pop_front() {
        search.look_up(&word);
    }
    search.found
}

/// Returns the folders of an image's search path without links, in order, also those without a program.
pub(crate) fn searched_folders(tree: &Tree, config: &Config) -> Vec<String> {
    let mut folders = Vec::new();
    for folder in search_path(config) {
        let folder = normalise_path(&absolute(config, folder));
        if let PathTarget::Folder(real) | PathTarget::Nothing(real) = tree.find(&folder)
            && !folders.contains(&real)
        {
            folders.push(real);
        }
    }
    folders
}

fn search_path(config: &Config) -> impl Iterator<Item = &str> {
    let path = config.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    path.split(':').filter(|folder| folder.len() <= WORD_MAX_BYTES).take(FOLDERS_MAX)
}

fn absolute(config: &Config, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", config.working_dir) }
}

// === impl Search ===

impl Search<'_> {
    fn add(&mut self, word: &str) {
        count_turns(1);
        let is_new = self.seen.len() < WORDS_MAX && !word.is_empty() && self.seen.insert(word.to_owned());
        if is_new {
            self.waiting.push_back(word.to_owned());
        }
    }

    fn look_up(&mut self, word: &str) {
        if word.contains(char::is_whitespace) {
            // The text of a shell.
            for command in ShellText::parse(word).commands {
                command.words.iter().for_each(|word| self.add(word));
            }
            return;
        }
        if word.len() > WORD_MAX_BYTES {
            return;
        }
        if word.contains('/') {
            self.look_up_path(&absolute(self.config, word));
        } else {
            let config = self.config;
            for folder in search_path(config) {
                self.look_up_path(&absolute(config, &format!("{folder}/{word}")));
            }
        }
    }

    fn look_up_path(&mut self, path: &str) {
        let tree = self.tree;
        let path = normalise_path(path);
        let (folder, name) = split_path(&path);
        let PathTarget::Folder(folder) = tree.find(folder) else { return };
        let path = join_path(&folder, name);
        let PathTarget::Node(_, node) = tree.find(&path) else { return };
        let Some(kind) = ProgramKind::new(node, &HashSet::new()) else { return };
        if self.found.insert(path)
            && let ProgramKind::Script(Script { interpreter, argument, starts, .. }) = kind
        {
            let argument = argument.iter().flat_map(|words| words.split_whitespace());
            let starts = starts.iter().flatten().map(|word| &**word);
            [&*interpreter].into_iter().chain(argument).chain(starts).for_each(|word| self.add(word));
        }
    }
}
