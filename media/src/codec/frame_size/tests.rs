use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn size(hex: &str) -> Option<(u32, u32)> {
    FrameSize::of_sequence_header(&bytes(hex)).map(|size| (size.width, size.height))
}

/// Of x264, at the sizes that the tests name.
const HIGH: &str = "170000000001640028ffe1001b67640028acd940780227e5c044000003000400000300c83c60c658010006
    68ebe3cb22c0fdf8f800";
const BASELINE: &str =
    "17000000000142c00dffe100186742c00dd901519e226c0440000003004000000c83c50a9201000568cb83cb20";
const HIGH_444: &str =
    "170000000001f4001effe1001b67f4001e919b281405ff1380880000030008000003019078b16cb001000668
    ebe3c44844fff8f800";
const INTERLACED_422: &str =
    "1700000000017a001effe10018677a001ebcd940b424d8088000000300800000190f8a14cb01000768fba3cb3002c0fef8f800";
/// Of x265, without its other arrays.
const HEVC: &str = "9068766331 01016000000090000000000078f000fcfdf8f800000f 02
    2000010018 40010c01ffff016000000300900000030000030078959809
    210001002d 420101016000000300900000030000030078a003c480110724996566924caf016808000003000800000300c84022";

#[test]
fn sizes_are_those_that_are_shown() {
    assert_eq!(size(HIGH), Some((1920, 1080)));
    assert_eq!(size(BASELINE), Some((322, 182)));
    assert_eq!(size(HIGH_444), Some((640, 360)));
    assert_eq!(size(INTERLACED_422), Some((720, 576)));
    assert_eq!(size(HEVC), Some((1922, 1082)));
}

#[test]
fn what_says_no_size_has_none() {
    assert_eq!(size(""), None);
    assert_eq!(size("1700000000"), None);
    assert_eq!(size("90 61763031 81000c00"), None, "AV1");
    assert_eq!(size("12"), None, "Sorenson");
    let header = bytes(HIGH);
    for end in 0..24 {
        assert_eq!(FrameSize::of_sequence_header(&header[..end]), None, "{end}");
    }
}

#[test]
fn a_cut_that_leaves_nothing_is_no_size() {
    let crop = || Crop([u32::MAX, 1, 0, 0]);
    assert_eq!(crop().apply(16, 16, 1, 1), None);
    assert_eq!(Crop([4, 4, 0, 0]).apply(16, 16, 2, 2), None);
    assert_eq!(Crop([0, 1, 0, 4]).apply(16, 16, 2, 2), FrameSize::new(14, 8));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_passed_over(
        front in prop_oneof![Just(bytes(HIGH)), Just(bytes(INTERLACED_422)), Just(bytes(HEVC))],
        kept in 0_usize..60,
        rest in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut body = front[..kept.min(front.len())].to_vec();
        body.extend(rest);
        let _ = FrameSize::of_sequence_header(&body);
    }
}
