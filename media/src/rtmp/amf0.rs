//! AMF0 values (Action Message Format, AMF 0, December 2007), as commands and metadata carry them.
//!
//! Reading takes time and memory in proportion to the bytes: nesting is limited, and no count is believed beyond the
//! bytes that are there.

use bytes::{Buf, BufMut};
use thiserror::Error;

use super::cut_text;

/// The deepest nesting of objects and arrays that is read.
pub const MAX_DEPTH: usize = 16;

/// The longest name of a property and text of a short string, in bytes.
const SHORT_MAX_BYTES: usize = u16::MAX as usize;

mod marker {
    pub const NUMBER: u8 = 0x00;
    pub const BOOLEAN: u8 = 0x01;
    pub const STRING: u8 = 0x02;
    pub const OBJECT: u8 = 0x03;
    pub const NULL: u8 = 0x05;
    pub const UNDEFINED: u8 = 0x06;
    pub const REFERENCE: u8 = 0x07;
    pub const ECMA_ARRAY: u8 = 0x08;
    pub const OBJECT_END: u8 = 0x09;
    pub const STRICT_ARRAY: u8 = 0x0A;
    pub const DATE: u8 = 0x0B;
    pub const LONG_STRING: u8 = 0x0C;
    pub const UNSUPPORTED: u8 = 0x0D;
    pub const XML: u8 = 0x0F;
    pub const TYPED_OBJECT: u8 = 0x10;
}

/// Names and values in their order on the wire. Names may repeat.
pub type Properties = Vec<(String, Value)>;

/// One AMF0 value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number (section 2.2).
    Number(f64),
    /// A boolean (section 2.3).
    Boolean(bool),
    /// A string of either length (sections 2.4, 2.14). Bytes that are not UTF-8 have been replaced.
    String(String),
    /// An anonymous object (section 2.5).
    Object(Properties),
    /// A map that says how many entries it has, which is only a hint (section 2.10).
    EcmaArray(Properties),
    /// An array (section 2.12).
    StrictArray(Vec<Value>),
    /// Null (section 2.7).
    Null,
    /// Undefined (section 2.8).
    Undefined,
    /// The index of an object that came before (section 2.9).
    Reference(u16),
    /// A date (section 2.13): milliseconds since 1970 UTC, and a time zone that the specification reserves.
    Date {
        /// Milliseconds since 1970-01-01 UTC.
        unix_ms: f64,
        /// Reserved, normally 0.
        zone: i16,
    },
    /// A value that its writer could not express (section 2.15).
    Unsupported,
    /// An XML document (section 2.17).
    Xml(String),
    /// An object of a named class (section 2.18).
    TypedObject {
        /// The name of its class.
        class: String,
        /// Its properties.
        properties: Properties,
    },
}

/// The reason bytes are not AMF0 values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Amf0Error {
    /// The bytes end inside a value.
    #[error("the AMF0 value is cut off")]
    Truncated,
    /// A marker that starts no value, or that of AMF3, which is never agreed to.
    #[error("AMF0 has no value with the marker {0:#04x}")]
    Marker(u8),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the AMF0 value is nested deeper than {MAX_DEPTH}")]
    Depth,
    /// An array that claims more values than bytes are left.
    #[error("the AMF0 array claims {count} values in {left_bytes} bytes")]
    Count {
        /// Length in its header.
        count: u32,
        /// Bytes that are left.
        left_bytes: usize,
    },
}

impl Value {
    /// A string.
    pub fn text(text: impl Into<String>) -> Self {
        Value::String(text.into())
    }

