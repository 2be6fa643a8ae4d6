//! The file `muslin.toml`: the settings of a repository that a cluster has in labels and profiles:
//!
//! ```toml
//! profile = "fast"                          # the options to inject
//! docs-url = "https://docs.example.com"     # the address of muslin's folder docs, for links to the page of each rule
//! exclude = ["vendor/", "*.generated.yaml"] # the files that `check` skips in folders, as in .gitignore
//!
//! [levels]                                  # the level of each rule: off, info, warn, deny
//! parallel-a-aaaa = "off"
//!
//! [broken-search-domains]                   # the nodes' search domains that break lookups, and their answers to unknown names:
//! "corp.example.com" = "NODATA"             # NODATA, SERVFAIL, REFUSED, silence, wildcard
//!
//! [images]                                  # the resolvers of images, by the beginning of the reference
//! "registry.example.com/base/" = "musl 1.2.5"
//! ```
//!
//! Must not know where the file is, nor which rules exist; the caller passes their names.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::declared_images::DeclaredImages;
use super::did_you_mean::did_you_mean;
use super::level_override::{LevelOverride, LevelOverrides};
use super::profile::{Profile, UnknownProfile};
use super::search_list::{BrokenDomain, DomainFault};
use crate::resolver::{Family, Resolver};

/// The settings of `muslin.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The profile's name, if the file has one.
    pub profile: Option<String>,
    /// The address of muslin's folder `docs`.
    pub docs_url: Option<PlacedText>,
    /// Patterns of files to skip, as in `.gitignore`.
    pub exclude: Vec<PlacedText>,
    /// The levels of rules.
    levels: LevelOverrides,
    /// The declared resolvers of images.
    images: DeclaredImages,
    /// The broken search domains of nodes.
    pub broken_domains: Vec<BrokenDomain>,
}

/// A text, and its place in `muslin.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedText {
    /// The text.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

/// An error in `muslin.toml` and its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct InvalidConfig {
    line: usize,
    column: usize,
    message: String,
}

// === impl Config ===

impl Config {
    /// The keys of the file.
    pub const KEYS: [&str; 6] = ["profile", "docs-url", "exclude", "levels", "images", "broken-search-domains"];

    /// Returns the settings of a file. `rules` are the names of all rules.
    ///
    /// # Errors
    /// The text is not TOML, or has an unknown key or value. The error has the first such place.
    pub fn parse(text: &str, rules: &[&str]) -> Result<Self, InvalidConfig> {
        let reader = Reader { text };
        let document = DeTable::parse(text)
            .map_err(|error| reader.fault(error.span().unwrap_or_default(), error.message().to_owned()))?;
        let mut config = Self::default();
        for (key, value) in document.get_ref().iter() {
            match key.get_ref().as_ref() {
                "profile" => config.profile = Some(reader.profile(value)?),
                "docs-url" => config.docs_url = Some(reader.placed(value, "`docs-url`")?),
                "exclude" => config.exclude = reader.exclude(value)?,
                "levels" => config.levels = reader.levels(value, rules)?,
                "images" => config.images = reader.images(value)?,
                "broken-search-domains" => config.broken_domains = reader.broken_domains(value)?,
                other => {
                    let message = format!("there is no setting `{other}`{}", meant(other, Self::KEYS));
                    return Err(reader.fault(key.span(), message));
                }
            }
        }
        Ok(config)
    }

    /// Returns the profile `name`, or else that of the file, or else the default, with the file's levels and declarations.
    ///
    /// # Errors
    /// No built-in profile has this name.
    pub fn into_profile(self, name: Option<&str>) -> Result<Profile, UnknownProfile> {
        let Self { profile, levels: rules, images, docs_url: _, exclude: _, broken_domains: _ } = self;
        let builtin = name.or(profile.as_deref()).map(Profile::builtin).transpose()?.unwrap_or_default();
        Ok(Profile { rules, images, ..builtin })
    }
}

/// Reads parts of the file, and reports the places of errors.
struct Reader<'t> {
    text: &'t str,
}

type Table<'v> = Vec<(&'v str, Range<usize>, &'v Spanned<DeValue<'v>>)>;

// === impl Reader ===

