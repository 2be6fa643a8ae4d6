//! Deserialization from JSON objects only. serde's derived code also reads a struct from a list, field by field; the API server accepts no
//! list for an object, and a patch that adds to one would not apply.

/// Implements `Deserialize`, from an object only, for structs that derive it with `#[serde(remote = "Self")]`.
macro_rules! deserialize_objects_only {
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
                        // The derived function, not this one: a struct's own functions come before a trait's.
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(members))
                    }
                }

                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    )+};
}

pub(super) use deserialize_objects_only;