    /// An object of `properties`.
    pub fn object<const N: usize>(properties: [(&str, Value); N]) -> Self {
        Value::Object(properties.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The first property of that name, if this is some kind of object and has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let (Value::Object(properties)
        | Value::EcmaArray(properties)
        | Value::TypedObject { properties, .. }) = self
        else {
            return None;
        };
        properties.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }
}

/// Reads one value and moves `input` behind it.
pub fn read(input: &mut &[u8]) -> Result<Value, Amf0Error> {
    read_value(input, 0)
}

/// Reads values until `input` ends.
pub fn read_all(mut input: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    let mut values = Vec::new();
    while !input.is_empty() {
        values.push(read(&mut input)?);
    }
    Ok(values)
}

/// Reads values up to the first that cannot be read, and returns them with the error if there is one.
///
/// Encoders leave bytes behind a command's last argument, or an object without its end. The values before that are
/// intact: an object that is cut off keeps the properties that were read.
pub fn read_readable(mut input: &[u8]) -> (Vec<Value>, Option<Amf0Error>) {
    let mut values = Vec::new();
    while !input.is_empty() {
        if let Err(error) = read_readable_value(&mut input, &mut values) {
            return (values, Some(error));
        }
    }
    (values, None)
}

fn read_readable_value(input: &mut &[u8], values: &mut Vec<Value>) -> Result<(), Amf0Error> {
    if input.first() != Some(&marker::OBJECT) {
        values.push(read(input)?);
        return Ok(());
    }
    input.advance(1);
    let mut properties = Vec::new();
    let outcome = read_properties_into(&mut properties, input, 0);
    values.push(Value::Object(properties));
    outcome
}

fn read_value(input: &mut &[u8], depth: usize) -> Result<Value, Amf0Error> {
    if depth > MAX_DEPTH {
        return Err(Amf0Error::Depth);
    }
    match input.try_get_u8().or_truncated()? {
        marker::NUMBER => Ok(Value::Number(input.try_get_f64().or_truncated()?)),
        marker::BOOLEAN => Ok(Value::Boolean(input.try_get_u8().or_truncated()? != 0)),
        marker::STRING => Ok(Value::String(read_short(input)?)),
        marker::OBJECT => Ok(Value::Object(read_properties(input, depth)?)),
        marker::NULL => Ok(Value::Null),
        marker::UNDEFINED => Ok(Value::Undefined),
        marker::REFERENCE => Ok(Value::Reference(input.try_get_u16().or_truncated()?)),
        marker::ECMA_ARRAY => read_ecma_array(input, depth),
        marker::STRICT_ARRAY => read_strict_array(input, depth),
        marker::DATE => read_date(input),
        marker::LONG_STRING => Ok(Value::String(read_long(input)?)),
        marker::UNSUPPORTED => Ok(Value::Unsupported),
        marker::XML => Ok(Value::Xml(read_long(input)?)),
        marker::TYPED_OBJECT => {
            let class = read_short(input)?;
            Ok(Value::TypedObject { class, properties: read_properties(input, depth)? })
        }
        other => Err(Amf0Error::Marker(other)),
    }
}

fn read_properties(input: &mut &[u8], depth: usize) -> Result<Properties, Amf0Error> {
    let mut properties = Vec::new();
    read_properties_into(&mut properties, input, depth)?;
    Ok(properties)
}

/// Appends properties up to the object's end. After an error, `properties` has those before it.
fn read_properties_into(
    properties: &mut Properties,
    input: &mut &[u8],
    depth: usize,
) -> Result<(), Amf0Error> {
    loop {
        let name = read_short(input)?;
        if name.is_empty() && input.first() == Some(&marker::OBJECT_END) {
            input.advance(1);
            return Ok(());
        }
        properties.push((name, read_value(input, depth + 1)?));
    }
}

fn read_ecma_array(input: &mut &[u8], depth: usize) -> Result<Value, Amf0Error> {
    // Encoders write 0 or a wrong count here; the end marker is what counts.
    input.try_get_u32().or_truncated()?;
    Ok(Value::EcmaArray(read_properties(input, depth)?))
}

fn read_strict_array(input: &mut &[u8], depth: usize) -> Result<Value, Amf0Error> {
    let count = input.try_get_u32().or_truncated()?;
    if count as usize > input.len() {
        return Err(Amf0Error::Count { count, left_bytes: input.len() });
    }
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(read_value(input, depth + 1)?);
    }
    Ok(Value::StrictArray(values))
}

fn read_date(input: &mut &[u8]) -> Result<Value, Amf0Error> {
    let unix_ms = input.try_get_f64().or_truncated()?;
    Ok(Value::Date { unix_ms, zone: input.try_get_i16().or_truncated()? })
}

fn read_short(input: &mut &[u8]) -> Result<String, Amf0Error> {
    let len = input.try_get_u16().or_truncated()?;
    read_text(input, len.into())
}

fn read_long(input: &mut &[u8]) -> Result<String, Amf0Error> {
    let len = input.try_get_u32().or_truncated()?;
    read_text(input, len as usize)
}

fn read_text(input: &mut &[u8], len: usize) -> Result<String, Amf0Error> {
    let (text, rest) = input.split_at_checked(len).ok_or(Amf0Error::Truncated)?;
    *input = rest;
    Ok(String::from_utf8_lossy(text).into_owned())
}

trait OrTruncated<T> {
    fn or_truncated(self) -> Result<T, Amf0Error>;
}

impl<T> OrTruncated<T> for Result<T, bytes::TryGetError> {
    fn or_truncated(self) -> Result<T, Amf0Error> {
        self.map_err(|_| Amf0Error::Truncated)
    }
}

/// Appends `value` to `out`. A string over 65,535 bytes becomes a long string; a longer name of a property is cut.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(boolean) => out.put_slice(&[marker::BOOLEAN, u8::from(*boolean)]),
        Value::String(text) if text.len() <= SHORT_MAX_BYTES => {
            out.put_u8(marker::STRING);
            write_short(text, out);
        }
        Value::String(text) => write_long(marker::LONG_STRING, text, out),
        Value::Object(properties) => {
            out.put_u8(marker::OBJECT);
            write_properties(properties, out);
        }
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(properties.len() as u32);
            write_properties(properties, out);
        }
        Value::StrictArray(values) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(values.len() as u32);
            write_all(values, out);
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::Reference(index) => {
            out.put_u8(marker::REFERENCE);
            out.put_u16(*index);
        }
        Value::Date { unix_ms, zone } => {
            out.put_u8(marker::DATE);
            out.put_f64(*unix_ms);
            out.put_i16(*zone);
        }
        Value::Unsupported => out.put_u8(marker::UNSUPPORTED),
        Value::Xml(text) => write_long(marker::XML, text, out),
        Value::TypedObject { class, properties } => {
            out.put_u8(marker::TYPED_OBJECT);
            write_short(class, out);
            write_properties(properties, out);
        }
    }
}

/// Appends all of `values` to `out`.
pub fn write_all(values: &[Value], out: &mut Vec<u8>) {
    for value in values {
        write(value, out);
    }
}

fn write_properties(properties: &Properties, out: &mut Vec<u8>) {
    for (name, value) in properties {
        write_short(name, out);
        write(value, out);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}

fn write_short(text: &str, out: &mut Vec<u8>) {
    let text = cut_text(text, SHORT_MAX_BYTES);
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}

fn write_long(marker: u8, text: &str, out: &mut Vec<u8>) {
    out.put_u8(marker);
    out.put_u32(text.len() as u32);
    out.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
