//! A client's commands: command messages (RTMP 1.0 section 7.2) as an enum.

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
        /// The client, as it calls itself. Empty if absent.
        flash_ver: String,
        /// The client's capabilities beyond RTMP, as a mask (E-RTMP v2). 0 if absent.
        caps_ex: u32,
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
        /// The stream name to publish.
        stream_name: String,
    },
    /// `FCUnpublish`: announces the end of a publish.
    FcUnpublish {
        /// To be answered.
        transaction: f64,
        /// The stream name that was published.
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
    /// `pause` (section 7.2.2.9), also as Flash sends it, `pauseRaw`.
    Pause {
        /// False to play on.
        is_pause: bool,
    },
    /// `seek` (section 7.2.2.8). Players wait for its answer, and throw away what comes before.
    Seek,
    /// `receiveAudio`, `receiveVideo` (sections 7.2.2.4 and 7.2.2.5): a live stream is sent as it is.
    Receive,
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

/// The reason a message is not a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// Longer than allowed.
    #[error("the command has {len_bytes} bytes, the limit is {limit_bytes}")]
    TooLong {
        /// The received value.
        len_bytes: usize,
        /// The limit.
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
    ///
    /// Values behind the first that cannot be read count as absent, and the error is returned beside the command: one
    /// encoder in a few leaves something behind the last argument.
    pub fn parse(
        type_id: u8,
        payload: &[u8],
        limit_bytes: usize,
    ) -> Result<(Self, Option<Amf0Error>), CommandError> {
        if payload.len() > limit_bytes {
            return Err(CommandError::TooLong { len_bytes: payload.len(), limit_bytes });
        }
        let values = match payload {
            [0, values @ ..] if type_id == msg_type_id::COMMAND_AMF3 => values,
            values => values,
        };
        let (values, unreadable) = amf0::read_readable(values);
        match (values.first().and_then(Value::as_str), unreadable) {
            (Some(name), unreadable) => Ok((Self::from_values(name, &values), unreadable)),
            (None, Some(error)) if values.is_empty() => Err(error.into()),
            (None, _) => Err(CommandError::NoName),
        }
    }

    /// The values are name, transaction, command object, then the command's own.
    fn from_values(name: &str, values: &[Value]) -> Self {
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let property = |key| text(values.get(2).and_then(|object| object.get(key)));
        let arguments = arguments(values);
        let stream_name = || text(arguments.first());
        match name {
            "connect" => Self::Connect {
                transaction,
                app: property("app"),
                tc_url: property("tcUrl"),
                flash_ver: property("flashVer"),
                // A number that is none of a mask's becomes the nearest one.
                caps_ex: values.get(2).and_then(|object| object.get("capsEx")?.as_number()).unwrap_or(0.0)
                    as u32,
            },
            "createStream" => Self::CreateStream { transaction },
            "releaseStream" => Self::ReleaseStream { transaction },
            "FCPublish" => Self::FcPublish { transaction, stream_name: stream_name() },
            "FCUnpublish" => Self::FcUnpublish { transaction, stream_name: stream_name() },
            "FCSubscribe" => Self::FcSubscribe { transaction },
            "publish" => {
                Self::Publish { transaction, stream_name: stream_name(), kind: text(arguments.get(1)) }
            }
            "play" => Self::Play { transaction, stream_name: stream_name() },
            "deleteStream" => Self::DeleteStream,
            "closeStream" => Self::CloseStream,
            "getStreamLength" => Self::GetStreamLength { transaction },
            "_checkbw" => Self::CheckBandwidth { transaction },
            "pause" | "pauseRaw" => {
                Self::Pause { is_pause: arguments.first().and_then(Value::as_bool).unwrap_or(true) }
            }
            "seek" => Self::Seek,
            "receiveAudio" | "receiveVideo" => Self::Receive,
            "_result" | "_error" | "onStatus" => Self::Answer,
            _ => Self::Other { name: name.to_owned(), transaction },
        }
    }
}

/// Returns the values behind the command object. Some encoders leave that out; an argument that comes in its place is a
/// string, a number or a boolean, which it never is.
fn arguments(values: &[Value]) -> &[Value] {
    let lacks_object = matches!(values.get(2), Some(Value::String(_) | Value::Number(_) | Value::Boolean(_)));
    values.get(if lacks_object { 2 } else { 3 }..).unwrap_or_default()
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
        let (command, unreadable) = parse_with(type_id, values, &[])?;
        assert_eq!(unreadable, None);
        Ok(command)
    }

    /// A command with some bytes behind its values.
    fn parse_with(
        type_id: u8,
        values: &[Value],
        behind: &[u8],
    ) -> Result<(Command, Option<Amf0Error>), CommandError> {
        let mut payload = if type_id == 17 { vec![0] } else { vec![] };
        amf0::write_all(values, &mut payload);
        payload.extend(behind);
        Command::parse(type_id, &payload, LIMIT_BYTES)
    }

    fn connect_command(app: &str, tc_url: &str) -> Command {
        Command::Connect {
            transaction: 1.0,
            app: app.into(),
            tc_url: tc_url.into(),
            flash_ver: String::new(),
            caps_ex: 0,
        }
    }

    fn publish(stream_name: &str) -> Command {
        Command::Publish { transaction: 5.0, stream_name: stream_name.into(), kind: "live".into() }
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
            let expected = connect_command("live", "t");
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
        let expected = connect_command("", "");
        assert_eq!(parse(20, &[Value::text("connect"), Value::Number(1.0), Value::Null]), Ok(expected));
    }

    #[test]
    fn bytes_behind_the_last_argument_change_nothing() {
        let values = ["publish", "room", "live"].map(Value::text);
        let [name, room, kind] = &values;
        let values = [name.clone(), Value::Number(5.0), Value::Null, room.clone(), kind.clone()];
        for behind in [&[0][..], &[0x11, 6, 3, b'x'], &[2, 0, 9, b'x'], &[3, 0, 1, b'a', 5], &[0xFF; 40]] {
            let (command, unreadable) = parse_with(20, &values, behind).unwrap();
            assert_eq!(command, publish("room"));
            assert!(unreadable.is_some());
        }
    }

    #[test]
    fn a_missing_command_object_changes_nothing() {
        let values = [Value::text("publish"), Value::Number(5.0), Value::text("room"), Value::text("live")];
        assert_eq!(parse(20, &values), Ok(publish("room")));
        let pause = [Value::text("pause"), Value::Number(0.0), Value::Boolean(false), Value::Number(1.0)];
        assert_eq!(parse(20, &pause), Ok(Command::Pause { is_pause: false }));
    }

    #[test]
    fn a_connect_whose_object_has_no_end_keeps_its_app() {
        let mut payload = Vec::new();
        let object = Value::object([("app", Value::text("live"))]);
        amf0::write_all(&[Value::text("connect"), Value::Number(1.0), object], &mut payload);
        payload.truncate(payload.len() - 3);
        let (command, unreadable) = Command::parse(20, &payload, LIMIT_BYTES).unwrap();
        assert_eq!(command, connect_command("live", ""));
        assert_eq!(unreadable, Some(Amf0Error::Truncated));
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert_eq!(parse(20, &[]), Err(CommandError::NoName));
        assert_eq!(parse(17, &[]), Err(CommandError::NoName));
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
