//! A browser of one's own, driven over WebDriver: JSON over HTTP, as little of it as the tests need.
//!
//! It blocks like everything in these tests, and there are two at a time: most of a test is waiting, but video is decoded by the
//! processor. A test hands its browser on to the next one that waits, which gets a tab of its own: starting and ending one takes
//! two seconds.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use serde_json::{Value, json};
use synctv_testkit::{http::read_response, process::scratch_directory, socket::dial, wait::PATIENCE};
use tempfile::TempDir;

/// More than one try, as the port that the system names may be taken in between.
const DRIVER_TRIES: usize = 5;

const BROWSERS_MAX: usize = 2;

static TURNS: Mutex<Turns> = Mutex::new(Turns { running: 0, waiting: 0, left: Vec::new() });

/// Signals that a test has ended.
static TURN_ENDED: Condvar = Condvar::new();

/// The tests that have a browser, those that wait for one, and the browsers that others have left for them.
struct Turns {
    running: usize,
    waiting: usize,
    left: Vec<Chromium>,
}

/// A test that failed leaves nothing behind that the next one could trip over.
fn turns() -> MutexGuard<'static, Turns> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// WebDriver's characters for keys without a character.
pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";

const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// A tab of a running browser. When this is dropped, the browser ends, unless another test waits for it.
pub struct Browser {
    /// Always there between the start and the drop.
    chromium: Option<Chromium>,
    is_plain: bool,
}

impl Browser {
    /// Starts one, or takes that of an earlier test, with a tab that has nothing of it.
    ///
    /// A test starts it before its publishers: it may have to wait for its turn, and what is pushed goes on meanwhile.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Like [`start`](Self::start), with trust in one certificate: the hash of its key, SHA-256 in base64.
    pub fn trusting(key_hash: &str) -> Self {
        Self::start_with(&[format!("--ignore-certificate-errors-spki-list={key_hash}")])
    }

    fn start_with(flags: &[String]) -> Self {
        let is_plain = flags.is_empty();
        let left = take_turn(is_plain);
        // From here on, the turn ends with this value, also if no browser starts.
        let mut browser = Self { chromium: left, is_plain };
        browser.chromium.get_or_insert_with(|| Chromium::start(flags));
        browser
    }

    /// Goes to an address, and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// Runs a script in each page from now on, before the page's own scripts.
    pub fn prepare(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }));
    }

    /// Runs a function's body in the page, and returns its value.
    pub fn run(&self, body: &str) -> Value {
        self.command("/execute/sync", &json!({ "script": body, "args": [] }))
    }

    /// Waits until an expression, or the body of a function, is true in the page, and returns its value. It can use
    /// `text(id)`, and `video`.
    pub fn until(&self, expression: &str) -> Value {
        let body = if expression.contains("return ") {
            format!("{{{expression}}}")
        } else {
            format!("({expression})")
        };
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const text = (id) => document.getElementById(id)?.textContent ?? '';
             const video = document.querySelector('video');
             const look = () => {{
               const value = (() => {body})();
               if (value) {{ clearInterval(timer); done(value); }}
             }};
             const timer = setInterval(look, 50);"
        );
        let result = self.try_command("/execute/async", &json!({ "script": script, "args": [] }));
        result.unwrap_or_else(|error| {
            panic!("{expression}: {error}\nthe page: {}", self.run("return document.body.innerText"))
        })
    }

    /// Types keys, as a person does, wherever the focus is.
    pub fn press(&self, keys: &[&str]) {
        let strokes: Vec<Value> = keys
            .iter()
            .flat_map(|key| {
                [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
            })
            .collect();
        self.command(
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] }),
        );
    }

    /// Goes on inside the page's only frame.
    pub fn enter_frame(&self) {
        self.command("/frame", &json!({ "id": 0 }));
    }

    /// A window of this size, in CSS pixels, in a light or dark scheme.
    pub fn look_like(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.command("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// Saves a screenshot of the window.
    pub fn screenshot(&self, name: &str) -> PathBuf {
        let directory = scratch_directory("screenshots");
        let screenshot = self.chromium().try_ask("GET", "/screenshot", &Value::Null).expect("a screenshot");
        let path = directory.join(name);
        let bytes = base64(screenshot.as_str().expect("a screenshot is text"));
        std::fs::write(&path, bytes).expect("the screenshot can be written");
        path
    }

    /// Asserts that the page had nothing to complain about: no errors, and nothing that its policy forbids.
    pub fn assert_quiet(&self) {
        assert_eq!(self.complaints(), Vec::<String>::new());
    }

    /// Errors and warnings of the page and the browser since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().expect("the log is a list").iter();
        let bad = entries.filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|entry| entry["message"].to_string()).collect()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.try_command(path, body).unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    fn try_command(&self, path: &str, body: &Value) -> Result<Value, Value> {
        self.chromium().try_ask("POST", path, body)
    }

    fn chromium(&self) -> &Chromium {
        self.chromium.as_ref().expect("it is there until the drop")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let is_wanted = self.is_plain && !thread::panicking() && turns().waiting > 0;
        let left = self.chromium.take().filter(|chromium| is_wanted && chromium.has_new_tab());
        let unwanted = {
            let mut turns = turns();
            turns.running -= 1;
            turns.left.extend(left);
            if turns.waiting == 0 { std::mem::take(&mut turns.left) } else { Vec::new() }
        };
        TURN_ENDED.notify_one();
        // A browser takes half a second to end.
        drop(unwanted);
    }
}

