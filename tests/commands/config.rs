//! `muslin.toml`.

use crate::{ALPINE, DEBIAN, DENIED, Folder, rules, run_in};

#[test]
fn the_nearest_config_upwards_is_used() {
    let folder = Folder::new().with("muslin.toml", "[levels]\nmusl-slow-retry = \"off\"\n").with("a/b/c.yaml", ALPINE);
    assert_eq!(rules(&folder, &["a"]), [""; 0]);
    let below = run_in(&folder.path("a/b"), "", &["check", "-o", "json", "c.yaml"], &[]).ended(0);
    assert_eq!(below.rules(), [""; 0]);
}

#[test]
fn a_config_can_be_named_or_turned_off() {
    let folder = Folder::new()
        .with("muslin.toml", "[levels]\nmusl-slow-retry = \"off\"\n")
        .with("other.toml", "[levels]\nmusl-slow-retry = \"deny\"\n")
        .with("a.yaml", ALPINE);
    assert_eq!(rules(&folder, &["a.yaml", "--no-config"]), ["musl-slow-retry"]);
    folder.run(&["check", "a.yaml", "--config", "other.toml"]).ended(1);
    folder.run(&["check", "a.yaml", "--config", "other.toml", "--no-config"]).ended(2);
    let missing = folder.run(&["check", "a.yaml", "--config", "none.toml"]).ended(2);
    assert!(missing.stderr.starts_with("error: cannot read the configuration file none.toml: "), "{}", missing.stderr);
}

#[test]
fn the_address_of_the_pages_may_stand_in_it_and_the_argument_outranks_it() {
    let config = "docs-url = \"https://docs.example.com/muslin\"\n";
    let folder = Folder::new().with("muslin.toml", config).with("a.yaml", ALPINE);
    let pages = |arguments: &[&str]| {
        let arguments = [&["check", "a.yaml", "-o", "sarif"], arguments].concat();
        folder.run(&arguments).ended(0).stdout
    };
    assert!(pages(&[]).contains("https://docs.example.com/muslin/rules/musl-slow-retry.md"));
    assert!(pages(&["--docs-url", "https://x.example.com"]).contains("https://x.example.com/rules/musl-slow-retry.md"));
    let wrong = Folder::new().with("muslin.toml", "docs-url = \"docs\"\n").with("a.yaml", ALPINE);
    let run = wrong.run(&["check", "a.yaml"]).ended(2);
    assert!(run.stderr.contains("muslin.toml:1:12: `docs-url`: write https://HOST/PATH"), "{}", run.stderr);
}

#[test]
fn changes_levels_and_so_the_exit_code() {
    let folder = Folder::new().with("a.yaml", DENIED).with("muslin.toml", "[levels]\nattempts-zero = \"info\"\n");
    let run = folder.run(&["check", "--level", "info", "a.yaml"]).ended(0);
    assert!(run.stdout.starts_with("info[attempts-zero]"), "{}", run.stdout);
}

#[test]
fn declares_the_resolvers_of_images() {
    let config =
        "[images]\n\"registry.example.com/\" = \"musl 1.2.3\"\n\"registry.example.com/team/app\" = \"glibc\"\n";
    let pod = |image: &str| ALPINE.replace("alpine:3.19", image);
    let folder = Folder::new()
        .with("muslin.toml", config)
        .with("a.yaml", pod("registry.example.com/x:1"))
        .with("b.yaml", pod("registry.example.com/team/app:2"));
    assert_eq!(rules(&folder, &["a.yaml", "b.yaml"]), ["musl-slow-retry", "musl-no-tcp", "parallel-a-aaaa"]);
    let run = folder.run(&["check", "a.yaml"]).ended(0);
    assert!(
        run.stdout.contains("is musl 1.2.3 (declared): it was declared so for `registry.example.com/`"),
        "{}",
        run.stdout
    );
}

#[test]
fn exclude_applies_to_folders_but_not_to_named_files() {
    let folder = Folder::new()
        .with("muslin.toml", "exclude = [\"vendor/\", \"*.gen.yaml\", \"!keep.gen.yaml\"]\n")
        .with("a/vendor/x.yaml", ALPINE)
        .with("a/b.gen.yaml", ALPINE)
        .with("a/keep.gen.yaml", ALPINE)
        .with("a/c.yaml", ALPINE);
    assert_eq!(rules(&folder, &["."]).len(), 2);
    assert_eq!(rules(&folder, &["a/vendor/x.yaml", "a/b.gen.yaml"]).len(), 2);
    let below = run_in(&folder.path("a"), "", &["check", "-o", "json", "."], &[]).ended(0);
    assert_eq!(below.rules().len(), 2);
}

#[test]
fn sets_the_profile_unless_an_argument_does() {
    let folder = Folder::new().with("muslin.toml", "profile = \"fast\"\n").with("a.yaml", DEBIAN);
    assert!(folder.run(&["inject", "a.yaml"]).ended(0).stdout.contains("value: \"3\""));
    assert!(!folder.run(&["inject", "a.yaml", "--profile", "default"]).ended(0).stdout.contains("dnsConfig"));
}

#[test]
fn config_errors_have_their_place_and_a_suggestion() {
    for (text, expected) in [
        ("\n[levels]\natempts-zero = \"off\"\n", "3:1: there is no rule `atempts-zero`; did you mean `attempts-zero`?"),
        ("exclude = [\"a\", \"b{\"]\n", "1:17: "),
        ("profile = fast\n", "1:11: "),
    ] {
        let folder = Folder::new().with("muslin.toml", text).with("a.yaml", ALPINE);
        let run = folder.run(&["check", "a.yaml"]).ended(2);
        assert!(run.stderr.contains(&format!("muslin.toml:{expected}")), "{}", run.stderr);
        folder.run(&["inject", "a.yaml"]).ended(2);
    }
}

#[test]
fn names_the_broken_search_domains_of_nodes() {
    let config = "[broken-search-domains]\n\"corp.example.com\" = \"SERVFAIL\"\n";
    let folder = Folder::new().with("muslin.toml", config).with("a.yaml", ALPINE).with("b.yaml", DEBIAN);
    let run = folder.run(&["check", "a.yaml"]).ended(0);
    let message = "ends each search at corp.example.com, which answers SERVFAIL";
    assert!(run.stdout.contains("warn[broken-search-domain]") && run.stdout.contains(message), "{}", run.stdout);
    assert!(!rules(&folder, &["b.yaml"]).contains(&"broken-search-domain".to_owned()));
}
