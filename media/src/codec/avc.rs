//! The body of an H.264 sequence header: AVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 5.3.3.1).

use super::nal::{NalConfig, NalConfigError, NalSyntax, ParameterSets, RecordReader, length_bytes};

/// Reads the record. The extension that High profiles put behind the parameter sets is not needed and passed over.
///
/// A record without parameter sets is valid: the publisher then sends them in band.
pub fn parse_avcc(record: &[u8]) -> Result<NalConfig, NalConfigError> {
    let mut reader = RecordReader(record);
    let version = reader.byte()?;
    if version != 1 {
        return Err(NalConfigError::Version(version));
    }
    reader.take(3)?;
    let length_bytes = length_bytes(reader.byte()?)?;
    let mut parameter_sets = ParameterSets::default();
    let sequence_set_count = reader.byte()? & 0x1F;
    for _ in 0..sequence_set_count {
        parameter_sets.push(reader.sized()?)?;
    }
    let picture_set_count = reader.byte()?;
    for _ in 0..picture_set_count {
        parameter_sets.push(reader.sized()?)?;
    }
    Ok(NalConfig { syntax: NalSyntax::H264, length_bytes, parameter_sets: parameter_sets.sets })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: &[u8] =
        b"\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x1F\x01\x00\x03\x68\xEB\xE3\xFD\xF8\xF8\x00";

    #[test]
    fn a_record_of_x264_is_read() {
        let config = parse_avcc(RECORD).unwrap();
        assert_eq!(config.length_bytes, 4);
        assert_eq!(
            config.parameter_sets,
            [Box::from(&b"\x67\x64\x00\x1F"[..]), Box::from(&b"\x68\xEB\xE3"[..])]
        );
    }

    #[test]
    fn a_record_without_parameter_sets_is_valid() {
        let config = parse_avcc(b"\x01\x64\x00\x1F\xFD\xE0\x00").unwrap();
        assert_eq!((config.length_bytes, config.parameter_sets.len()), (2, 0));
    }

    #[test]
    fn bad_records_are_refused() {
        assert_eq!(parse_avcc(b"\x00\x64\x00\x1F\xFF\xE0\x00"), Err(NalConfigError::Version(0)));
        assert_eq!(parse_avcc(b"\x01\x64\x00\x1F\xFE\xE0\x00"), Err(NalConfigError::LengthSize));
        for end in 0..18 {
            assert_eq!(parse_avcc(&RECORD[..end]), Err(NalConfigError::Truncated), "{end}");
        }
    }

    #[test]
    fn parameter_sets_are_bounded() {
        let mut record = b"\x01\x64\x00\x1F\xFF\xE2".to_vec();
        for _ in 0..2 {
            record.extend_from_slice(&[0x90, 0x00]);
            record.resize(record.len() + 0x9000, 0x67);
        }
        assert_eq!(parse_avcc(&record), Err(NalConfigError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(record in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_avcc(&record);
        }
    }
}
