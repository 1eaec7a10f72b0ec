//! Boxes (ISO/IEC 14496-12, section 4.2).

/// Appends a box: its size, its type and what `content` appends.
pub(super) fn put_box(out: &mut Vec<u8>, kind: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    content(out);
    let size_bytes = out.len() - at;
    patch(out, at, size_bytes as u32);
}

/// Appends a box with a version and flags, of which 24 bits are written.
pub(super) fn put_full_box(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    content: impl FnOnce(&mut Vec<u8>),
) {
    put_box(out, kind, |out| {
        out.extend_from_slice(&(u32::from(version) << 24 | flags & 0x00FF_FFFF).to_be_bytes());
        content(out);
    });
}

/// Overwrites four bytes that were written before.
pub(super) fn patch(out: &mut [u8], at: usize, value: u32) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Appends a number of two bytes.
pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a number of four bytes.
pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends zeros.
pub(super) fn put_zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, 0);
}
