//! The file `muslin.toml`, in which a repository says what a cluster says by labels and profiles:
//!
//! ```toml
//! profile = "fast"                          # what to inject
//! exclude = ["vendor/", "*.generated.yaml"] # what `check` passes over in folders, as in .gitignore
//!
//! [levels]                                  # how strict each rule is: off, info, warn, deny
//! parallel-a-aaaa = "off"
//!
//! [images]                                  # what images have whose name does not tell, by the beginning of the reference
//! "registry.example.com/base/" = "musl 1.2.5"
//! ```
//!
//! Reads text; must not know where the file is, nor which rules there are: whoever reads it says that.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Declared, Levels, Profile, Strictness, UnknownProfile, did_you_mean};
use crate::resolver::{Family, Resolver};

/// What `muslin.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The name of a profile, where one is named.
    pub profile: Option<String>,
    /// Patterns of files to pass over.
    pub exclude: Vec<Pattern>,
    /// How strict each rule is.
    levels: Levels,
    /// What is known of images.
    declared: Declared,
}

/// A pattern of files, as in `.gitignore`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The pattern.
    pub text: String,
    /// Its line in the file, from 1.
    pub line: usize,
    /// Its column, from 1.
    pub column: usize,
}

/// What is wrong with `muslin.toml`, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct InvalidConfig {
    line: usize,
    column: usize,
    message: String,
}

/// The keys of the file.
const KEYS: [&str; 4] = ["profile", "exclude", "levels", "images"];

// === impl Config ===

impl Config {
    /// Reads the file. `rules` are the names of all rules.
    ///
    /// # Errors
    /// It is not TOML, or says something that is not known; the first such place is told.
    pub fn read(text: &str, rules: &[&str]) -> Result<Self, InvalidConfig> {
        let reader = Reader { text };
        let document = DeTable::parse(text)
            .map_err(|error| reader.fault(error.span().unwrap_or_default(), error.message().to_owned()))?;
        let mut config = Self::default();
        for (key, value) in document.get_ref().iter() {
            match key.get_ref().as_ref() {
                "profile" => config.profile = Some(reader.profile(value)?),
                "exclude" => config.exclude = reader.exclude(value)?,
                "levels" => config.levels = reader.levels(value, rules)?,
                "images" => config.declared = reader.images(value)?,
                other => {
                    let message = format!("there is no setting `{other}`{}", meant(other, KEYS));
                    return Err(reader.fault(key.span(), message));
                }
            }
        }
        Ok(config)
    }

    /// The profile that is named here, or else in the file, or else the default, as strict as the file wants it.
    ///
    /// # Errors
    /// There is no profile of this name.
    pub fn into_profile(self, name: Option<&str>) -> Result<Profile, UnknownProfile> {
        let Self { profile, levels, declared, exclude: _ } = self;
        let builtin = name.or(profile.as_deref()).map(Profile::builtin).transpose()?.unwrap_or_default();
        Ok(Profile { levels, declared, ..builtin })
    }
}

/// Reads parts of the file, and tells where they are wrong.
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

    fn exclude(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<Pattern>, InvalidConfig> {
        let DeValue::Array(patterns) = value.get_ref() else {
            let message = format!("`exclude` is a list of patterns, not {}", value.get_ref().type_str());
            return Err(self.fault(value.span(), message));
        };
        let pattern = |value: &Spanned<DeValue<'_>>| {
            let (line, column) = self.position(value.span().start);
            Ok(Pattern { text: self.string(value, "a pattern of `exclude`")?.to_owned(), line, column })
        };
        patterns.iter().map(pattern).collect()
    }

    fn levels(&self, value: &Spanned<DeValue<'_>>, rules: &[&str]) -> Result<Levels, InvalidConfig> {
        let mut levels = Levels::default();
        for (slug, span, value) in self.table(value, "`levels`")? {
            if !rules.contains(&slug) {
                let message = format!("there is no rule `{slug}`{}", meant(slug, rules.iter().copied()));
                return Err(self.fault(span, message));
            }
            let word = self.string(value, "a level")?;
            let strictness = word.parse::<Strictness>().map_err(|error| {
                self.fault(value.span(), format!("{error}{}", meant(word, Strictness::ALL.map(Strictness::name))))
            })?;
            levels.set(slug, strictness);
        }
        Ok(levels)
    }

    fn images(&self, value: &Spanned<DeValue<'_>>) -> Result<Declared, InvalidConfig> {
        let mut declared = Declared::default();
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
        Config::read(text, &RULES).unwrap_err().to_string()
    }

    #[test]
    fn says_what_a_profile_says() {
        let text = r#"
            profile = "fast"
            exclude = ["vendor/"]
            [levels]
            musl-slow-retry = "off"
            attempts-zero = "info"
            [images]
            "registry.example.com/base/" = "musl 1.2.5"
        "#;
        let config = Config::read(text, &RULES).unwrap();
        assert_eq!(config.profile.as_deref(), Some("fast"));
        assert_eq!(config.exclude, [Pattern { text: "vendor/".to_owned(), line: 3, column: 24 }]);
        let profile = config.into_profile(None).unwrap();
        assert_eq!(profile.name, "fast");
        assert_eq!(profile.levels.of("musl-slow-retry", Level::Warn), None);
        assert_eq!(profile.levels.of("attempts-zero", Level::Deny), Some(Level::Info));
        let image = "registry.example.com/base/x:1";
        assert_eq!(profile.declared.apply(image, image::assume(image)).to_string(), "musl 1.2.5 (declared)");
    }

    #[test]
    fn a_profile_named_elsewhere_wins() {
        let config = Config::read("profile = \"fast\"\n[levels]\nattempts-zero = \"off\"\n", &RULES).unwrap();
        let profile = config.into_profile(Some("node-local")).unwrap();
        assert_eq!(profile.name, "node-local");
        assert_eq!(profile.levels.of("attempts-zero", Level::Deny), None);
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        assert_eq!(Config::read("# later\n", &RULES), Ok(Config::default()));
    }

    #[test]
    fn points_at_what_is_wrong_and_proposes_what_was_meant() {
        for (text, expected) in [
            ("profil = \"fast\"\n", "1:1: there is no setting `profil`; did you mean `profile`?"),
            (
                "profile = \"fats\"\n",
                "1:11: there is no profile `fats`: use default, ipv6, single-request-reopen, fast, node-local; did you mean `fast`?",
            ),
            ("profile = 3\n", "1:11: `profile` is a string, not integer"),
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
                "2:1: `a b` begins no image reference: write a registry, a repository or a part of one, such as `registry.example.com/team/`",
            ),
            ("[images]\napp = \"musl x\"\n", "2:7: `x` is not a version such as 1.2.4"),
            (
                "[images]\napp = \"gilbc\"\n",
                "2:7: `gilbc` is no resolver: use musl, glibc, go, uclibc, c-ares, static; did you mean `glibc`?",
            ),
            ("profile = \"fast\"\nprofile = \"fast\"\n", "2:1: duplicate key"),
        ] {
            assert_eq!(fault(text), expected);
        }
    }
}
