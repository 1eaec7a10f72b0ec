//! Decodes AAC-LC. The only module that names Symphonia.

use symphonia_codec_aac::AacDecoder as Decoder;
use symphonia_core::{
    audio::{Channels, layouts::CHANNEL_LAYOUT_MONO, layouts::CHANNEL_LAYOUT_STEREO},
    codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_AAC},
    packet::PacketRef,
    units::{Duration, Timestamp},
};

use crate::{
    codec::{
        aac::{AacChannels, AacConfig},
        adts::AAC_FRAME_SAMPLES,
    },
    webrtc::audio::{no_audio::NoAudio, resampler::OUTPUT_RATE_HZ},
};

const OBJECT_TYPE_LC: u8 = 2;

/// The decoder of one stream.
pub struct AacDecoder {
    decoder: Decoder,
    /// Of the newest frame, one for each channel.
    samples: Vec<Vec<f32>>,
}

impl AacDecoder {
    /// Starts a decoder of the core that `config` describes. An extension (HE-AAC) is left out: its frames hold the core, with
    /// the lower half of the spectrum.
    pub fn new(config: &AacConfig) -> Result<Self, NoAudio> {
        let channels = layout(config).ok_or(NoAudio::UnsupportedAac)?;
        let mut parameters = AudioCodecParameters::new();
        let rate_hz = config.sample_rate_hz;
        parameters.for_codec(CODEC_ID_AAC).with_sample_rate(rate_hz).with_channels(channels);
        let decoder = Decoder::try_new(&parameters, &AudioDecoderOptions::default());
        let decoder = decoder.map_err(|error| NoAudio::Decoder(error.to_string()))?;
        Ok(Self { decoder, samples: Vec::new() })
    }

    /// Decodes a frame. Returns its samples, for each channel.
    pub fn decode(&mut self, frame: &[u8]) -> Result<&[Vec<f32>], NoAudio> {
        let duration = Duration::new(AAC_FRAME_SAMPLES.into());
        let packet = PacketRef::new(0, Timestamp::ZERO, duration, frame);
        let decoded =
            self.decoder.decode_ref(&packet).map_err(|error| NoAudio::Decoder(error.to_string()))?;
        decoded.copy_to_vecs_planar(&mut self.samples);
        Ok(&self.samples)
    }

    /// Forgets the frames before: those that follow are of another place in the stream.
    pub fn reset(&mut self) {
        self.decoder.reset();
    }
}

/// Returns how many channels there are, if the AAC is of those that are decoded.
pub fn channel_count(config: &AacConfig) -> Option<usize> {
    let is_supported = config.object_type == OBJECT_TYPE_LC
        && config.frame_samples == AAC_FRAME_SAMPLES
        && config.sample_rate_hz <= OUTPUT_RATE_HZ;
    match config.channels {
        AacChannels::Configuration(count @ 1..=2) if is_supported => Some(count.into()),
        _ => None,
    }
}

fn layout(config: &AacConfig) -> Option<Channels> {
    channel_count(config).map(|count| if count == 1 { CHANNEL_LAYOUT_MONO } else { CHANNEL_LAYOUT_STEREO })
}
