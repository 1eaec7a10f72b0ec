//! The key of a room's HLS segments, and playlists that carry it.
//!
//! Segments do not inherit their playlist's query (RFC 3986, section 5.2.2), and native players send no header of ours.
//! One key for all viewers of a room and five minutes keeps addresses of segments alike, so that caches work.

use super::{Action, Secret, SignedKey};
use crate::stream::room::RoomName;

/// How long one key is in use, in seconds.
pub const SEGMENT_KEY_STEP_S: u64 = 300;

/// How long a key that is handed out stays valid at least, in seconds.
const VALID_AT_LEAST_S: u64 = 600;

/// The time until which the key that is handed out now is valid.
pub fn segment_key_expiry(now_unix_s: u64) -> u64 {
    let at_least = now_unix_s.saturating_add(VALID_AT_LEAST_S);
    at_least.div_ceil(SEGMENT_KEY_STEP_S).saturating_mul(SEGMENT_KEY_STEP_S)
}

/// Signs the key for the segments of `room`.
pub fn segment_key(secret: &Secret, room: &RoomName, expires_unix_s: u64) -> SignedKey {
    SignedKey::make(secret, Action::Segment, room, expires_unix_s)
}

/// Returns `playlist` with `key` in the query of each address in it.
pub fn sign_playlist(playlist: &str, key: &SignedKey) -> String {
    let key = format!("key={key}");
    let mut signed = String::with_capacity(playlist.len() * 2);
    for line in playlist.split_inclusive('\n') {
        let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
        match text {
            "" => {}
            tag if tag.starts_with('#') => sign_attribute(tag, &key, &mut signed),
            address => sign_address(address, &key, &mut signed),
        }
        signed.push_str(end);
    }
    signed
}

/// Parts, preload hints and initialisation sections are named in an attribute.
fn sign_attribute(tag: &str, key: &str, signed: &mut String) {
    const ATTRIBUTE: &str = "URI=\"";
    let Some((before, (address, after))) =
        tag.split_once(ATTRIBUTE).and_then(|(before, rest)| Some((before, rest.split_once('"')?)))
    else {
        return signed.push_str(tag);
    };
    signed.push_str(before);
    signed.push_str(ATTRIBUTE);
    sign_address(address, key, signed);
    signed.push('"');
    signed.push_str(after);
}

fn sign_address(address: &str, key: &str, signed: &mut String) {
    signed.push_str(address);
    signed.push(if address.contains('?') { '&' } else { '?' });
    signed.push_str(key);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_001;

    fn key(now_unix_s: u64) -> SignedKey {
        let (secret, room) = (Secret::new(&[1; 32]).unwrap(), RoomName::new("r").unwrap());
        segment_key(&secret, &room, segment_key_expiry(now_unix_s))
    }

    #[test]
    fn a_key_is_the_same_for_five_minutes_and_valid_for_ten_more() {
        assert_eq!(segment_key_expiry(NOW), NOW - 1 + 900);
        assert_eq!(segment_key_expiry(NOW + 299), NOW - 1 + 900);
        assert_eq!(segment_key_expiry(NOW + 300), NOW - 1 + 1200);
        assert_eq!(key(NOW).to_string(), key(NOW + 299).to_string());
    }

    #[test]
    fn every_address_of_a_playlist_gets_the_key() {
        let key = key(NOW);
        let playlist = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2,\nr/seg-1.ts\n\
                        #EXT-X-PART:DURATION=1,URI=\"part-2.mp4?x=1\",INDEPENDENT=YES\n#EXT-X-ENDLIST\n";
        let signed = format!(
            "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4?key={key}\"\n#EXTINF:2,\nr/seg-1.ts?key={key}\n\
             #EXT-X-PART:DURATION=1,URI=\"part-2.mp4?x=1&key={key}\",INDEPENDENT=YES\n#EXT-X-ENDLIST\n"
        );
        assert_eq!(sign_playlist(playlist, &key), signed);
        assert_eq!(sign_playlist("", &key), "");
    }
}
