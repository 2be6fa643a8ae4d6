//! HTML in the making: fixed markup, and text from outside, which cannot become markup. Must not know the page.

use crate::text::{Block, Line};

/// The look of every page, in light and dark.
const STYLE: &str = include_str!("page/style.css");

/// HTML of fixed markup and escaped texts.
#[derive(Default)]
pub struct Markup(String);

// === impl Markup ===

impl Markup {
    /// Begins a page that needs no network and no script, and whose content policy allows none: everything up to `<body>`.
    pub fn begin_page(&mut self, title: &str) {
        self.fixed(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
             form-action 'none'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>",
        );
        self.text(title);
        self.fixed("</title>\n<style>\n");
        self.fixed(STYLE);
        self.fixed("</style>\n</head>\n<body>\n");
    }

    /// Adds markup. Only words of muslin's source are `'static`.
    pub fn fixed(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Adds a text, for content or for an attribute in double quotes. Characters that a reader cannot see are written out, so that a name
    /// cannot pass for another.
    pub fn text(&mut self, text: &str) {
        for character in Line::new(text.to_owned()).chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
    }

    /// Adds an element with a text.
    pub fn element(&mut self, name: &'static str, text: &str) {
        self.fixed("<");
        self.fixed(name);
        self.fixed(">");
        self.text(text);
        self.fixed("</");
        self.fixed(name);
        self.fixed(">\n");
    }

    /// Adds a word in a coloured box: `deny`, `warn` or `info`.
    pub fn badge(&mut self, level: &'static str) {
        self.fixed("<span class=\"badge ");
        self.fixed(level);
        self.fixed("\">");
        self.fixed(level);
        self.fixed("</span>");
    }

    /// Adds a number with its name and meaning, for a list of the class `tiles`.
    pub fn tile(&mut self, class: &'static str, number: &str, name: &'static str, meaning: &'static str) {
        self.fixed("<li class=\"tile ");
        self.fixed(class);
        self.fixed("\"><b>");
        self.text(number);
        self.fixed("</b> <strong>");
        self.fixed(name);
        self.fixed("</strong> <span>");
        self.fixed(meaning);
        self.fixed("</span></li>\n");
    }

    /// Returns the page.
    pub fn into_block(self) -> Block {
        Block::rendered(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        let mut html = Markup::default();
        html.element("p", "<script>alert('1')</script> & \"b\" \u{202e}");
        let expected = "<p>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;b&quot; \\u{202e}</p>\n";
        assert_eq!(html.into_block().as_str(), expected);
    }
}
