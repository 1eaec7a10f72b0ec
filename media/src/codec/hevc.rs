//! The body of an H.265 sequence header: HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 8.3.3.1).

use super::nal::{NalConfig, NalConfigError, NalSyntax, ParameterSets, RecordReader, length_bytes};

const PREFIX_SEI: u8 = 39;

/// Reads the record. VPS, SPS, PPS and prefix SEI are kept and put in this order, whatever order the record has.
pub fn parse_hvcc(record: &[u8]) -> Result<NalConfig, NalConfigError> {
    let mut reader = RecordReader(record);
    let version = reader.byte()?;
    // Records of version 0 were written before the format was final, with the same layout.
    if version > 1 {
        return Err(NalConfigError::Version(version));
    }
    reader.take(20)?;
    let length_bytes = length_bytes(reader.byte()?)?;
    let mut parameter_sets = ParameterSets::default();
    let array_count = reader.byte()?;
    for _ in 0..array_count {
        read_array(&mut reader, &mut parameter_sets)?;
    }
    let syntax = NalSyntax::H265;
    let mut parameter_sets = parameter_sets.sets;
    parameter_sets.sort_by_key(|set| syntax.type_of(set));
    Ok(NalConfig { syntax, length_bytes, parameter_sets })
}

fn read_array(reader: &mut RecordReader<'_>, sets: &mut ParameterSets) -> Result<(), NalConfigError> {
    let nal_type = reader.byte()? & 0x3F;
    let is_kept = nal_type == PREFIX_SEI || NalSyntax::H265.parameter_set_types().contains(&nal_type);
    let nal_count = reader.short()?;
    for _ in 0..nal_count {
        let nal = reader.sized()?;
        if is_kept {
            sets.push(nal)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(arrays: &[(u8, &[&[u8]])]) -> Vec<u8> {
        let mut record = vec![1];
        record.extend_from_slice(&[0; 20]);
        record.extend_from_slice(&[0x0F, arrays.len() as u8]);
        for (nal_type, nals) in arrays {
            record.extend_from_slice(&[0x80 | nal_type, 0, nals.len() as u8]);
            for nal in *nals {
                record.extend_from_slice(&[0, nal.len() as u8]);
                record.extend_from_slice(nal);
            }
        }
        record
    }

    #[test]
    fn parameter_sets_come_in_the_order_of_their_types() {
        let (vps, sps, pps, suffix): (&[u8], &[u8], &[u8], &[u8]) =
            (b"\x40\x01v", b"\x42\x01s", b"\x44\x01p", b"\x50\x01x");
        let config =
            parse_hvcc(&record(&[(34, &[pps]), (33, &[sps]), (40, &[suffix]), (32, &[vps])])).unwrap();
        assert_eq!(config.length_bytes, 4);
        assert_eq!(config.parameter_sets, [Box::from(vps), Box::from(sps), Box::from(pps)]);
    }

    #[test]
    fn bad_records_are_refused() {
        let whole = record(&[(32, &[b"\x40\x01v"])]);
        for end in 0..whole.len() {
            assert_eq!(parse_hvcc(&whole[..end]), Err(NalConfigError::Truncated), "{end}");
        }
        let mut future = whole;
        future[0] = 2;
        assert_eq!(parse_hvcc(&future), Err(NalConfigError::Version(2)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(record in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_hvcc(&record);
        }
    }
}
