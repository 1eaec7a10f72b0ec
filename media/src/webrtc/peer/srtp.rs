//! Encryption of RTP and RTCP (RFC 3711; with AES-GCM, RFC 7714) under the keys of a DTLS handshake (RFC 5764).
//!
//! The library's own makes a packet of its own for each and keeps it until it is polled. This one encrypts into the buffer that is
//! handed to the kernel, with the library's ciphers.

use str0m::crypto::{
    AeadAes128Gcm, AeadAes128GcmCipher, AeadAes256Gcm, AeadAes256GcmCipher, Aes128CmSha1_80,
    Aes128CmSha1_80Cipher, CryptoProvider, dtls::SrtpProfile,
};

use super::{replay_window::ReplayWindow, srtp_keys::MasterKey};

/// The first of an RTCP packet, up to its sender's SSRC, which is not encrypted, in bytes.
const RTCP_HEAD_BYTES: usize = 8;

/// The size of an RTP head without extensions, in bytes.
const RTP_HEAD_BYTES: usize = 12;

const SRTCP_INDEX_BYTES: usize = 4;

/// The flag in front of the index of an SRTCP packet: it is encrypted (RFC 3711, section 3.4).
const ENCRYPTED: u32 = 1 << 31;

/// The most sources of RTCP that a viewer may have. Browsers use one or two.
const SOURCES_MAX: usize = 8;

/// The labels of key derivation (RFC 3711, section 4.3.2): key, authentication key, salt.
const RTP_LABELS: [u8; 3] = [0, 1, 2];
const RTCP_LABELS: [u8; 3] = [3, 4, 5];

/// The keys of one direction for one of RTP and RTCP.
enum Cipher {
    Aes128Cm {
        cipher: Box<dyn Aes128CmSha1_80Cipher>,
        hmac_key: [u8; 20],
        salt: [u8; 14],
        crypto: CryptoProvider,
    },
    Aes128Gcm {
        cipher: Box<dyn AeadAes128GcmCipher>,
        salt: [u8; 12],
    },
    Aes256Gcm {
        cipher: Box<dyn AeadAes256GcmCipher>,
        salt: [u8; 12],
    },
}

/// The encryption of what a peer sends.
pub(super) struct SrtpSender {
    rtp: Cipher,
    rtcp: Cipher,
    next_rtcp_index: u32,
}

/// The decryption of the RTCP that a peer receives. It receives no RTP.
pub(super) struct SrtcpReceiver {
    cipher: Cipher,
    /// The packets of each SSRC: every source counts its own (RFC 3711, section 3.2.3).
    seen: Vec<(u32, ReplayWindow)>,
}

impl Cipher {
    fn new(
        profile: SrtpProfile,
        key: &MasterKey<'_>,
        labels: [u8; 3],
        crypto: &CryptoProvider,
    ) -> Option<Self> {
        let [key_label, hmac_label, salt_label] = labels;
        let srtp = crypto.srtp_provider;
        Some(match profile {
            SrtpProfile::AES128_CM_SHA1_80 => Self::Aes128Cm {
                cipher: srtp.aes_128_cm_sha1_80().create_cipher(key.derive(srtp, key_label)?, true),
                hmac_key: key.derive(srtp, hmac_label)?,
                salt: key.derive(srtp, salt_label)?,
                crypto: crypto.clone(),
            },
            SrtpProfile::AEAD_AES_128_GCM => Self::Aes128Gcm {
                cipher: srtp.aead_aes_128_gcm().create_cipher(key.derive(srtp, key_label)?, true),
                salt: key.derive(srtp, salt_label)?,
            },
            SrtpProfile::AEAD_AES_256_GCM => Self::Aes256Gcm {
                cipher: srtp.aead_aes_256_gcm().create_cipher(key.derive(srtp, key_label)?, true),
                salt: key.derive(srtp, salt_label)?,
            },
            _ => return None,
        })
    }

    fn tag_bytes(&self) -> usize {
        match self {
            Self::Aes128Cm { .. } => Aes128CmSha1_80::HMAC_TAG_LEN,
            Self::Aes128Gcm { .. } => AeadAes128Gcm::TAG_LEN,
            Self::Aes256Gcm { .. } => AeadAes256Gcm::TAG_LEN,
        }
    }

