//! The cost of the death of the publisher's node to a viewer on another node.

use std::{error::Error, fmt, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use crate::{node::Node, progress::Progress, viewer::Viewer};

/// Time limit for frames to continue.
const RESUME_LIMIT: Duration = Duration::from_secs(120);

/// Time to watch after that: a wrong timeline may show late.
const WATCHED_AFTER: Duration = Duration::from_secs(1);

/// A viewer's view of the outage.
#[derive(Debug)]
pub struct Outage {
    gap: Duration,
    frames: u64,
}

/// Kills `owner` some time after `viewer` has got its first frame.
pub async fn cause(
    owner: &mut Node,
    mut viewer: Viewer,
    kill_after: Duration,
    progress: &Progress,
) -> Result<Outage, Box<dyn Error>> {
    viewer.next_frame().await?;
    tokio::select! {
        seen = watch_for(&mut viewer, kill_after) => seen?,
        error = owner.process.ended() => return Err(error),
    }
    let accepted_before = progress.accepted();
    progress.print(&format!("{} is killed", owner.name));
    owner.process.kill().await?;
    let resumed = timeout(RESUME_LIMIT, async {
        // Media that the killed node had sent is still on its way.
        loop {
            let pause = viewer.next_frame().await?;
            if progress.accepted() > accepted_before {
                return Ok::<_, Box<dyn Error>>(pause);
            }
        }
    });
    let gap = resumed.await.map_err(|_| format!("no frame for {} s", RESUME_LIMIT.as_secs()))??;
    watch_for(&mut viewer, WATCHED_AFTER).await?;
    Ok(Outage { gap, frames: viewer.frames })
}

async fn watch_for(viewer: &mut Viewer, time: Duration) -> Result<(), Box<dyn Error>> {
    let end = Instant::now() + time;
    loop {
        tokio::select! {
            frame = viewer.next_frame() => { frame?; }
            () = sleep_until(end) => return Ok(()),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gap_s, frames) = (self.gap.as_secs_f64(), self.frames);
        write!(
            f,
            "no frame came for {gap_s:.2} s; the connection stayed, and no timestamp went back in {frames} frames"
        )
    }
}