impl Reader<'_> {
    fn fault(&self, span: Range<usize>, message: String) -> InvalidConfig {
        let (line, column) = self.position(span.start);
        InvalidConfig { line, column, message }
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn string<'v>(&self, value: &'v Spanned<DeValue<'v>>, what: &str) -> Result<&'v str, InvalidConfig> {
        let text = value.get_ref().as_str();
        text.ok_or_else(|| self.fault(value.span(), format!("{what} is a string, not {}", value.get_ref().type_str())))
    }

    fn table<'v>(&self, value: &'v Spanned<DeValue<'v>>, what: &str) -> Result<Table<'v>, InvalidConfig> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.fault(value.span(), format!("{what} is a table, not {}", value.get_ref().type_str())));
        };
        Ok(table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value)).collect())
    }

    fn profile(&self, value: &Spanned<DeValue<'_>>) -> Result<String, InvalidConfig> {
        let name = self.string(value, "`profile`")?;
        let profile = Profile::builtin(name)
            .map_err(|error| self.fault(value.span(), format!("{error}{}", meant(name, Profile::NAMES))))?;
        Ok(profile.name)
    }

    fn exclude(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<PlacedText>, InvalidConfig> {
        let DeValue::Array(patterns) = value.get_ref() else {
            let message = format!("`exclude` is a list of patterns, not {}", value.get_ref().type_str());
            return Err(self.fault(value.span(), message));
        };
        patterns.iter().map(|value| self.placed(value, "a pattern of `exclude`")).collect()
    }

    fn placed(&self, value: &Spanned<DeValue<'_>>, what: &str) -> Result<PlacedText, InvalidConfig> {
        let (line, column) = self.position(value.span().start);
        Ok(PlacedText { text: self.string(value, what)?.to_owned(), line, column })
    }

    fn levels(&self, value: &Spanned<DeValue<'_>>, rules: &[&str]) -> Result<LevelOverrides, InvalidConfig> {
        let mut levels = LevelOverrides::default();
        for (slug, span, value) in self.table(value, "`levels`")? {
            if !rules.contains(&slug) {
                let message = format!("there is no rule `{slug}`{}", meant(slug, rules.iter().copied()));
                return Err(self.fault(span, message));
            }
            let word = self.string(value, "a level")?;
            let level = word.parse::<LevelOverride>().map_err(|error| {
                self.fault(value.span(), format!("{error}{}", meant(word, LevelOverride::ALL.map(LevelOverride::name))))
            })?;
            levels.set(slug, level);
        }
        Ok(levels)
    }

    fn images(&self, value: &Spanned<DeValue<'_>>) -> Result<DeclaredImages, InvalidConfig> {
        let mut declared = DeclaredImages::default();
        for (prefix, span, value) in self.table(value, "`images`")? {
            let text = self.string(value, "a resolver")?;
            let resolver = text.parse::<Resolver>().map_err(|error| {
                let word = text.split_whitespace().next().unwrap_or_default();
                self.fault(value.span(), format!("{error}{}", meant(word, Family::NAMED.map(Family::name))))
            })?;
            declared.declare(prefix, resolver).map_err(|error| self.fault(span, error.to_string()))?;
        }
        Ok(declared)
    }

    fn broken_domains(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<BrokenDomain>, InvalidConfig> {
        let broken = |(domain, span, value): (&str, Range<usize>, &Spanned<DeValue<'_>>)| {
            let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
            if domain.is_empty() || domain.contains(char::is_whitespace) {
                return Err(self.fault(span, "a search domain is a name, such as `corp.example.com`".to_owned()));
            }
            let word = self.string(value, "an answer")?;
            let names = DomainFault::ALL.map(DomainFault::name);
            let unknown = || {
                let message = format!("`{word}` breaks no search: use {}{}", names.join(", "), meant(word, names));
                self.fault(value.span(), message)
            };
            Ok(BrokenDomain { domain, fault: DomainFault::named(word).ok_or_else(unknown)? })
        };
        self.table(value, "`broken-search-domains`")?.into_iter().map(broken).collect()
    }
}

/// Returns the end of a message that proposes a word, if a known word is similar.
fn meant<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    did_you_mean(word, known).map(|question| format!("; {question}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;
    use crate::policy::Level;

    const RULES: [&str; 2] = ["attempts-zero", "musl-slow-retry"];

    fn fault(text: &str) -> String {
        Config::parse(text, &RULES).unwrap_err().to_string()
    }

    #[test]
    fn sets_the_profile_its_levels_and_its_images() {
        let text = r#"
            profile = "fast"
            docs-url = "https://docs.example.com"
            exclude = ["vendor/"]
            [levels]
            musl-slow-retry = "off"
            attempts-zero = "info"
            [images]
            "registry.example.com/base/" = "musl 1.2.5"
        "#;
        let config = Config::parse(text, &RULES).unwrap();
        assert_eq!(config.profile.as_deref(), Some("fast"));
        assert_eq!(config.docs_url.as_ref().map(|url| &*url.text), Some("https://docs.example.com"));
        assert_eq!(config.exclude, [PlacedText { text: "vendor/".to_owned(), line: 4, column: 24 }]);
        let profile = config.into_profile(None).unwrap();
        assert_eq!(profile.name, "fast");
        assert_eq!(profile.rules.level_of("musl-slow-retry", Level::Warn), None);
        assert_eq!(profile.rules.level_of("attempts-zero", Level::Deny), Some(Level::Info));
        let image = "registry.example.com/base/x:1";
        assert_eq!(profile.images.apply(image, image::assume(image)).to_string(), "musl 1.2.5 (declared)");
    }

    #[test]
    fn names_the_broken_search_domains_of_nodes() {
        let config = Config::parse("[broken-search-domains]\n\"Corp.example.com.\" = \"nodata\"\n", &RULES).unwrap();
        let expected = BrokenDomain { domain: "corp.example.com".to_owned(), fault: DomainFault::NoData };
        assert_eq!(config.broken_domains, [expected]);
    }

    #[test]
    fn a_profile_named_elsewhere_wins() {
        let config = Config::parse("profile = \"fast\"\n[levels]\nattempts-zero = \"off\"\n", &RULES).unwrap();
        let profile = config.into_profile(Some("node-local")).unwrap();
        assert_eq!(profile.name, "node-local");
        assert_eq!(profile.rules.level_of("attempts-zero", Level::Deny), None);
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        assert_eq!(Config::parse("# later\n", &RULES), Ok(Config::default()));
    }

    #[test]
    fn reports_the_place_of_an_error_and_proposes_a_word() {
        for (text, expected) in [
            ("profil = \"fast\"\n", "1:1: there is no setting `profil`; did you mean `profile`?"),
            (
                "profile = \"fats\"\n",
                "1:11: there is no profile `fats`: use default, ipv6, three-attempts, single-request-reopen, fast, node-local; did you mean `fast`?",
            ),
            ("profile = 3\n", "1:11: `profile` is a string, not integer"),
            ("docs-url = 1\n", "1:12: `docs-url` is a string, not integer"),
            ("exclude = \"vendor\"\n", "1:11: `exclude` is a list of patterns, not string"),
            ("exclude = [\n  1]\n", "2:3: a pattern of `exclude` is a string, not integer"),
            ("levels = []\n", "1:10: `levels` is a table, not array"),
            (
                "[levels]\natempts-zero = \"off\"\n",
                "2:1: there is no rule `atempts-zero`; did you mean `attempts-zero`?",
            ),
            (
                "[levels]\nattempts-zero = \"wran\"\n",
                "2:17: `wran` is not a level: use off, info, warn or deny; did you mean `warn`?",
            ),
            (
                "[images]\n\"a b\" = \"musl\"\n",
                "2:1: `a b` is not the start of an image reference: write a registry, a repository or a part of one, such as `registry.example.com/team/`",
            ),
            ("[images]\napp = \"musl x\"\n", "2:7: `x` is not a version such as 1.2.4"),
            (
                "[images]\napp = \"gilbc\"\n",
                "2:7: `gilbc` is not a resolver: use musl, glibc, go, uclibc, c-ares, static; did you mean `glibc`?",
            ),
            (
                "[broken-search-domains]\n\"corp.example.com\" = \"SERVFALL\"\n",
                "2:22: `SERVFALL` breaks no search: use NODATA, SERVFAIL, REFUSED, silence, wildcard; did you mean `SERVFAIL`?",
            ),
            (
                "[broken-search-domains]\n\"\" = \"NODATA\"\n",
                "2:1: a search domain is a name, such as `corp.example.com`",
            ),
            ("profile = \"fast\"\nprofile = \"fast\"\n", "2:1: duplicate key"),
        ] {
            assert_eq!(fault(text), expected);
        }
    }
}
