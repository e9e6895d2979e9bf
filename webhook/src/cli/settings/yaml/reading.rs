//! Nodes as whatever serde makes of them.

use std::fmt::Display;
use std::slice;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::{Node, Value, YamlError};

impl Error for YamlError {
    fn custom<T: Display>(message: T) -> Self {
        Self::from(message.to_string())
    }
}

impl Node {
    fn is_null(&self) -> bool {
        matches!(&self.value, Value::Plain(text) if ["", "~", "null"].contains(&text.as_str()))
    }

    /// What stands here by itself, by the core schema (YAML 1.2.2, section 10.3.2) without its
    /// other spellings.
    fn read<'de, V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, YamlError> {
        match &self.value {
            Value::Plain(_) if self.is_null() => visitor.visit_unit(),
            Value::Plain(text) => match text.as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                text => match (text.parse(), text.parse()) {
                    (Ok(number), _) => visitor.visit_u64(number),
                    (_, Ok(number)) => visitor.visit_i64(number),
                    _ => visitor.visit_borrowed_str(text),
                },
            },
            Value::Quoted(text) => visitor.visit_borrowed_str(text),
            Value::List(nodes) => visitor.visit_seq(List(nodes.iter())),
            Value::Mapping(nodes) => visitor.visit_map(Mapping::of(nodes)),
        }
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = YamlError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.read(visitor).map_err(|error| error.at(self.place))
    }

    /// A text, also where it looks like something else: `reviewTimeout: 0`.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match self.text() {
            Some(text) if !self.is_null() => {
                let read = visitor.visit_borrowed_str(text);
                read.map_err(|error: YamlError| error.at(self.place))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        if self.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        visitor.visit_newtype_struct(self)
    }

    /// `name`, or `name: value`.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        let read = match &self.value {
            Value::Plain(text) | Value::Quoted(text) => {
                visitor.visit_enum(text.as_str().into_deserializer())
            }
            Value::Mapping(nodes) => {
                visitor.visit_enum(MapAccessDeserializer::new(Mapping::of(nodes)))
            }
            Value::List(_) => Err(YamlError::custom("expected a text")),
        };
        read.map_err(|error: YamlError| error.at(self.place))
    }

    /// Not a list, which serde's derive would take for the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        match &self.value {
            Value::List(_) => Err(YamlError::custom("expected a mapping").at(self.place)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map
    }
}

struct List<'de>(slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = YamlError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, YamlError> {
        self.0.next().map(|node| read(node, seed)).transpose()
    }
}

struct Mapping<'de> {
    nodes: slice::Iter<'de, (Node, Node)>,
    /// Of the key that was read last.
    value: Option<&'de Node>,
}

impl<'de> Mapping<'de> {
    fn of(nodes: &'de [(Node, Node)]) -> Self {
        Self {
            nodes: nodes.iter(),
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Mapping<'de> {
    type Error = YamlError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, YamlError> {
        let Some((key, value)) = self.nodes.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        read(key, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, YamlError> {
        let value = self.value.take();
        read(value.expect("a value must follow its key"), seed)
    }
}

/// What a seed says itself, after it has read a text for instance, is said of this node.
fn read<'de, S: DeserializeSeed<'de>>(node: &'de Node, seed: S) -> Result<S::Value, YamlError> {
    seed.deserialize(node).map_err(|error| error.at(node.place))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use rstest::rstest;
    use serde::Deserialize;
    use serde_json::Value as Json;

    use super::*;

    fn parsed<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
        let node = Node::parse(text).map_err(|error| error.to_string())?;
        T::deserialize(&node.expect("a node")).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case::scalars(
        "[a, 'b', \"c\\n\", 7, -7, '7', true, 'true', yes, ~, null]",
        r#"["a","b","c\n",7,-7,"7",true,"true","yes",null,null]"#
    )]
    #[case::blocks("# first\na:\n  - x\n  - y: z\n---", "")]
    #[case::nested(
        "a:\n  b: {c: [1, {d: e}]}\n  f:\n  - g\n  - |\n    two\n    lines\n",
        r#"{"a":{"b":{"c":[1,{"d":"e"}]},"f":["g","two\nlines\n"]}}"#
    )]
    #[case::json(r#"{"a": [1, "x", false], "b": {}}"#, r#"{"a":[1,"x",false],"b":{}}"#)]
    #[case::marked("%YAML 1.2\n---\na: b # why\n...\n", r#"{"a":"b"}"#)]
    fn documents(#[case] text: &str, #[case] expected: &str) {
        let json = parsed::<Json>(text).map(|json| json.to_string());
        if expected.is_empty() {
            assert!(json.is_err(), "{json:?}");
        } else {
            assert_eq!(json.as_deref(), Ok(expected));
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "`Debug` shows them")]
    struct Thing {
        name: Option<String>,
        count: Option<u8>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    #[expect(dead_code, reason = "`Debug` shows it")]
    enum Kind {
        Plain,
        Named(String),
    }

    #[test]
    fn types() {
        let thing = |text| format!("{:?}", parsed::<Thing>(text).expect("a thing"));
        assert_snapshot!(thing("name: 7\ncount: 7\nkind: plain"), @r#"Thing { name: Some("7"), count: Some(7), kind: Some(Plain) }"#);
        assert_snapshot!(thing("name: ''\ncount:\nkind:\n  named: true"), @r#"Thing { name: Some(""), count: None, kind: Some(Named("true")) }"#);
        assert_snapshot!(thing("{}"), @"Thing { name: None, count: None, kind: None }");
    }

    #[test]
    fn errors() {
        let mut all = String::new();
        for text in [
            "name: a\nnames: b",
            "name:\n  - a",
            "count: 256",
            "count: -1",
            "count: '1'",
            "kind: other",
            "kind:\n  named:\n    x: y",
            "kind: [plain]",
            "name: a\nname: b",
            "name: &x a\nkind: *x",
            "name: *x",
            "name: !!str 7",
            "name: a\n---\nname: b",
            "name: [",
            "name: 'a",
            "- name",
            "name: a: b",
        ] {
            let error = parsed::<Thing>(text).expect_err(text);
            all = format!("{all}{text:?}\n    {error}\n");
        }
        assert_snapshot!(all, @r#"
        "name: a\nnames: b"
            unknown field `names`, expected one of `name`, `count`, `kind` at line 2, column 1
        "name:\n  - a"
            invalid type: sequence, expected a string at line 2, column 3
        "count: 256"
            invalid value: integer `256`, expected u8 at line 1, column 8
        "count: -1"
            invalid value: integer `-1`, expected u8 at line 1, column 8
        "count: '1'"
            invalid type: string "1", expected u8 at line 1, column 8
        "kind: other"
            unknown variant `other`, expected `plain` or `named` at line 1, column 7
        "kind:\n  named:\n    x: y"
            invalid type: map, expected a string at line 3, column 5
        "kind: [plain]"
            expected a text at line 1, column 7
        "name: a\nname: b"
            `name` is there twice at line 2, column 1
        "name: &x a\nkind: *x"
            aliases cannot be used here at line 2, column 7
        "name: *x"
            while parsing node, found unknown anchor at line 1, column 7
        "name: !!str 7"
            tags cannot be used here at line 1, column 13
        "name: a\n---\nname: b"
            there is a second document at line 3, column 1
        "name: ["
            unclosed bracket '[' at line 1, column 7
        "name: 'a"
            unclosed quote at line 1, column 7
        "- name"
            expected a mapping at line 1, column 1
        "name: a: b"
            mapping values are not allowed in this context at line 1, column 8
        "#);
    }
}
