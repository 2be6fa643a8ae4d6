//! The address of the pages about rules and verdicts, as an administrator gives it. Must not know of any one of them.

use std::str::FromStr;

/// The address of muslin's folder `docs`, on a server that developers reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocsUrl(String);

/// The reason why a text is not such an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocsUrl {
    /// A text of another form.
    #[error("write https://HOST/PATH, without spaces, `?` and `#`")]
    Form,
    /// A text that leaves no room for the rest of a warning.
    #[error("{0} bytes are too many: the address and a rule's name must fit in a warning; use at most {DOCS_URL_MAX}")]
    Length(usize),
}

/// The longest address, in bytes: a warning has room for 120, of which `muslin: `, `/rules/`, `.md` and the longest slug need 46.
pub const DOCS_URL_MAX: usize = 74;

// === impl DocsUrl ===

impl DocsUrl {
    /// Returns the address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the address of the page about the rule with this slug.
    pub fn page_of(&self, slug: &str) -> String {
        let Self(base) = self;
        format!("{base}/rules/{slug}.md")
    }

    /// Returns the address of the page about the verdict with this slug.
    pub fn page_of_verdict(&self, slug: &str) -> String {
        let Self(base) = self;
        format!("{base}/verdicts/{slug}.md")
    }
}

impl FromStr for DocsUrl {
    type Err = InvalidDocsUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.ok_or(InvalidDocsUrl::Form)?.trim_end_matches('/');
        // The characters of RFC 3986, without the delimiters of a query and a fragment, and without quotes and brackets.
        let is_usual = |c: char| c.is_ascii_alphanumeric() || "-._~:/@!$&()*+,;=%".contains(c);
        if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) || !rest.chars().all(is_usual) {
            return Err(InvalidDocsUrl::Form);
        }
        let base = text.trim_end_matches('/');
        if base.len() > DOCS_URL_MAX {
            return Err(InvalidDocsUrl::Length(base.len()));
        }
        Ok(Self(base.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_page_of_a_rule() {
        for text in ["https://docs.example.com/muslin", "https://docs.example.com/muslin/"] {
            let docs: DocsUrl = text.parse().unwrap();
            assert_eq!(docs.page_of("musl-no-tcp"), "https://docs.example.com/muslin/rules/musl-no-tcp.md");
            let page = docs.page_of_verdict("slow-server");
            assert_eq!(page, "https://docs.example.com/muslin/verdicts/slow-server.md");
        }
    }

    #[test]
    fn rejects_what_is_no_address() {
        for text in [
            "",
            "docs.example.com",
            "ftp://x",
            "https://",
            "https:///docs",
            "https://x/ y",
            "https://x/\u{1b}",
            "https://x/é",
        ] {
            assert_eq!(text.parse::<DocsUrl>(), Err(InvalidDocsUrl::Form), "{text}");
        }
        for text in ["https://x/docs?page=", "https://x/docs#top", "https://x/\"", "https://[::1]/"] {
            assert_eq!(text.parse::<DocsUrl>(), Err(InvalidDocsUrl::Form), "{text}");
        }
    }
}
