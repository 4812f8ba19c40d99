//! Runs seeds until one finds something.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Look {
    /// Who objects: oracles, or "crash" or "hang".
    pub(crate) noticed: Option<String>,
    hash: String,
    cpu: f64,
}

/// What came of all runs of one fault.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// The seed that found it, and who objected.
    pub(crate) found: Option<(u64, String)>,
    /// How many seeds were tried.
    pub(crate) seeds: u64,
    /// CPU seconds of all runs.
    pub(crate) cpu: f64,
}

const WIRES: [&str; 3] = ["typed", "bytes", "mangled"];
/// Every so many seeds, one is run twice.
const TWICE_EVERY: usize = 10;
/// A run takes some hundredths of a second, ten seconds if many transactions cross as bytes, and several times that on a
/// busy machine.
const WALL_MAX: Duration = Duration::from_secs(240);
/// And some ten megabytes. Counted in addresses, of which more are reserved than used.
#[cfg(target_os = "linux")]
const BYTES_MAX: u64 = 2 << 30;

/// Runs the simulator with one seed after the other until something is noticed.
pub(crate) fn sweep(program: &Path, seeds: &[u64]) -> Result<Swept, String> {
    let mut swept = Swept::default();
    for (place, seed) in seeds.iter().enumerate() {
        swept.seeds += 1;
        let once = look(program, *seed)?;
        swept.cpu += once.cpu;
        let mut noticed = once.noticed;
        if noticed.is_none() && place.is_multiple_of(TWICE_EVERY) {
            let again = look(program, *seed)?;
            swept.cpu += again.cpu;
            noticed = again.noticed;
            if again.hash != once.hash || depends_on_others(program, *seed)? {
                noticed = Some("hash".to_owned());
            }
        }
        if let Some(oracle) = noticed {
            swept.found = Some((*seed, oracle));
            break;
        }
    }
    Ok(swept)
}

/// One run, in a process of its own.
pub(crate) fn look(program: &Path, seed: u64) -> Result<Look, String> {
    let wire = WIRES[(seed % 3) as usize];
    let (seed, nodes) = (seed.to_string(), nodes(seed));
    let line = ["run", "--duration", "60s", "--json", "--seed", &seed];
    let ended = process(
        Command::new(program)
            .args(line)
            .args(["--nodes", &nodes, "--wire", wire]),
    )?;
    let said: Value = ended
        .text
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_default();
    let noticed = match ended.code {
        Some(0) => None,
        Some(1) => Some(oracles(&said)),
        Some(2) => return Err(format!("the simulator does not take seed {seed}")),
        None if ended.late => Some("hang".to_owned()),
        Some(_) | None => Some("crash".to_owned()),
    };
    Ok(Look {
        noticed,
        hash: said["hash"].as_str().unwrap_or_default().to_owned(),
        cpu: said["cpu_seconds"].as_f64().unwrap_or(ended.seconds),
    })
}

/// Whether a run comes out differently when another one came before it in the same process, which
/// is how a forgotten `static` shows.
fn depends_on_others(program: &Path, seed: u64) -> Result<bool, String> {
    let seeds = format!("{seed}..{}", seed + 1);
    let line = ["check-determinism", "--duration", "60s", "--seeds", &seeds];
    let ended = process(
        Command::new(program)
            .args(line)
            .args(["--nodes", &nodes(seed)]),
    )?;
    Ok(ended.text.contains("DIFFERENT"))
}

fn nodes(seed: u64) -> String {
    (2 + seed % 11).to_string()
}

/// How a process ended.
struct Ended {
    code: Option<i32>,
    text: String,
    /// It was ended because it took too long.
    late: bool,
    seconds: f64,
}

/// Runs a process within the limits.
fn process(command: &mut Command) -> Result<Ended, String> {
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    limit_memory(&child);
    let (send, receive) = mpsc::channel();
    if let Some(mut stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stdout.read_to_end(&mut text);
            let _ = send.send(text);
        });
    }
    let text = receive.recv_timeout(WALL_MAX);
    let late = text.is_err();
    if late {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(Ended {
        code: status.code(),
        text: String::from_utf8_lossy(&text.unwrap_or_default()).into_owned(),
        late,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn oracles(said: &Value) -> String {
    let names: Vec<&str> = said["violated"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if names.is_empty() {
        "crash".to_owned()
    } else {
        names.join("+")
    }
}

#[cfg(target_os = "linux")]
fn limit_memory(child: &std::process::Child) {
    let limit = Some((BYTES_MAX, BYTES_MAX));
    if let Ok(id) = child.id().try_into() {
        let _ = rlimit::prlimit(id, rlimit::Resource::AS, limit, None);
    }
}

/// Elsewhere only the time is limited.
#[cfg(not(target_os = "linux"))]
fn limit_memory(_: &std::process::Child) {}
