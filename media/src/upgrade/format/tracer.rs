//! A reader without input: it gives each type a value of the kind that the type asks for, and notes the kind.

use std::collections::{BTreeMap, BTreeSet};

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
        VariantAccess, Visitor,
        value::{Error, U32Deserializer},
    },
};

/// The types that were read.
#[derive(Debug, Default)]
pub(super) struct Types {
    structures: BTreeSet<String>,
    /// By name and variants: enums of different modules may have one name.
    enums: BTreeMap<(&'static str, &'static [&'static str]), Variants>,
}

#[derive(Debug)]
struct Variants {
    /// The text of each type, once it was read.
    written: Vec<Option<String>>,
    /// The one that comes next: they take turns.
    next: usize,
}

impl Types {
    /// Reads a type once.
    pub fn trace<T: DeserializeOwned>(&mut self) -> Result<(), Error> {
        T::deserialize(Tracer { types: self, text: &mut String::new() }).map(drop)
    }

    /// Returns whether all variants of all enums were read. Their contents are read with them, and nothing is left then.
    pub fn is_complete(&self) -> bool {
        self.enums.values().all(|variants| variants.written.iter().all(Option::is_some))
    }

    /// Returns all types, in their order.
    pub fn lines(self) -> Result<Vec<String>, String> {
        let enums = self.enums.into_iter().map(|((name, names), variants)| {
            let missing = || format!("{name}: not all of {names:?} were met");
            let written: Option<Vec<String>> = variants.written.into_iter().collect();
            Ok(format!("enum {name} {{ {} }}", written.ok_or_else(missing)?.join(", ")))
        });
        self.structures.into_iter().map(Ok).chain(enums).collect()
    }

    /// The variant of an enum that comes next.
    fn next_variant(&mut self, name: &'static str, names: &'static [&'static str]) -> usize {
        let new = || Variants { written: vec![None; names.len()], next: 0 };
        let variants = self.enums.entry((name, names)).or_insert_with(new);
        let next = variants.next;
        variants.next = (next + 1) % names.len().max(1);
        next
    }
}

/// Reads one value, and writes the name of its type.
struct Tracer<'t> {
    types: &'t mut Types,
    text: &'t mut String,
}

/// Values that need no names: elements, and the fields of a structure.
struct Elements<'t> {
    types: &'t mut Types,
    left: usize,
    texts: &'t mut Vec<String>,
}

/// A variant of an enum.
struct Variant<'t> {
    types: &'t mut Types,
    index: usize,
    name: &'static str,
    text: &'t mut String,
}

/// Fields with their names.
fn fields(names: &[&str], texts: &[String]) -> String {
    let fields: Vec<String> = names.iter().zip(texts).map(|(name, text)| format!("{name}: {text}")).collect();
    format!("{{ {} }}", fields.join(", "))
}

/// The value of all numbers: one, which is valid wherever zero is not.
macro_rules! plain {
    ($($method:ident $visit:ident $value:expr, $text:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            $text.clone_into(self.text);
            visitor.$visit($value)
        })*
    };
}

impl<'t> Tracer<'t> {
    fn elements<'de, V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<(V::Value, Vec<String>, Self), Error> {
        let mut texts = Vec::new();
        let value =
            visitor.visit_seq(Elements { types: &mut *self.types, left: count, texts: &mut texts })?;
        Ok((value, texts, self))
    }
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Error;

    plain! {
        deserialize_bool visit_bool true, "bool";
        deserialize_i8 visit_i8 1, "i8";
        deserialize_i16 visit_i16 1, "i16";
        deserialize_i32 visit_i32 1, "i32";
        deserialize_i64 visit_i64 1, "i64";
        deserialize_u8 visit_u8 1, "u8";
        deserialize_u16 visit_u16 1, "u16";
        deserialize_u32 visit_u32 1, "u32";
        deserialize_u64 visit_u64 1, "u64";
        deserialize_f32 visit_f32 1.0, "f32";
        deserialize_f64 visit_f64 1.0, "f64";
        deserialize_char visit_char 'c', "char";
        deserialize_str visit_str "text", "string";
        deserialize_string visit_str "text", "string";
        deserialize_bytes visit_bytes b"bytes", "bytes";
        deserialize_byte_buf visit_bytes b"bytes", "bytes";
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a type that does not know its format"))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut text = String::new();
        let value = visitor.visit_some(Tracer { types: &mut *self.types, text: &mut text })?;
        *self.text = format!("Option<{text}>");
        Ok(value)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        "()".clone_into(self.text);
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        name.clone_into(self.text);
        self.types.structures.insert(name.to_owned());
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut text = String::new();
        let value = visitor.visit_newtype_struct(Tracer { types: &mut *self.types, text: &mut text })?;
        self.types.structures.insert(format!("{name}({text})"));
        name.clone_into(self.text);
        Ok(value)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let (value, texts, tracer) = self.elements(1, visitor)?;
        *tracer.text = format!("[{}]", texts.join(", "));
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Error> {
        let (value, texts, tracer) = self.elements(count, visitor)?;
        *tracer.text = format!("({})", texts.join(", "));
        Ok(value)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (value, texts, tracer) = self.elements(count, visitor)?;
        tracer.types.structures.insert(format!("{name}({})", texts.join(", ")));
        name.clone_into(tracer.text);
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (value, texts, tracer) = self.elements(names.len(), visitor)?;
        tracer.types.structures.insert(format!("{name} {}", fields(names, &texts)));
        name.clone_into(tracer.text);
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut texts = Vec::new();
        let value = visitor.visit_map(Elements { types: &mut *self.types, left: 2, texts: &mut texts })?;
        *self.text = format!("{{{}}}", texts.join(": "));
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let index = self.types.next_variant(name, names);
        let variant = names.get(index).copied().ok_or_else(|| Error::custom("an enum without variants"))?;
        let mut text = String::new();
        let value =
            visitor.visit_enum(Variant { types: &mut *self.types, index, name: variant, text: &mut text })?;
        let variants = self.types.enums.get_mut(&(name, names));
        if let Some(written) = variants.and_then(|variants| variants.written.get_mut(index)) {
            *written = Some(text);
        }
        name.clone_into(self.text);
        Ok(value)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl Elements<'_> {
    fn next<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let mut text = String::new();
        let value = seed.deserialize(Tracer { types: &mut *self.types, text: &mut text })?;
        self.texts.push(text);
        Ok(Some(value))
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next(seed)
    }
}

impl<'de> MapAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.next(seed)?.ok_or_else(|| Error::custom("a key without a value"))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let index = u32::try_from(self.index).map_err(Error::custom)?;
        let index: U32Deserializer<Error> = index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.name.clone_into(self.text);
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        let mut text = String::new();
        let value = seed.deserialize(Tracer { types: &mut *self.types, text: &mut text })?;
        *self.text = format!("{}({text})", self.name);
        Ok(value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Error> {
        let mut texts = Vec::new();
        let value =
            visitor.visit_seq(Elements { types: &mut *self.types, left: count, texts: &mut texts })?;
        *self.text = format!("{}({})", self.name, texts.join(", "));
        Ok(value)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut texts = Vec::new();
        let value =
            visitor.visit_seq(Elements { types: &mut *self.types, left: names.len(), texts: &mut texts })?;
        *self.text = format!("{} {}", self.name, fields(names, &texts));
        Ok(value)
    }
}
