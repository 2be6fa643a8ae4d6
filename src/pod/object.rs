//! JSON objects, and nothing else. What serde derives for a struct also reads a list, field by field; the API server takes no
//! list for an object, and a patch that adds to one would not apply.

/// Implements `Deserialize` for structs that derive it with `#[serde(remote = "Self")]`: from an object only.
macro_rules! objects {
    ($($name:ident),+ $(,)?) => {$(
        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;

                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                        // The function that is derived, not this one: a struct's own come before a trait's.
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(members))
                    }
                }

                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    )+};
}

pub(super) use objects;
