//! Brings samples to 48 kHz: a polyphase filter (a windowed sinc) for each ratio, in exact steps.

use std::f64::consts::PI;

/// The rate of all output, in Hz.
pub const OUTPUT_RATE_HZ: u32 = 48_000;

/// The most phases: those of 11,025 Hz, the oddest of AAC's rates. Other rates would need a table each of any size.
const PHASES_MAX: u32 = 640;

/// Sums that are formed side by side, so that the compiler uses vectors.
const LANES: usize = 8;

/// A windowed sinc.
#[derive(Debug, Clone, Copy)]
struct Filter {
    /// Input samples that an output sample is made of. A multiple of [`LANES`].
    taps: usize,
    /// The middle of the transition, in cycles per input sample.
    cutoff: f64,
    /// Of Kaiser's window.
    beta: f64,
}

impl Filter {
    /// For 44.1 kHz. It passes up to 19.5 kHz, and images above 24.6 kHz are 60 dB down. Images between the two are above the
    /// 20 kHz that Opus carries.
    const OF_44100: Self = Self { taps: 32, cutoff: 0.5, beta: 5.65 };

    /// For all other rates, whose images Opus would carry. It passes up to 0.43 of the rate, and images above
    /// 0.5 of it are 80 dB down.
    const OF_OTHERS: Self = Self { taps: 64, cutoff: 0.465, beta: 7.86 };

    fn of(rate_hz: u32) -> Self {
        if rate_hz == 44_100 { Self::OF_44100 } else { Self::OF_OTHERS }
    }

    /// Input samples of those before the time of the output.
    fn taps_before(self) -> usize {
        self.taps / 2 - 1
    }

    /// Returns the weights of a phase. They sum up to 1, so that no phase is louder than the others.
    fn weights(self, phase: usize, phases: usize) -> impl Iterator<Item = f32> {
        let between = phase as f64 / phases as f64;
        let weight = |tap: usize| {
            let distance = tap as f64 - self.taps_before() as f64 - between;
            sinc(2.0 * self.cutoff * distance) * kaiser(distance / (self.taps as f64 / 2.0), self.beta)
        };
        let weights: Vec<f64> = (0..self.taps).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(move |weight| (weight / sum) as f32)
    }
}

/// The resampler of one stream.
pub struct Resampler {
    /// Output samples for every `step` input samples; 1 for a rate that is that of the output.
    phases: usize,
    step: usize,
    filter: Filter,
    /// Those of one phase after those of the other.
    weights: Vec<f32>,
    /// Input of each channel that is still needed.
    input: Vec<Vec<f32>>,
    /// The position of the next output between two input samples.
    phase: usize,
}

impl Resampler {
    /// Starts one for so many channels. `None` for rates above that of the output and those that are no rate of AAC.
    pub fn new(rate_hz: u32, channel_count: usize) -> Option<Self> {
        let common = greatest_common_divisor(OUTPUT_RATE_HZ, rate_hz);
        let (phases, step) = (OUTPUT_RATE_HZ / common, rate_hz / common);
        if step == 0 || step > phases || phases > PHASES_MAX {
            return None;
        }
        let (phases, step) = (phases as usize, step as usize);
        let filter = Filter::of(rate_hz);
        let weights = (0..phases).flat_map(|at| filter.weights(at, phases)).collect();
        let mut resampler =
            Self { phases, step, filter, weights, input: vec![Vec::new(); channel_count], phase: 0 };
        resampler.reset();
        Some(resampler)
    }

    /// Starts over: the next output sample is at the time of the next input sample.
    pub fn reset(&mut self) {
        self.phase = 0;
        for input in &mut self.input {
            input.clear();
            input.resize(self.filter.taps_before(), 0.0);
        }
    }

    /// Takes samples, and appends those at the new rate to `output`, in which each sample has all channels.
    pub fn push(&mut self, samples: &[Vec<f32>], output: &mut Vec<f32>) {
        if self.phases == 1 {
            let length = samples.first().map_or(0, Vec::len);
            output
                .extend((0..length).flat_map(|at| samples.iter().filter_map(move |channel| channel.get(at))));
            return;
        }
        for (input, samples) in self.input.iter_mut().zip(samples) {
            input.extend_from_slice(samples);
        }
        let (taps, mut first) = (self.filter.taps, 0);
        while self.input.iter().all(|input| input.len() >= first + taps) {
            let weights = self.weights.get(self.phase * taps..).and_then(|rest| rest.get(..taps));
            let weights = weights.unwrap_or_default();
            output
                .extend(self.input.iter().map(|input| dot(weights, input.get(first..).unwrap_or_default())));
            self.phase += self.step;
            first += self.phase / self.phases;
            self.phase %= self.phases;
        }
        for input in &mut self.input {
            input.drain(..first.min(input.len()));
        }
    }
}