/// Waits for a turn. Returns a browser that another test has left, if there is one and it is wanted.
fn take_turn(wants_left: bool) -> Option<Chromium> {
    let mut turns = turns();
    turns.waiting += 1;
    while turns.running == BROWSERS_MAX {
        turns = TURN_ENDED.wait(turns).unwrap_or_else(PoisonError::into_inner);
    }
    turns.waiting -= 1;
    turns.running += 1;
    if wants_left { turns.left.pop() } else { None }
}

/// The browser's process, with its driver; it ends when this is dropped.
struct Chromium {
    driver: Child,
    address: SocketAddr,
    /// The path of the session, once it has begun.
    session: String,
    _profile: TempDir,
}

impl Chromium {
    fn start(further: &[String]) -> Self {
        let (driver, address) = start_driver();
        let profile = tempfile::tempdir().expect("a directory for the browser");
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.extend_from_slice(further);
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "browserName": "chrome",
            "timeouts": { "script": PATIENCE.as_millis() },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": flags },
        });
        let mut chromium = Self { driver, address, session: String::new(), _profile: profile };
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let started = chromium.try_ask("POST", "/session", &body).expect("a session begins");
        chromium.session =
            format!("/session/{}", started["sessionId"].as_str().expect("a session has an id"));
        chromium
    }

    /// Closes the tab for a new one: scripts, sizes and colours that a test has set belong to a tab. Returns `false` if that
    /// failed.
    fn has_new_tab(&self) -> bool {
        let replace = || -> Result<(), Value> {
            let new = self.try_ask("POST", "/window/new", &json!({ "type": "tab" }))?;
            self.try_ask("DELETE", "/window", &Value::Null)?;
            self.try_ask("POST", "/window", &json!({ "handle": new["handle"] }))?;
            // The log of the other tab.
            self.try_ask("POST", "/se/log", &json!({ "type": "browser" }))?;
            Ok(())
        };
        replace().is_ok()
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut socket = dial(self.address);
        // The browser's own limits are shorter.
        socket.set_read_timeout(Some(3 * PATIENCE)).expect("a timeout can be set");
        let size = body.len();
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n{body}",
            self.session, self.address
        );
        socket.write_all(request.as_bytes()).expect("chromedriver takes the request");
        let value = read_response(&mut socket, &mut Vec::new(), false).json()["value"].clone();
        if value["error"].is_string() { Err(value["message"].clone()) } else { Ok(value) }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.try_ask("DELETE", "", &Value::Null);
        }
        // It may have ended already.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts chromedriver on a port of its choice. It takes a port that is free for IPv4, and ends if that is in use for IPv6.
fn start_driver() -> (Child, SocketAddr) {
    (0..DRIVER_TRIES).find_map(|_| try_start_driver()).expect("chromedriver names its port")
}

fn try_start_driver() -> Option<(Child, SocketAddr)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("chromedriver cannot be run ({error}): `make test` installs it, and so does `apt-get install chromium-driver`")
        });
    let stdout = BufReader::new(driver.stdout.take().expect("stdout is piped"));
    let Some(port) = stdout.lines().map_while(Result::ok).find_map(|line| port_in(&line)) else {
        driver.wait().expect("a driver without a port ends");
        return None;
    };
    Some((driver, SocketAddr::from(([127, 0, 0, 1], port))))
}

fn port_in(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
}

/// RFC 4648, section 4, of a sender that is trusted.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter_map(|byte| ALPHABET.iter().position(|known| *known == byte)) {
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
