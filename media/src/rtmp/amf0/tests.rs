use super::*;
use proptest::prelude::*;

fn written(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>().prop_filter("NaN equals nothing", |n| !n.is_nan()).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        any::<String>().prop_map(Value::String),
        any::<String>().prop_map(Value::Xml),
        any::<u16>().prop_map(Value::Reference),
        any::<i16>().prop_map(|zone| Value::Date { unix_ms: 1.5, zone }),
        Just(Value::Null),
        Just(Value::Undefined),
        Just(Value::Unsupported),
    ];
    leaf.prop_recursive(8, 64, 6, |inner| {
        let properties = prop::collection::vec((any::<String>(), inner.clone()), 0..6);
        prop_oneof![
            properties.clone().prop_map(Value::Object),
            properties.clone().prop_map(Value::EcmaArray),
            (any::<String>(), properties)
                .prop_map(|(class, properties)| Value::TypedObject { class, properties }),
            prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(values in prop::collection::vec(any_value(), 0..4)) {
        let mut out = Vec::new();
        write_all(&values, &mut out);
        prop_assert_eq!(read_all(&out).unwrap(), values);
    }

    #[test]
    fn a_cut_value_is_an_error(value in any_value(), cut in 1_usize..32) {
        let out = written(&value);
        if cut < out.len() {
            prop_assert!(read_all(&out[..out.len() - cut]) != Ok(vec![value]));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(prop_oneof![0..=0x11_u8, any::<u8>()], 0..512)) {
        match (read_all(&bytes), read_readable(&bytes)) {
            (Ok(all), (readable, None)) => prop_assert_eq!(format!("{all:?}"), format!("{readable:?}")),
            (Err(error), (_, Some(same))) => prop_assert_eq!(error, same),
            (all, readable) => prop_assert!(false, "{all:?} but {readable:?}"),
        }
    }

    #[test]
    fn what_comes_before_unreadable_bytes_is_read(values in prop::collection::vec(any_value(), 0..4)) {
        let mut out = Vec::new();
        write_all(&values, &mut out);
        out.extend([0x11, 6, 3, b'x']);
        prop_assert_eq!(read_readable(&out), (values, Some(Amf0Error::Marker(0x11))));
    }
}

#[test]
fn an_array_is_not_believed_beyond_the_bytes_that_are_there() {
    let refused = read_all(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(refused, Err(Amf0Error::Count { count: u32::MAX, left_bytes: 0 }));
    assert_eq!(read_all(&[0x0C, 0xFF, 0xFF, 0xFF, 0xFF, b'x']), Err(Amf0Error::Truncated));
}

#[test]
fn nesting_is_refused_beyond_the_limit() {
    let nested = |depth| [[3, 0, 1, b'a'].repeat(depth), vec![5], [0, 0, 9].repeat(depth)].concat();
    assert!(read_all(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(read_all(&nested(MAX_DEPTH + 1)), Err(Amf0Error::Depth));
    assert_eq!(read_all(&nested(20_000)), Err(Amf0Error::Depth));
    assert_eq!(read_all(&[0x0A, 0, 0, 0, 1].repeat(20_000)), Err(Amf0Error::Depth));
}

#[test]
fn an_object_without_its_end_keeps_its_properties() {
    let expected = Value::object([("a", Value::Null), ("b", Value::Boolean(true))]);
    let whole = written(&expected);
    for cut_bytes in 1..=3 {
        let read = read_readable(&whole[..whole.len() - cut_bytes]);
        assert_eq!(read, (vec![expected.clone()], Some(Amf0Error::Truncated)));
    }
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let value = Value::object([("ok", Value::Boolean(true))]);
    assert_eq!(written(&value), [3, 0, 2, b'o', b'k', 1, 1, 0, 0, 9]);
    assert_eq!(written(&Value::Number(1.0)), [0, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(written(&Value::text("hi")), [2, 0, 2, b'h', b'i']);
    assert_eq!(written(&Value::StrictArray(vec![Value::Null])), [0x0A, 0, 0, 0, 1, 5]);
    assert_eq!(written(&Value::text("x".repeat(65_536)))[..5], [0x0C, 0, 1, 0, 0]);
}

#[test]
fn wrong_ecma_counts_and_bad_text_are_accepted() {
    let array = [8, 0, 0, 0, 99, 0, 1, b'w', 0, 0x40, 0x94, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let value = read(&mut &array[..]).unwrap();
    assert_eq!(value.get("w").and_then(Value::as_number), Some(1280.0));
    assert_eq!(value.get("h"), None);
    assert_eq!(read(&mut &[2, 0, 2, b'a', 0xFF][..]).unwrap().as_str(), Some("a\u{FFFD}"));
}
