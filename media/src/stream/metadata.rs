//! What a publisher announces in onMetaData (FLV v10.1 E.5).

use crate::rtmp::amf0::{self, Value};

/// The announcements that the server itself uses; the payload goes to viewers as it came.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Metadata {
    /// A video codec is named.
    pub announces_video: bool,
    /// An audio codec is named.
    pub announces_audio: bool,
    /// Picture width in pixels, if it is given.
    pub width: Option<u32>,
    /// Picture height in pixels, if it is given.
    pub height: Option<u32>,
}

impl Metadata {
    /// Reads the payload of a data message: a name, then an object. What cannot be read announces nothing.
    pub fn parse(payload: &[u8]) -> Self {
        let values = amf0::read_all(payload).unwrap_or_default();
        let Some(object) = values.get(1) else {
            return Self::default();
        };
        let pixels = |name| object.get(name).and_then(Value::as_number).map(|n| n as u32).filter(|n| *n > 0);
        Self {
            announces_video: announces(object, "videocodecid", "hasVideo"),
            announces_audio: announces(object, "audiocodecid", "hasAudio"),
            width: pixels("width"),
            height: pixels("height"),
        }
    }
}

/// Whether a data message is onMetaData.
pub fn is_metadata(payload: &[u8]) -> bool {
    const ON_METADATA: &[u8] = b"\x02\x00\x0aonMetaData";
    payload.starts_with(ON_METADATA)
}

fn announces(object: &Value, codec_id: &str, flag: &str) -> bool {
    let named = match object.get(codec_id) {
        Some(Value::Number(id)) => *id != 0.0,
        Some(Value::String(name)) => !name.is_empty(),
        _ => false,
    };
    match object.get(flag) {
        Some(Value::Boolean(has)) => *has,
        _ => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(properties: &[(&str, Value)]) -> Vec<u8> {
        let object = properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let mut out = Vec::new();
        amf0::write(&Value::String("onMetaData".into()), &mut out);
        amf0::write(&Value::EcmaArray(object), &mut out);
        out
    }

    #[test]
    fn codecs_and_size_are_read() {
        let read = Metadata::parse(&payload(&[
            ("width", Value::Number(1280.0)),
            ("height", Value::Number(720.0)),
            ("videocodecid", Value::Number(7.0)),
            ("audiocodecid", Value::String("mp4a".into())),
        ]));
        let expected =
            Metadata { announces_video: true, announces_audio: true, width: Some(1280), height: Some(720) };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_track_that_is_absent_or_denied_is_not_announced() {
        let read = Metadata::parse(&payload(&[
            ("videocodecid", Value::Number(7.0)),
            ("hasVideo", Value::Boolean(false)),
            ("audiocodecid", Value::Number(0.0)),
        ]));
        assert_eq!(read, Metadata::default());
    }

    #[test]
    fn what_is_not_metadata_announces_nothing() {
        for payload in [&b""[..], b"\x02\x00\x0aonMetaData", b"\xFF\xFF", b"\x0A\xFF\xFF\xFF\xFF"] {
            assert_eq!(Metadata::parse(payload), Metadata::default());
        }
    }
}