    /// Encrypts `payload` behind the head that `packet` begins with, and appends the tag. `packet` has exactly that size.
    fn protect_rtp(
        &mut self,
        packet: &mut [u8],
        head_bytes: usize,
        payload: &[u8],
        id: PacketId,
    ) -> Option<()> {
        let PacketId { ssrc, index } = id;
        // The index counts packets, of which the packet has the lower 16 bits.
        let (rollovers, number) = ((index >> 16) as u32, index as u16);
        let tag_bytes = self.tag_bytes();
        let (head, rest) = packet.split_at_mut_checked(head_bytes)?;
        // The library's ciphers panic where there is no room.
        if head_bytes < RTP_HEAD_BYTES || rest.len() != payload.len() + tag_bytes {
            return None;
        }
        match self {
            Self::Aes128Gcm { cipher, salt } => {
                let iv = AeadAes128Gcm::rtp_iv(*salt, ssrc, rollovers, number);
                cipher.encrypt(&iv, head, payload, rest).ok()
            }
            Self::Aes256Gcm { cipher, salt } => {
                let iv = AeadAes256Gcm::rtp_iv(*salt, ssrc, rollovers, number);
                cipher.encrypt(&iv, head, payload, rest).ok()
            }
            Self::Aes128Cm { cipher, hmac_key, salt, crypto } => {
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, index);
                cipher.encrypt(&iv, payload, rest).ok()?;
                let (body, tag) = packet.split_at_mut_checked(head_bytes + payload.len())?;
                let hmac = crypto.sha1_hmac_provider.sha1_hmac(hmac_key, &[body, &rollovers.to_be_bytes()]);
                tag.copy_from_slice(hmac.get(..tag.len())?);
                Some(())
            }
        }
    }

    /// Encrypts a compound RTCP packet.
    fn protect_rtcp(&mut self, packet: &[u8], index: u32) -> Option<Vec<u8>> {
        let (head, body) = packet.split_at_checked(RTCP_HEAD_BYTES)?;
        let ssrc = ssrc_of(head)?;
        let tail = (index | ENCRYPTED).to_be_bytes();
        let mut sealed = packet.to_vec();
        sealed.resize(packet.len() + self.tag_bytes(), 0);
        let out = sealed.get_mut(RTCP_HEAD_BYTES..)?;
        match self {
            Self::Aes128Gcm { cipher, salt } => {
                let iv = AeadAes128Gcm::rtcp_iv(*salt, ssrc, index);
                cipher.encrypt(&iv, &[head, &tail].concat(), body, out).ok()?;
                sealed.extend_from_slice(&tail);
            }
            Self::Aes256Gcm { cipher, salt } => {
                let iv = AeadAes256Gcm::rtcp_iv(*salt, ssrc, index);
                cipher.encrypt(&iv, &[head, &tail].concat(), body, out).ok()?;
                sealed.extend_from_slice(&tail);
            }
            Self::Aes128Cm { cipher, hmac_key, salt, crypto } => {
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, index.into());
                cipher.encrypt(&iv, body, out).ok()?;
                sealed.truncate(packet.len());
                sealed.extend_from_slice(&tail);
                let hmac = crypto.sha1_hmac_provider.sha1_hmac(hmac_key, &[&sealed]);
                sealed.extend_from_slice(hmac.get(..Aes128CmSha1_80::HMAC_TAG_LEN)?);
            }
        }
        Some(sealed)
    }

    /// Decrypts a compound RTCP packet, and returns it with its index. `None` if it is not of the peer, or not encrypted.
    fn unprotect_rtcp(&mut self, sealed: &[u8]) -> Option<(Vec<u8>, u32)> {
        let ssrc = ssrc_of(sealed)?;
        let (front, hmac) = match self {
            Self::Aes128Cm { .. } => {
                sealed.split_at_checked(sealed.len().checked_sub(Aes128CmSha1_80::HMAC_TAG_LEN)?)?
            }
            _ => (sealed, &[][..]),
        };
        let (encrypted, tail) = front.split_last_chunk::<SRTCP_INDEX_BYTES>()?;
        let word = u32::from_be_bytes(*tail);
        let index = (word & ENCRYPTED != 0).then_some(word & !ENCRYPTED)?;
        let (head, body) = encrypted.split_at_checked(RTCP_HEAD_BYTES)?;
        let plain_bytes = body.len().checked_sub(if hmac.is_empty() { self.tag_bytes() } else { 0 })?;
        let mut packet = head.to_vec();
        packet.resize(RTCP_HEAD_BYTES + plain_bytes, 0);
        let out = packet.get_mut(RTCP_HEAD_BYTES..)?;
        match self {
            Self::Aes128Gcm { cipher, salt } => {
                let iv = AeadAes128Gcm::rtcp_iv(*salt, ssrc, index);
                cipher.decrypt(&iv, &[&[head, tail].concat()], body, out).ok()?;
            }
            Self::Aes256Gcm { cipher, salt } => {
                let iv = AeadAes256Gcm::rtcp_iv(*salt, ssrc, index);
                cipher.decrypt(&iv, &[&[head, tail].concat()], body, out).ok()?;
            }
            Self::Aes128Cm { cipher, hmac_key, salt, crypto } => {
                let sha1_hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
                let is_authentic = Aes128CmSha1_80::rtcp_verify(sha1_hmac, hmac_key, front, hmac);
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, index.into());
                is_authentic.then(|| cipher.decrypt(&iv, body, out).ok())??;
            }
        }
        Some((packet, index))
    }
}

