//! What a client asks for: command messages (RTMP 1.0 section 7.2) as an enum.

use thiserror::Error;

use super::{
    amf0::{self, Amf0Error, Value},
    rtmp_crate::msg_type_id,
};

/// A command from a client. `transaction` is what an answer refers to; 0 asks for none.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `connect` (section 7.2.1.1).
    Connect {
        /// Normally 1.
        transaction: f64,
        /// The app as sent: perhaps with a query or slashes. Empty if absent.
        app: String,
        /// The URL that the client was given. Empty if absent.
        tc_url: String,
    },
    /// `createStream` (section 7.2.1.3).
    CreateStream {
        /// To be answered with a stream id.
        transaction: f64,
    },
    /// `releaseStream`: take the name from a dead publisher. Sent before every publish by some encoders.
    ReleaseStream {
        /// To be answered.
        transaction: f64,
    },
    /// `FCPublish`: announces a publish.
    FcPublish {
        /// To be answered.
        transaction: f64,
        /// What will be published.
        stream_name: String,
    },
    /// `FCUnpublish`: announces the end of a publish.
    FcUnpublish {
        /// To be answered.
        transaction: f64,
        /// What was published.
        stream_name: String,
    },
    /// `FCSubscribe`: announces a play.
    FcSubscribe {
        /// To be answered.
        transaction: f64,
    },
    /// `publish` (section 7.2.2.6).
    Publish {
        /// Answered by onStatus instead.
        transaction: f64,
        /// The stream name as sent, perhaps with a query.
        stream_name: String,
        /// `live`, `record` or `append`; empty if absent.
        kind: String,
    },
    /// `play` (section 7.2.2.1).
    Play {
        /// Answered by onStatus instead.
        transaction: f64,
        /// The stream name as sent, perhaps with a query.
        stream_name: String,
    },
    /// `deleteStream` (section 7.2.2.3).
    DeleteStream,
    /// `closeStream`: like deleteStream, but the stream may be used again.
    CloseStream,
    /// `getStreamLength`, in seconds; asked by players before a play.
    GetStreamLength {
        /// To be answered.
        transaction: f64,
    },
    /// `_checkbw`: a part of Flash's bandwidth check.
    CheckBandwidth {
        /// To be answered.
        transaction: f64,
    },
    /// `pause`, `seek`, `receiveAudio`, `receiveVideo` (section 7.2.2): a live stream has nothing to do for them.
    Playback,
    /// `_result`, `_error` or `onStatus`: an answer to nothing that was asked.
    Answer,
    /// Anything else.
    Other {
        /// Its name.
        name: String,
        /// To be answered, unless 0.
        transaction: f64,
    },
}

/// Why a message is not a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// Longer than allowed.
    #[error("the command has {len_bytes} bytes, the limit is {limit_bytes}")]
    TooLong {
        /// What came.
        len_bytes: usize,
        /// What is allowed.
        limit_bytes: usize,
    },
    /// Its values cannot be read.
    #[error("the command cannot be read: {0}")]
    Amf0(#[from] Amf0Error),
    /// Its first value is not a string.
    #[error("the command has no name")]
    NoName,
}

impl Command {
    /// Reads the payload of a message of type 20, or of type 17, whose AMF0 values follow a byte of 0.
    pub fn parse(type_id: u8, payload: &[u8], limit_bytes: usize) -> Result<Self, CommandError> {
        if payload.len() > limit_bytes {
            return Err(CommandError::TooLong { len_bytes: payload.len(), limit_bytes });
        }
        let values = match payload {
            [0, values @ ..] if type_id == msg_type_id::COMMAND_AMF3 => values,
            values => values,
        };
        Self::from_values(&amf0::read_all(values)?)
    }

    /// The values are name, transaction, command object, then the command's own.
    fn from_values(values: &[Value]) -> Result<Self, CommandError> {
        let name = values.first().and_then(Value::as_str).ok_or(CommandError::NoName)?;
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let property = |key| text(values.get(2).and_then(|object| object.get(key)));
        let stream_name = || text(values.get(3));
        Ok(match name {
            "connect" => Self::Connect { transaction, app: property("app"), tc_url: property("tcUrl") },
            "createStream" => Self::CreateStream { transaction },
            "releaseStream" => Self::ReleaseStream { transaction },
            "FCPublish" => Self::FcPublish { transaction, stream_name: stream_name() },
            "FCUnpublish" => Self::FcUnpublish { transaction, stream_name: stream_name() },
            "FCSubscribe" => Self::FcSubscribe { transaction },
            "publish" => Self::Publish { transaction, stream_name: stream_name(), kind: text(values.get(4)) },
            "play" => Self::Play { transaction, stream_name: stream_name() },
            "deleteStream" => Self::DeleteStream,
            "closeStream" => Self::CloseStream,
            "getStreamLength" => Self::GetStreamLength { transaction },
            "_checkbw" => Self::CheckBandwidth { transaction },
            "pause" | "pauseRaw" | "seek" | "receiveAudio" | "receiveVideo" => Self::Playback,
            "_result" | "_error" | "onStatus" => Self::Answer,
            _ => Self::Other { name: name.to_owned(), transaction },
        })
    }
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT_BYTES: usize = 64 * 1024;

    fn parse(type_id: u8, values: &[Value]) -> Result<Command, CommandError> {
        let mut payload = if type_id == 17 { vec![0] } else { vec![] };
        amf0::write_all(values, &mut payload);
        Command::parse(type_id, &payload, LIMIT_BYTES)
    }

    #[test]
    fn commands_are_read_in_both_envelopes() {
        let connect = [
            Value::text("connect"),
            Value::Number(1.0),
            Value::object([
                ("app", Value::text("live")),
                ("swfUrl", Value::Undefined),
                ("tcUrl", Value::text("t")),
            ]),
        ];
        let publish = [
            Value::text("publish"),
            Value::Number(5.0),
            Value::Null,
            Value::text("room"),
            Value::text("live"),
        ];
        for type_id in [17, 20] {
            let expected = Command::Connect { transaction: 1.0, app: "live".into(), tc_url: "t".into() };
            assert_eq!(parse(type_id, &connect), Ok(expected));
            let expected =
                Command::Publish { transaction: 5.0, stream_name: "room".into(), kind: "live".into() };
            assert_eq!(parse(type_id, &publish), Ok(expected));
        }
    }

    #[test]
    fn what_is_missing_is_empty() {
        let expected = Command::Publish { transaction: 0.0, stream_name: "".into(), kind: "".into() };
        assert_eq!(parse(20, &[Value::text("publish")]), Ok(expected));
        let expected = Command::Connect { transaction: 1.0, app: "".into(), tc_url: "".into() };
        assert_eq!(parse(20, &[Value::text("connect"), Value::Number(1.0), Value::Null]), Ok(expected));
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert_eq!(parse(20, &[]), Err(CommandError::NoName));
        assert_eq!(parse(20, &[Value::Number(1.0)]), Err(CommandError::NoName));
        assert!(matches!(
            Command::parse(20, &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF], 64),
            Err(CommandError::Amf0(_))
        ));
        let long = Command::parse(20, &[5; 65], 64);
        assert_eq!(long, Err(CommandError::TooLong { len_bytes: 65, limit_bytes: 64 }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512), name in "(connect|play)?") {
            let mut payload = Vec::new();
            amf0::write(&Value::text(name), &mut payload);
            payload.extend(&bytes);
            let _ = Command::parse(17, &bytes, LIMIT_BYTES);
            let _ = Command::parse(20, &payload, LIMIT_BYTES);
        }
    }
}
