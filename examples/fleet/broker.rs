//! The broker of the show: in memory, with a key for each who connects.

use std::{
    collections::HashMap,
    env,
    error::Error,
    fs,
    future::pending,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use msip_broker::{Broker, Config};
use msip_runtime::auth::ApiKey;
use tokio::task::JoinSet;

use crate::tokens::{DEVICE, OPERATOR};

/// Where the fleet meets.
const TOPIC: &str = "fleet";

/// Who may do what: devices and operators speak at the topic, and hubs serve it.
const RIGHTS: &str = r#"
[roles.device]
publish = ["fleet"]
request = ["fleet"]
subscribe = ["fleet"]

[roles.operator]
publish = ["fleet"]
request = ["fleet"]
subscribe = ["fleet"]

[roles.hub]
serve = ["fleet"]
"#;

/// Who connects, and with which roles. `service` is the broker's own word.
const HOLDERS: [(&str, &[&str]); 5] = [
    ("van-1", &[DEVICE]),
    ("van-2", &[DEVICE]),
    ("van-3", &[DEVICE]),
    ("olga", &[OPERATOR]),
    ("hub", &["service", "hub"]),
];

/// A broker in this process. Dropped, it ends.
pub(crate) struct FleetBroker {
    pub(crate) url: String,
    keys: HashMap<&'static str, ApiKey>,
    _file: KeyFile,
    _running: JoinSet<()>,
}

impl FleetBroker {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let mut keys = HashMap::new();
        let mut lines = String::new();
        for (name, roles) in HOLDERS {
            let key = ApiKey::generate()?;
            let entry = roles
                .iter()
                .fold(key.entry(name), |entry, role| entry.with_role(*role));
            lines.push_str(&format!("{entry}\n"));
            keys.insert(name, key);
        }
        let file = KeyFile::write(&lines)?;
        let config = format!("[keys]\nfile = '{}'\n{RIGHTS}", file.0.display());
        let broker = Broker::builder()
            .config(Config::from_toml(&config)?)
            // What a hub that was killed has asked of a device ends with its session: nobody waits for it any more.
            .session_expiry(Duration::from_secs(2))
            .listen("tcp://127.0.0.1:0")
            .bind()
            .await?;
        let url = broker.local_urls().next().map(ToString::to_string);
        let mut running = JoinSet::new();
        running.spawn(async move {
            broker.serve_until(pending()).await;
        });
        Ok(Self {
            url: format!("{}/{TOPIC}", url.unwrap_or_default()),
            keys,
            _file: file,
            _running: running,
        })
    }

    /// The key of one who connects.
    pub(crate) fn key_of(&self, name: &str) -> &str {
        self.keys.get(name).map_or("", ApiKey::as_str)
    }
}

/// A file that is there for as long as this is.
struct KeyFile(PathBuf);

impl KeyFile {
    fn write(lines: &str) -> Result<Self, std::io::Error> {
        let path = env::temp_dir().join(format!("msip-fleet-{}.keys", process::id()));
        fs::write(&path, lines)?;
        Ok(Self(path))
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file::<&Path>(&self.0);
    }
}
