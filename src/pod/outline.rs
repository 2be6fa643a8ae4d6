//! Which parts of a JSON document are read, and a copy of a document that has only those. A copy reads like the document itself,
//! which may be twenty times as long. Knows JSON, and the names of the fields that are read; must not know what they mean.

/// What is read of a JSON value.
#[derive(Debug)]
pub enum Outline {
    /// All of it.
    Whole,
    /// These fields of an object, by their names.
    Fields(&'static [(&'static str, Outline)]),
    /// As much of each element of an array.
    Each(&'static Outline),
}

/// What [`Pod`](super::Pod) reads. What is missing here a copy lacks: who uses copies makes sure that they say the same.
pub const POD: Outline = Outline::Fields(&[
    (
        "metadata",
        Outline::Fields(&[
            ("name", Outline::Whole),
            ("generateName", Outline::Whole),
            ("namespace", Outline::Whole),
            ("labels", Outline::Whole),
            ("annotations", Outline::Whole),
        ]),
    ),
    (
        "spec",
        Outline::Fields(&[
            ("containers", Outline::Each(&CONTAINER)),
            ("initContainers", Outline::Each(&CONTAINER)),
            ("hostNetwork", Outline::Whole),
            ("dnsPolicy", Outline::Whole),
            ("dnsConfig", Outline::Whole),
            ("os", Outline::Whole),
            ("nodeSelector", Outline::Whole),
            ("affinity", Outline::Fields(&[("nodeAffinity", Outline::Whole)])),
            ("serviceAccountName", Outline::Whole),
            ("imagePullSecrets", Outline::Whole),
        ]),
    ),
]);

/// What a container is read for.
const CONTAINER: Outline = Outline::Fields(&[
    ("name", Outline::Whole),
    ("image", Outline::Whole),
    ("command", Outline::Whole),
    ("args", Outline::Whole),
    ("workingDir", Outline::Whole),
    ("env", Outline::Each(&Outline::Fields(&[("name", Outline::Whole), ("value", Outline::Whole)]))),
]);

/// A copy of the parts that are read, and where the document's strings are.
#[derive(Debug, Default)]
pub struct Excerpt {
    /// The copy.
    pub text: String,
    /// The strings of the document that are values, no keys, and have no escapes; in order.
    pub strings: Vec<StringAt>,
}

/// Where a string is, without its quotes: places in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringAt {
    /// Where it starts in the document.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Where it starts in the copy, if it is there.
    pub copied_to: Option<u32>,
}

/// A place in a document that is JSON; what is not gives an early end and no harm.
struct Cursor<'t> {
    text: &'t str,
    at: usize,
    excerpt: Excerpt,
}

// === impl Outline ===

impl Outline {
    /// Copies what is read of a document; `None` if it is no JSON.
    pub fn excerpt(&self, text: &str) -> Option<Excerpt> {
        let mut cursor = Cursor { text, at: 0, excerpt: Excerpt::default() };
        cursor.value(Some(self))?;
        Some(cursor.excerpt)
    }

    fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Whole => Some(self),
            Self::Fields(fields) => fields.iter().find(|(field, _)| *field == name).map(|(_, outline)| outline),
            Self::Each(_) => None,
        }
    }

    fn element(&self) -> Option<&Self> {
        match self {
            Self::Whole => Some(self),
            Self::Each(outline) => Some(outline),
            Self::Fields(_) => None,
        }
    }
}

// === impl Cursor ===

