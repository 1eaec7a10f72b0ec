//! A viewer who reads everything, and looks at the stamps of its frames.

use std::{net::SocketAddr, time::Duration};

use synctv_testkit::whep::ReceivedPacket;
use tokio::{sync::watch, time::timeout};

use super::{session::Session, traffic::Traffic};
use crate::{
    clock::now_us,
    stage::Stage,
    stamp::{INTER_NAL, KEYFRAME_NAL, Stamp},
};

const VIDEO_CLOCK_HZ: u32 = 90_000;

/// A piece of a NAL unit (RFC 6184, section 5.8).
const FU_A: u8 = 28;
const TYPE: u8 = 0x1F;
const START: u8 = 0x80;

/// Interval of the check for the end of the load.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The observations of the prober.
#[derive(Debug, Default)]
pub struct Probed {
    /// From a frame's send by the publisher to its first packet, while it was measured.
    pub latencies_us: Vec<u32>,
    /// Frames that did not come.
    pub missing: u64,
    /// Datagrams of media, while it was measured.
    pub traffic: Traffic,
    pub fault: Option<String>,
}

/// Watches a room until the load is over.
pub async fn probe(http: SocketAddr, room: String, stages: watch::Receiver<Stage>) -> Probed {
    let mut probed = Probed::default();
    if let Err(error) = receive(http, &room, &stages, &mut probed).await {
        probed.fault = Some(error.to_string());
    }
    probed
}

async fn receive(
    http: SocketAddr,
    room: &str,
    stages: &watch::Receiver<Stage>,
    probed: &mut Probed,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut session = Session::open(http, room).await?;
    session.connect().await?;
    let mut last = None;
    loop {
        let stage = *stages.borrow();
        if stage == Stage::Over {
            return Ok(());
        }
        let turned = timeout(LOOK_INTERVAL, session.turn()).await;
        let traffic = session.take_traffic();
        match turned {
            Ok(turned) => turned?,
            Err(_) => continue,
        }
        if stage == Stage::Measuring {
            probed.traffic.add(traffic);
        }
        let arrived_us = now_us();
        for stamp in session.take_packets().iter().filter_map(stamp) {
            if stage == Stage::Measuring {
                probed.latencies_us.push(arrived_us.saturating_sub(stamp.sent_us) as u32);
            }
            probed.missing += last.map_or(0, |last| stamp.number.saturating_sub(last + 1));
            last = Some(stamp.number);
        }
    }
}

/// The stamp in the first packet of a frame.
fn stamp(packet: &ReceivedPacket) -> Option<Stamp> {
    if packet.clock_hz != VIDEO_CLOCK_HZ {
        return None;
    }
    match packet.payload[..] {
        [indicator, header, ref piece @ ..] if indicator & TYPE == FU_A && header & START != 0 => {
            Stamp::read(piece)
        }
        [KEYFRAME_NAL | INTER_NAL, ref unit @ ..] => Stamp::read(unit),
        _ => None,
    }
}
