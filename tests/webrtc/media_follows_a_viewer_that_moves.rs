//! A viewer whose router gives it another port gets its media there from its next connectivity check on.

use synctv_testkit::{frames, wait::poll_until};

use crate::{publish, start, viewer::Viewer};

#[test]
fn a_viewer_behind_a_new_port_goes_on() {
    let server = start(&[]);
    let mut publisher = publish(&server, "r");
    let mut viewer = Viewer::open(&server, "r");
    poll_until("the first frame", || viewer.take_video().pop());
    viewer.change_port();
    let mut time_ms = 0;
    poll_until("a frame at the new port", || {
        time_ms += 33;
        publisher.send_all(&[frames::inter(time_ms, time_ms)]);
        viewer.take_video().pop()
    });
}