/// Multiplies the weights with as many samples, and sums up.
fn dot(weights: &[f32], samples: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (weights, samples) in weights.chunks_exact(LANES).zip(samples.chunks_exact(LANES)) {
        for ((sum, weight), sample) in sums.iter_mut().zip(weights).zip(samples) {
            *sum += weight * sample;
        }
    }
    sums.iter().sum()
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Kaiser's window, for -1 to 1.
fn kaiser(x: f64, beta: f64) -> f64 {
    bessel(beta * (1.0 - x * x).max(0.0).sqrt())
}

/// The modified Bessel function of order 0, by its series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let terms = (1..26).map(|n| {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        term
    });
    1.0 + terms.sum::<f64>()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAPS_MAX: usize = 64;

    /// A sine of so many seconds, at a rate.
    fn sine(frequency_hz: f64, rate_hz: u32, seconds: f64) -> Vec<f32> {
        let count = (f64::from(rate_hz) * seconds) as usize;
        (0..count).map(|at| (2.0 * PI * frequency_hz * at as f64 / f64::from(rate_hz)).sin() as f32).collect()
    }

    fn resample(rate_hz: u32, channels: &[Vec<f32>], piece: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(rate_hz, channels.len()).unwrap();
        let mut output = Vec::new();
        for from in (0..channels[0].len()).step_by(piece) {
            let pieces: Vec<_> =
                channels.iter().map(|all| all[from..(from + piece).min(all.len())].to_vec()).collect();
            resampler.push(&pieces, &mut output);
        }
        output
    }

    #[test]
    fn a_sine_keeps_its_frequency_its_level_and_its_place() {
        for (rate_hz, frequency_hz) in
            [(44_100, 1000.0), (44_100, 17_000.0), (32_000, 5000.0), (11_025, 440.0), (48_000, 440.0)]
        {
            let output = resample(rate_hz, &[sine(frequency_hz, rate_hz, 0.5)], 1024);
            let expected = sine(frequency_hz, OUTPUT_RATE_HZ, 0.5);
            let settled = TAPS_MAX * 48_000 / rate_hz as usize..output.len();
            let error = output[settled.clone()]
                .iter()
                .zip(&expected[settled])
                .map(|(one, other)| (one - other).abs());
            let worst = error.fold(0.0, f32::max);
            assert!(worst < 0.003, "{frequency_hz} Hz at {rate_hz} Hz is off by {worst}");
        }
    }

    /// The level of a frequency in samples, of a sine at full scale. The samples are windowed, so that others do not leak into it.
    fn level_db(samples: &[f32], frequency_hz: f64) -> f64 {
        let (mut real, mut imaginary, mut sum) = (0.0, 0.0, 0.0);
        for (at, sample) in samples.iter().enumerate() {
            let window = kaiser(2.0 * at as f64 / samples.len() as f64 - 1.0, 12.0);
            let angle = 2.0 * PI * frequency_hz * at as f64 / f64::from(OUTPUT_RATE_HZ);
            real += f64::from(*sample) * window * angle.cos();
            imaginary += f64::from(*sample) * window * angle.sin();
            sum += window / 2.0;
        }
        20.0 * (real.hypot(imaginary) / sum).log10()
    }

    /// Opus carries up to 20 kHz.
    #[test]
    fn what_can_be_heard_of_44100_passes_and_its_mirrors_do_not() {
        for frequency_hz in [100.0, 5000.0, 12_000.0, 16_000.0, 19_000.0, 19_500.0] {
            let output = resample(44_100, &[sine(frequency_hz, 44_100, 0.5)], 1024);
            let level = level_db(&output[1000..21_000], frequency_hz);
            assert!(level.abs() < 0.1, "{frequency_hz} Hz has {level} dB");
            // It mirrors at the rate of the input, and what is above the half of the output's folds back.
            let mirror_hz = 48_000.0 - (44_100.0 - frequency_hz);
            if (frequency_hz - mirror_hz).abs() > 100.0 && mirror_hz < 20_000.0 {
                let level = level_db(&output[1000..21_000], mirror_hz);
                assert!(level < -58.0, "the mirror of {frequency_hz} Hz has {level} dB");
            }
        }
    }

    #[test]
    fn the_length_is_exact_over_any_time_and_channels_stay_apart() {
        let silence = vec![0.0; 441_000];
        let output = resample(44_100, &[sine(440.0, 44_100, 10.0), silence], 1024);
        let missing = 480_000 - output.len() / 2;
        assert!(missing <= TAPS_MAX, "{missing} samples wait for their neighbours");
        assert!(output.iter().skip(1).step_by(2).all(|sample| *sample == 0.0));
    }

    #[test]
    fn rates_that_are_none_of_aac_are_refused() {
        for rate_hz in [0, 44_101, 88_200, 96_000, u32::MAX] {
            assert!(Resampler::new(rate_hz, 1).is_none(), "{rate_hz}");
        }
        assert!(Resampler::new(7350, 2).is_some());
    }
}