impl Cursor<'_> {
    /// Walks over a value, and copies what the outline has of it. The depth is bounded by who has parsed the document before.
    fn value(&mut self, outline: Option<&Outline>) -> Option<()> {
        match self.peek()? {
            b'{' => self.sequence(b'}', outline, |cursor, outline, is_first| {
                let key = cursor.string()?;
                cursor.skip(b':')?;
                let name = cursor.text.get(key.0 + 1..key.1 - 1)?;
                let outline = outline.and_then(|outline| outline.field(name));
                if outline.is_some() {
                    cursor.separate(is_first);
                    cursor.copy(key)?;
                    cursor.excerpt.text.push(':');
                }
                cursor.value(outline)?;
                Some(outline.is_some())
            }),
            b'[' => self.sequence(b']', outline, |cursor, outline, is_first| {
                let outline = outline.and_then(Outline::element);
                if outline.is_some() {
                    cursor.separate(is_first);
                }
                cursor.value(outline)?;
                Some(outline.is_some())
            }),
            b'"' => {
                let (start, end) = self.string()?;
                if !self.text.get(start..end)?.contains('\\') {
                    let copied_to = match outline {
                        Some(_) => Some(u32::try_from(self.excerpt.text.len() + 1).ok()?),
                        None => None,
                    };
                    let (start, end) = (u32::try_from(start + 1).ok()?, u32::try_from(end - 1).ok()?);
                    self.excerpt.strings.push(StringAt { start, end, copied_to });
                }
                outline.map_or(Some(()), |_| self.copy((start, end)))
            }
            _ => {
                let start = self.at;
                let length = self.text.get(start..)?.find([',', ']', '}', ' ', '\n', '\r', '\t']);
                self.at = length.map_or(self.text.len(), |length| start + length);
                outline.map_or(Some(()), |_| self.copy((start, self.at)))
            }
        }
    }

    /// Walks over what is between two brackets. `one` walks over one member and says whether it was copied.
    fn sequence(
        &mut self,
        end: u8,
        outline: Option<&Outline>,
        one: impl Fn(&mut Self, Option<&Outline>, bool) -> Option<bool>,
    ) -> Option<()> {
        let start = self.at;
        self.at += 1;
        if outline.is_some() {
            self.copy((start, self.at))?;
        }
        let mut is_first = true;
        while self.peek()? != end {
            is_first &= !one(self, outline, is_first)?;
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        outline.map_or(Some(()), |_| self.copy((self.at - 1, self.at)))
    }

    /// Walks over a string, and says where it is, quotes and all.
    fn string(&mut self) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            match bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some((start, self.at))
    }

    fn skip(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += 1)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let blank = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at += blank;
        rest.get(blank).copied()
    }

    fn separate(&mut self, is_first: bool) {
        if !is_first {
            self.excerpt.text.push(',');
        }
    }

    fn copy(&mut self, (start, end): (usize, usize)) -> Option<()> {
        self.excerpt.text.push_str(self.text.get(start..end)?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTLINE: Outline = Outline::Fields(&[
        ("a", Outline::Whole),
        ("list", Outline::Each(&Outline::Fields(&[("name", Outline::Whole)]))),
    ]);

    fn copied(document: &str) -> Option<String> {
        OUTLINE.excerpt(document).map(|excerpt| excerpt.text)
    }

    #[test]
    fn copies_what_is_read_and_nothing_else() {
        for (document, copy) in [
            (r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
            (r#"{"b":{"a":1},"a":{"b":[true,null]}}"#, r#"{"a":{"b":[true,null]}}"#),
            (r#"{"list":[{"name":"x","y":[1]},{},{"y":"]"},null]}"#, r#"{"list":[{"name":"x"},{},{},null]}"#),
            (r#"{"list":null,"a":"é\"}"}"#, r#"{"list":null,"a":"é\"}"}"#),
            ("{ \"b\" : [ 1 , { } ] ,\n \"a\" : [ 1 , \"x\" ] }", r#"{"a":[1,"x"]}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(copied(document).as_deref(), Some(copy), "{document}");
        }
    }

    #[test]
    fn says_where_the_strings_are_in_document_and_copy() {
        let document = r#"{"b":"one","a":["two",{"key":"three"}],"c":"with \" escape"}"#;
        let Excerpt { text, strings } = OUTLINE.excerpt(document).unwrap();
        let at = |text: &str, at: u32, length: u32| text[at as usize..(at + length) as usize].to_owned();
        let found: Vec<_> = strings
            .iter()
            .map(|StringAt { start, end, copied_to }| {
                let length = end - start;
                (at(document, *start, length), copied_to.map(|copy| at(&text, copy, length)))
            })
            .collect();
        let both = |word: &str| (word.to_owned(), Some(word.to_owned()));
        assert_eq!(found, [("one".to_owned(), None), both("two"), both("three")]);
    }

    #[test]
    fn what_is_no_json_gives_nothing() {
        for document in ["", "{", r#"{"a"#, r#"{"a":"#, r#"{"a":[1"#, r#"{"a":"\"#, r#"{"é"}"#] {
            assert_eq!(copied(document), None, "{document}");
        }
    }
}