/// The identity of an RTP packet, which no other under the same keys may have: encryption is broken by a second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacketId {
    pub ssrc: u32,
    /// The number of the packet, counted beyond 16 bits.
    pub index: u64,
}

impl SrtpSender {
    /// Starts with the keys of the sending direction. `None` for a profile that is not known.
    pub fn new(profile: SrtpProfile, key: &MasterKey<'_>, crypto: &CryptoProvider) -> Option<Self> {
        let rtp = Cipher::new(profile, key, RTP_LABELS, crypto)?;
        let rtcp = Cipher::new(profile, key, RTCP_LABELS, crypto)?;
        Some(Self { rtp, rtcp, next_rtcp_index: 0 })
    }

    /// Returns by how much a packet is longer than its head and payload, in bytes.
    pub fn overhead_bytes(&self) -> usize {
        self.rtp.tag_bytes()
    }

    /// Encrypts `payload` into `packet`, which begins with the head and has exactly the size of both and of
    /// [`overhead_bytes`](Self::overhead_bytes). Returns whether it did.
    pub fn protect(&mut self, packet: &mut [u8], head_bytes: usize, payload: &[u8], id: PacketId) -> bool {
        self.rtp.protect_rtp(packet, head_bytes, payload, id).is_some()
    }

    /// Encrypts a compound RTCP packet. `None` at the end of the keys' life, which is 2^31 packets away.
    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let index = self.next_rtcp_index;
        self.next_rtcp_index = index.checked_add(1).filter(|next| *next < ENCRYPTED)?;
        self.rtcp.protect_rtcp(packet, index)
    }
}

impl SrtcpReceiver {
    /// Starts with the keys of the receiving direction. `None` for a profile that is not known.
    pub fn new(profile: SrtpProfile, key: &MasterKey<'_>, crypto: &CryptoProvider) -> Option<Self> {
        let cipher = Cipher::new(profile, key, RTCP_LABELS, crypto)?;
        Some(Self { cipher, seen: Vec::new() })
    }

    /// Decrypts a compound RTCP packet. `None` if it is not the viewer's, came before, or is of one source too many.
    pub fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (packet, index) = self.cipher.unprotect_rtcp(sealed)?;
        self.window(ssrc_of(&packet)?)?.note(index).then_some(packet)
    }

    fn window(&mut self, ssrc: u32) -> Option<&mut ReplayWindow> {
        let at = match self.seen.iter().position(|(source, _)| *source == ssrc) {
            Some(at) => at,
            None if self.seen.len() < SOURCES_MAX => {
                self.seen.push((ssrc, ReplayWindow::default()));
                self.seen.len() - 1
            }
            None => return None,
        };
        self.seen.get_mut(at).map(|(_, window)| window)
    }
}

