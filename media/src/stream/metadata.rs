//! A publisher's onMetaData (FLV v10.1 E.5).

use bytes::Bytes;

use crate::{
    rtmp::amf0::{self, Properties, Value},
    stream::tracks::Tracks,
};

/// The most characters that are kept of an encoder's name.
pub const ENCODER_MAX_CHARS: usize = 64;

/// The announcements that the server itself uses; the payload goes to viewers as it came.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// A video codec is named.
    pub announces_video: bool,
    /// An audio codec is named.
    pub announces_audio: bool,
    /// Frame width in pixels, if it is given.
    pub width: Option<u32>,
    /// Frame height in pixels, if it is given.
    pub height: Option<u32>,
    /// Frames a second, if they are given.
    pub frame_rate: Option<u32>,
    /// The name of the program that sends it, cut to [`ENCODER_MAX_CHARS`] and without control characters.
    pub encoder: Option<Box<str>>,
}

impl Metadata {
    /// Reads the payload of a data message: a name, then an object. A payload that cannot be read announces nothing.
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
            frame_rate: object.get("framerate").and_then(Value::as_number).and_then(frame_rate),
            encoder: object.get("encoder").and_then(Value::as_str).and_then(encoder),
        }
    }
}

/// A frame rate is shown as it is announced, in whole frames.
fn frame_rate(announced: f64) -> Option<u32> {
    (0.5..=1000.0).contains(&announced).then(|| announced.round() as u32)
}

fn encoder(name: &str) -> Option<Box<str>> {
    let name: String = name.chars().filter(|char| !char.is_control()).take(ENCODER_MAX_CHARS).collect();
    (!name.trim().is_empty()).then(|| name.trim().into())
}

impl Metadata {
    /// The tracks that are announced.
    pub fn announced(&self) -> Tracks {
        Tracks { audio: self.announces_audio, video: self.announces_video }
    }
}

/// A data message without what it announces beyond `tracks`; `None` if it cannot be read. Players wait for what is
/// announced, whatever the file's header says.
pub fn announcing(payload: &[u8], tracks: Tracks) -> Option<Bytes> {
    let mut values = amf0::read_all(payload).ok()?;
    let (Value::Object(properties) | Value::EcmaArray(properties) | Value::TypedObject { properties, .. }) =
        values.get_mut(1)?
    else {
        return None;
    };
    if !tracks.video {
        withdraw(properties, "hasVideo", is_about_video);
    }
    if !tracks.audio {
        withdraw(properties, "hasAudio", is_about_audio);
    }
    let mut out = Vec::with_capacity(payload.len());
    amf0::write_all(&values, &mut out);
    Some(out.into())
}

fn withdraw(properties: &mut Properties, flag: &str, is_about: impl Fn(&str) -> bool) {
    properties.retain(|(name, _)| name == flag || !is_about(name));
    let flags = properties.iter_mut().filter(|(name, _)| name == flag);
    flags.for_each(|(_, value)| *value = Value::Boolean(false));
}

fn is_about_video(name: &str) -> bool {
    const OTHERS: [&str; 8] =
        ["width", "height", "displayWidth", "displayHeight", "framerate", "fps", "avcprofile", "avclevel"];
    name.starts_with("video") || OTHERS.contains(&name)
}

fn is_about_audio(name: &str) -> bool {
    name.starts_with("audio") || ["stereo", "aacaot"].contains(&name)
}

/// Returns whether a data message allows Flash to look into what it plays. It belongs to an RTMP session; FFmpeg may open
/// a stream for it.
pub fn is_sample_access(payload: &[u8]) -> bool {
    const SAMPLE_ACCESS: &[u8] = b"\x02\x00\x11|RtmpSampleAccess";
    payload.starts_with(SAMPLE_ACCESS)
}

/// Returns whether a data message is onMetaData.
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
    fn codecs_size_frame_rate_and_encoder_are_read() {
        let read = Metadata::parse(&payload(&[
            ("width", Value::Number(1280.0)),
            ("height", Value::Number(720.0)),
            ("framerate", Value::Number(29.97)),
            ("encoder", Value::String(" obs\n-studio ".into())),
            ("videocodecid", Value::Number(7.0)),
            ("audiocodecid", Value::String("mp4a".into())),
        ]));
        let expected = Metadata {
            announces_video: true,
            announces_audio: true,
            width: Some(1280),
            height: Some(720),
            frame_rate: Some(30),
            encoder: Some("obs-studio".into()),
        };
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

    fn names(payload: &[u8]) -> Vec<String> {
        let values = amf0::read_all(payload).unwrap();
        let Some(Value::EcmaArray(properties)) = values.into_iter().nth(1) else { panic!("no array") };
        properties.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn what_does_not_come_is_withdrawn_and_the_rest_stays() {
        let all = payload(&[
            ("duration", Value::Number(0.0)),
            ("width", Value::Number(1280.0)),
            ("videocodecid", Value::Number(7.0)),
            ("audiocodecid", Value::Number(10.0)),
            ("stereo", Value::Boolean(true)),
            ("hasVideo", Value::Boolean(true)),
            ("encoder", Value::text("e")),
        ]);
        let audio = announcing(&all, Tracks { audio: true, video: false }).unwrap();
        assert_eq!(names(&audio), ["duration", "audiocodecid", "stereo", "hasVideo", "encoder"]);
        assert_eq!(Metadata::parse(&audio).announced(), Tracks { audio: true, video: false });
        let video = announcing(&all, Tracks { audio: false, video: true }).unwrap();
        assert_eq!(names(&video), ["duration", "width", "videocodecid", "hasVideo", "encoder"]);
        assert_eq!(Metadata::parse(&video).announced(), Tracks { audio: false, video: true });
        assert_eq!(announcing(&all, Tracks::ALL).unwrap(), all);
        assert_eq!(announcing(b"\xFF", Tracks::ALL), None);
    }

    #[test]
    fn what_is_not_metadata_announces_nothing() {
        for payload in [&b""[..], b"\x02\x00\x0aonMetaData", b"\xFF\xFF", b"\x0A\xFF\xFF\xFF\xFF"] {
            assert_eq!(Metadata::parse(payload), Metadata::default());
        }
    }
}
