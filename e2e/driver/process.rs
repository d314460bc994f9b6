//! Child processes that cannot outlive this one.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Pid;
pub use rustix::process::Signal;

use crate::wait::until;

/// The first argument with which this program starts itself to become another one, see [`exec`].
pub const EXEC: &str = "--exec";

/// How a program ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    /// Its standard output, and the end of its standard error.
    pub text: String,
}

/// Runs a program to its end. Its output goes to files of this name in `directory`.
pub async fn run(
    program: &Path,
    arguments: &[String],
    directory: &Path,
    name: &str,
    limit: Duration,
) -> Result<Outcome> {
    let output = directory.join(format!("{name}.txt"));
    let log = directory.join(format!("{name}.log"));
    let mut process = Process::start(program, arguments, &[], &log, Some(&output))?;
    let status = until(name, limit, async || process.ended()?.context("it still runs")).await?;
    let text = std::fs::read_to_string(&output)? + &process.last_words();
    Ok(Outcome { code: status.code().with_context(|| format!("{name} was killed"))?, text })
}

/// A running program; killed when dropped.
pub struct Process {
    child: Child,
    /// Receives its standard error, and its standard output unless [`Process::start`] redirects that.
    pub log: PathBuf,
}

impl Process {
    /// Starts `program`. The kernel kills it when this process ends, for whatever reason. Its environment has only the variables
    /// of `environment`. Its output is appended to `log`; standard output goes to `output` instead, if given.
    pub fn start(
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
        log: &Path,
        output: Option<&Path>,
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let stdout = match output {
            Some(path) => File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
            None => file.try_clone()?,
        };
        // Not by path: a build may have replaced the file.
        let child = Command::new("/proc/self/exe")
            .arg(EXEC)
            .arg(std::process::id().to_string())
            .arg(program)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Returns an error with the end of its log if it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("ended ({status}): {}", self.last_words()),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self::signal(self.child.id(), signal)
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child that has not been waited for.
pub fn signal(id: u32, signal: Signal) -> Result<()> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| anyhow!("no process id"))?;
    Ok(rustix::process::kill_process(id, signal)?)
}

/// The peak memory of a process, in bytes.
pub fn peak_memory(id: u32) -> Result<u64> {
    memory(id, "VmHWM:")
}

/// The memory that a process has now, in bytes.
pub fn resident_memory(id: u32) -> Result<u64> {
    memory(id, "VmRSS:")
}

fn memory(id: u32, of: &'static str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(of)).context(of)?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(kibibytes * 1024)
}

/// Becomes the program in `arguments`, which follows the ID of the parent. The kernel kills the program when the parent ends.
pub fn exec(arguments: &[String]) -> Result<bool> {
    let [parent, program, rest @ ..] = arguments else { bail!("{EXEC} needs a parent and a program") };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the kernel was asked.
    let alive = rustix::process::getppid().is_some_and(|id| id.as_raw_nonzero().to_string() == *parent);
    if !alive {
        bail!("the starting process has ended");
    }
    Err(Command::new(program).args(rest).exec()).with_context(|| format!("cannot run {program}"))
}