fn ssrc_of(rtcp: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*rtcp.get(4..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use str0m::crypto::from_feature_flags;

    use super::*;
    use crate::webrtc::peer::srtp_keys::SrtpKeys;

    const PROFILES: [SrtpProfile; 3] =
        [SrtpProfile::AES128_CM_SHA1_80, SrtpProfile::AEAD_AES_128_GCM, SrtpProfile::AEAD_AES_256_GCM];

    /// Both ends of one direction.
    fn pair(profile: SrtpProfile) -> (SrtpSender, SrtcpReceiver) {
        let material: Vec<u8> = (0..profile.keying_material_len() as u8).collect();
        let client = SrtpKeys { profile, material: material.clone(), is_client: true };
        let server = SrtpKeys { profile, material, is_client: false };
        let sender = SrtpSender::new(profile, &client.outgoing().unwrap(), &from_feature_flags()).unwrap();
        (sender, SrtcpReceiver::new(profile, &server.incoming().unwrap(), &from_feature_flags()).unwrap())
    }

    /// A sender report without blocks.
    fn report() -> Vec<u8> {
        let mut packet = vec![0x80, 200, 0, 6, 1, 2, 3, 4];
        packet.extend(0..20);
        packet
    }

    #[test]
    fn rtcp_comes_back_once_and_only_if_it_is_whole() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            for _ in 0..3 {
                let sealed = sender.protect_rtcp(&report()).unwrap();
                assert_ne!(sealed[RTCP_HEAD_BYTES..report().len()], report()[RTCP_HEAD_BYTES..]);
                for at in 0..sealed.len() {
                    let mut damaged = sealed.clone();
                    damaged[at] ^= 1;
                    assert_eq!(receiver.open(&damaged), None, "{profile:?}, byte {at}");
                    assert_eq!(receiver.open(&sealed[..at]), None, "{profile:?}, {at} bytes");
                }
                assert_eq!(receiver.open(&sealed), Some(report()), "{profile:?}");
                assert_eq!(receiver.open(&sealed), None, "a replay");
            }
        }
    }

    #[test]
    fn each_source_of_rtcp_counts_its_packets_itself() {
        for profile in PROFILES {
            let (mut audio, mut receiver) = pair(profile);
            let (mut video, _) = pair(profile);
            let video_report = [&report()[..7], &[9], &report()[8..]].concat();
            for _ in 0..3 {
                let sealed =
                    [audio.protect_rtcp(&report()).unwrap(), video.protect_rtcp(&video_report).unwrap()];
                assert_eq!(receiver.open(&sealed[0]), Some(report()), "{profile:?}");
                assert_eq!(receiver.open(&sealed[1]), Some(video_report.clone()), "{profile:?}");
                assert_eq!((receiver.open(&sealed[0]), receiver.open(&sealed[1])), (None, None));
            }
        }
    }

    #[test]
    fn sources_of_rtcp_are_bounded() {
        let (_, mut receiver) = pair(PROFILES[1]);
        for source in 0..SOURCES_MAX as u8 + 2 {
            let (mut sender, _) = pair(PROFILES[1]);
            let packet = [&report()[..7], &[source], &report()[8..]].concat();
            let opened = receiver.open(&sender.protect_rtcp(&packet).unwrap());
            assert_eq!(opened.is_some(), usize::from(source) < SOURCES_MAX, "source {source}");
        }
    }

    #[test]
    fn a_packet_of_another_size_or_profile_is_not_sealed() {
        let (mut sender, _) = pair(SrtpProfile::AEAD_AES_128_GCM);
        let id = PacketId { ssrc: 1, index: 1 };
        assert!(!sender.protect(&mut [0; 4], 12, b"payload", id));
        assert_eq!(sender.protect_rtcp(b"short"), None);
    }
}
