//! The notice that a viewer's connection is about to be closed because its node drains: a script tag that players without
//! knowledge of it ignore.

use std::time::Duration;

use crate::{
    flv,
    rtmp::amf0::{self, Value},
    stream::frame::Track,
};

/// The name of the script data.
pub const NAME: &str = "onMoving";

/// The property with the milliseconds until the server closes the connection.
pub const AFTER_MS: &str = "after_ms";

/// Returns the tag, for a connection that is closed after this long. Its time is 0, as FFmpeg takes script data of any other
/// time for a text track.
pub fn tag(after: Duration) -> Vec<u8> {
    let after_ms = Value::Number(after.as_millis() as f64);
    let values = [Value::text(NAME), Value::EcmaArray(vec![(AFTER_MS.to_owned(), after_ms)])];
    let (mut body, mut tag) = (Vec::new(), Vec::new());
    amf0::write_all(&values, &mut body);
    flv::put_tag(&mut tag, Track::Data, 0, &body);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_script_data_with_the_time_that_is_left() {
        let tag = tag(Duration::from_millis(2_500));
        let read: Vec<_> = flv::tags(&tag).collect();
        let [script] = &read[..] else { panic!("{read:?}") };
        assert_eq!((script.type_id, script.timestamp_ms), (Track::Data.type_id(), 0));
        let values = amf0::read_all(script.body).unwrap();
        assert_eq!(values[0].as_str(), Some(NAME));
        assert_eq!(values[1].get(AFTER_MS).and_then(Value::as_number), Some(2_500.0));
    }
}
