//! The keys that a DTLS handshake leaves for SRTP (RFC 5764, section 4.2), and those derived from them.

use str0m::crypto::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_80, SrtpProvider, dtls::SrtpProfile};

const BLOCK_BYTES: usize = 16;

/// The byte of the salt that the label is added to (RFC 3711, section 4.3.1).
const LABEL_AT: usize = 7;

/// The outcome of a handshake.
pub(super) struct SrtpKeys {
    pub profile: SrtpProfile,
    /// Keys of the client and the server, then their salts.
    pub material: Vec<u8>,
    /// The peer was the client of the handshake.
    pub is_client: bool,
}

/// The master key and salt of one direction.
pub(super) struct MasterKey<'a> {
    key: &'a [u8],
    salt: &'a [u8],
}

impl SrtpKeys {
    /// Returns the key of what the peer sends.
    pub fn outgoing(&self) -> Option<MasterKey<'_>> {
        self.direction(self.is_client)
    }

    /// Returns the key of what the peer receives.
    pub fn incoming(&self) -> Option<MasterKey<'_>> {
        self.direction(!self.is_client)
    }

    fn direction(&self, of_client: bool) -> Option<MasterKey<'_>> {
        let (key_bytes, salt_bytes) = match self.profile {
            SrtpProfile::AES128_CM_SHA1_80 => (Aes128CmSha1_80::KEY_LEN, Aes128CmSha1_80::SALT_LEN),
            SrtpProfile::AEAD_AES_128_GCM => (AeadAes128Gcm::KEY_LEN, AeadAes128Gcm::SALT_LEN),
            SrtpProfile::AEAD_AES_256_GCM => (AeadAes256Gcm::KEY_LEN, AeadAes256Gcm::SALT_LEN),
            _ => return None,
        };
        let (keys, salts) = self.material.split_at_checked(2 * key_bytes)?;
        let of =
            |both: &'_ [u8], size: usize| if of_client { 0..size } else { size..both.len().min(2 * size) };
        Some(MasterKey { key: keys.get(of(keys, key_bytes))?, salt: salts.get(of(salts, salt_bytes))? })
    }
}

impl MasterKey<'_> {
    /// Derives a session key or salt (RFC 3711, section 4.3.3): counter mode, over the salt with the label.
    pub fn derive<const N: usize>(&self, crypto: &dyn SrtpProvider, label: u8) -> Option<[u8; N]> {
        let mut counter = [0; BLOCK_BYTES];
        counter.get_mut(..self.salt.len())?.copy_from_slice(self.salt);
        counter[LABEL_AT] ^= label;
        let mut derived = [0; N];
        for (round, out) in derived.chunks_mut(BLOCK_BYTES).enumerate() {
            let [.., high, low] = &mut counter;
            [*high, *low] = (round as u16).to_be_bytes();
            // The library wants room for a block of padding.
            let mut block = [0; 2 * BLOCK_BYTES];
            match self.key.len() {
                16 => crypto.srtp_aes_128_ecb_round(self.key, &counter, &mut block),
                _ => crypto.srtp_aes_256_ecb_round(self.key, &counter, &mut block),
            }
            out.copy_from_slice(block.get(..out.len())?);
        }
        Some(derived)
    }
}

#[cfg(test)]
mod tests {
    use str0m::crypto::from_feature_flags;

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }

    /// RFC 3711, appendix B.3.
    #[test]
    fn the_examples_of_the_specification_are_derived() {
        let key = hex::<16>("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt = hex::<14>("0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey { key: &key, salt: &salt };
        let srtp = from_feature_flags().srtp_provider;
        assert_eq!(master.derive(srtp, 0), Some(hex::<16>("C61E7A93744F39EE10734AFE3FF7A087")));
        assert_eq!(master.derive(srtp, 2), Some(hex::<14>("30CBBC08863D8C85D49DB34A9AE1")));
        assert_eq!(master.derive(srtp, 1), Some(hex::<20>("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")));
    }

    #[test]
    fn each_direction_has_the_part_of_its_sender() {
        let material: Vec<u8> = (0..56).collect();
        let keys = SrtpKeys { profile: SrtpProfile::AEAD_AES_128_GCM, material, is_client: false };
        let (outgoing, incoming) = (keys.outgoing().unwrap(), keys.incoming().unwrap());
        assert_eq!((incoming.key[0], incoming.salt[0], incoming.salt.len()), (0, 32, 12));
        assert_eq!((outgoing.key[0], outgoing.salt[0], outgoing.salt.len()), (16, 44, 12));
        assert!(SrtpKeys { material: vec![0; 40], ..keys }.outgoing().is_none());
    }
}
