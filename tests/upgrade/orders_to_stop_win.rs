//! SIGTERM ends a server that is about to be upgraded.

use crate::installed::Installed;

#[test]
fn while_the_next_program_checks_its_settings() {
    let installed = Installed::start(&[], &[]);
    installed.replace_with_script("sleep 60");
    installed.server.signal("USR2");
    installed.server.log.find("the upgrade starts", |line| line.text("msg") == "upgrade started");
    installed.server.signal("TERM");
    assert_eq!(installed.server.wait_for_exit().code(), Some(0));
}

#[test]
fn right_behind_the_order_to_upgrade() {
    let installed = Installed::start(&[], &[]);
    installed.server.signal("USR2");
    installed.server.signal("TERM");
    assert_eq!(installed.server.wait_for_exit().code(), Some(0));
}

#[test]
fn after_upgrades() {
    let mut installed = Installed::start(&[], &[]);
    installed.upgrade();
    installed.upgrade();
    installed.server.signal("TERM");
    assert_eq!(installed.server.wait_for_exit().code(), Some(0));
}
