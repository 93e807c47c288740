//! A headless Chromium, driven over its DevTools pipe: opens a page, clicks and types, and collects the page's errors.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    calls: u64,
    /// Errors and warnings of the page: exceptions, console, security policy.
    pub complaints: Vec<String>,
    /// URLs that were requested: the page itself first.
    pub requests: Vec<String>,
    loads: u64,
    _home: TempDir,
}

impl Browser {
    /// Starts a browser; `CHROMIUM` is its path, which `scripts/prepare` sets.
    pub fn start() -> Self {
        let program =
            std::env::var("CHROMIUM").expect("CHROMIUM names a Chromium; scripts/prepare sets it for `cargo test`");
        let home = tempfile::Builder::new().prefix("coinhound-browser-").tempdir().expect("a folder for the browser");
        // The pipe is descriptors 3 and 4, which without unsafe code only a shell can pass on.
        let mut child = Command::new("sh")
            .args(["-c", "exec timeout 900 \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", &program])
            // Without a sandbox, for which containers lack rights; the only pages opened are the tests' own.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
                "--no-first-run",
            ])
            .args(["--window-size=1400,1000", "--force-device-scale-factor=1", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", home.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let (complaints, requests) = (Vec::new(), Vec::new());
        let mut browser =
            Self { child, to, from, session: None, calls: 0, complaints, requests, loads: 0, _home: home };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method and returns its result; events that come meanwhile are handled.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        self.to.flush().expect("the browser listens");
        loop {
            let message = self.next();
            if message["id"] == json!(id) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
        }
    }

    fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).expect("the browser answers");
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        let message: Value = serde_json::from_slice(&bytes).expect("the browser speaks JSON");
        let params = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.loads += 1,
            "Runtime.exceptionThrown" => self.complaints.push(params["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" => self.complaints.push(params.to_string()),
            "Log.entryAdded" => self.complaints.push(params["entry"].to_string()),
            "Page.javascriptDialogOpening" => self.complaints.push(params.to_string()),
            "Network.requestWillBeSent" => {
                self.requests.push(params["request"]["url"].as_str().unwrap_or_default().to_owned())
            }
            _ => {}
        }
        message
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, path: &Path) {
        self.complaints.clear();
        self.requests.clear();
        let before = self.loads;
        self.call("Page.navigate", json!({"url": format!("file://{}", path.display())}));
        while self.loads == before {
            self.next();
        }
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let result = self
            .call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true, "awaitPromise": true}));
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// The text of the first element that a selector finds.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({}).textContent", json!(selector)));
        text.as_str().expect("an element").to_owned()
    }

    /// Number of elements that a selector finds.
    pub fn count(&mut self, selector: &str) -> u64 {
        self.eval(&format!("document.querySelectorAll({}).length", json!(selector))).as_u64().expect("a number")
    }

    /// Clicks in the middle of the first element that a selector finds, with the mouse.
    pub fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const found = document.querySelector({}); found.scrollIntoView({{block: 'center', inline: 'center'}}); \
             const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        );
        let place = self.eval(&place);
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1}),
            );
        }
    }

    /// Presses and releases a key.
    pub fn press(&mut self, key: &str) {
        let mut event = json!({"type": "keyDown", "key": key, "code": key});
        if key == "Enter" {
            event["text"] = json!("\r");
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", event);
    }

    /// A PNG of the whole page, or of the window.
    pub fn screenshot(&mut self, whole: bool) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": whole}));
        bytes(&shot["data"])
    }

    /// The printed page as PDF.
    pub fn pdf(&mut self) -> Vec<u8> {
        let pdf = self.call("Page.printToPDF", json!({"preferCSSPageSize": true, "printBackground": false}));
        bytes(&pdf["data"])
    }

    /// Sets the colour scheme that the reader prefers: `light` or `dark`.
    pub fn scheme(&mut self, scheme: &str) {
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }
}

fn bytes(data: &Value) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(data.as_str().expect("base64")).expect("base64")
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends on request, and when the pipe is closed.
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = std::io::copy(&mut self.from, &mut std::io::sink());
        let _ = self.child.wait();
    }
}
