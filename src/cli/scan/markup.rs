//! HTML in the making: fixed markup, and text from outside, which cannot become markup. Must not know the page.

use crate::text::{Block, Line};

/// HTML of fixed markup and escaped texts.
#[derive(Default)]
pub(super) struct Markup(String);

// === impl Markup ===

impl Markup {
    /// Adds markup. Only words of muslin's source are `'static`.
    pub(super) fn fixed(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Adds a text, for content or for an attribute in double quotes. Characters that a reader cannot see are written out, so that a name
    /// cannot pass for another.
    pub(super) fn text(&mut self, text: &str) {
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
    pub(super) fn element(&mut self, name: &'static str, text: &str) {
        self.fixed("<");
        self.fixed(name);
        self.fixed(">");
        self.text(text);
        self.fixed("</");
        self.fixed(name);
        self.fixed(">\n");
    }

    pub(super) fn into_block(self) -> Block {
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
