//! The compilation of untrusted components, in a child process with limits on its time and memory.
//!
//! wasmtime limits what a guest does, but not the cost of compiling it, and a small component can take minutes and
//! gigabytes to compile. So a child process compiles each component and returns the machine code. If the child crashes
//! or reaches a limit, the server is not affected. Machine code comes only from a child or from the cache, never from
//! an upload.
//!
//! A child also parses each manifest first, compiles its schemas and patterns, and discards them. This process parses
//! the manifest only after the child has finished within its limits.
//!
//! A child has its own resource limits or those of the machine, whichever are lower. If the machine's are lower and the
//! child fails, that is not a finding about the component.

mod child;
mod task;

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wasmtime::Engine;
use wasmtime::component::Component;

pub use self::child::compile_for_parent;
use self::task::{ChildTask, LOW_LIMIT_PREFIX, LimitKind, MACHINE_FAILURE_CODE};
use crate::limits::{ARTIFACT_BYTES_MAX, COMPILE_CPU_S, COMPILE_WALL, MANIFEST_CPU_S};
use crate::report::{Finding, LoadError, Report};

/// The interval at which the parent polls the child for its exit.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Bytes of a child's standard error that are read.
const STDERR_BYTES_MAX: u64 = 4 * 1024;

/// A way to compile components.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Compiler {
    /// A child process: this program with these arguments and the number of seconds. It must call
    /// [`compile_for_parent`] with that number.
    Child {
        /// The program.
        program: PathBuf,
        /// The arguments before the number of seconds.
        arguments: Vec<String>,
        /// Seconds of processor time to compile a component.
        cpu_s: u64,
    },
    /// This process, without limits. A component could keep it busy or crash it, so this is for tests and for authors
    /// who check their own component.
    InProcess,
}

impl Compiler {
    /// Returns a compiler in a child process, with the time limit of a server.
    pub fn child(program: PathBuf, arguments: Vec<String>) -> Self {
        Self::Child {
            program,
            arguments,
            cpu_s: COMPILE_CPU_S,
        }
    }

    /// Compiles a component to machine code.
    pub(crate) fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        match self {
            Self::InProcess => Ok(compile_in_process(engine, bytes)?),
            Self::Child {
                program,
                arguments,
                cpu_s,
            } => run_child(program, arguments, *cpu_s, ChildTask::Component, bytes),
        }
    }

    /// Checks that a child process can parse a manifest within its limits. Ignores findings in the manifest.
    pub(crate) fn try_manifest(&self, manifest: &str) -> Result<(), LoadError> {
        match self {
            Self::InProcess => Ok(()),
            Self::Child {
                program,
                arguments,
                cpu_s,
            } => {
                let cpu_s = MANIFEST_CPU_S.min(*cpu_s);
                let bytes = manifest.as_bytes();
                run_child(program, arguments, cpu_s, ChildTask::Manifest, bytes).map(drop)
            }
        }
    }
}

fn compile_failed(message: impl Into<String>) -> Report {
    Finding::new("compile_failed", message).into()
}

/// Compiles a component in this process.
fn compile_in_process(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Report> {
    // Compilers have panicked on unusual input. A panic rejects this component and leaves the process running.
    let compiled = catch_unwind(AssertUnwindSafe(|| engine.precompile_component(bytes)));
    match compiled {
        Ok(Ok(artifact)) => Ok(artifact),
        Ok(Err(error)) => Err(compile_failed(format!("{error:#}"))),
        Err(_) => Err(compile_failed("the compiler panicked")),
    }
}

/// Loads machine code that this program or its child process compiled.
#[allow(unsafe_code, reason = "machine code runs unchecked once it is loaded")]
pub(crate) fn load(engine: &Engine, artifact: &[u8]) -> Result<Component, Report> {
    // SAFETY: the bytes come from `precompile_component` of this program: from this process, from a child over a
    // pipe, or from the cache, which has verified their HMAC. wasmtime checks that version and settings match this
    // engine. https://docs.rs/wasmtime/latest/wasmtime/component/struct.Component.html#method.deserialize
    let loaded = unsafe { Component::deserialize(engine, artifact) };
    loaded.map_err(|error| compile_failed(format!("{error:#}")))
}

/// Starts a child process. A failure to start is not a finding about the component.
fn start(program: &Path, arguments: &[String], cpu_s: u64) -> Result<Child, LoadError> {
    let started = Command::new(program)
        .args(arguments)
        .arg(cpu_s.to_string())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    started
        .map_err(|error| LoadError::Failed(format!("the compiler could not be started: {error}")))
}

fn run_child(
    program: &Path,
    arguments: &[String],
    cpu_s: u64,
    task: ChildTask,
    bytes: &[u8],
) -> Result<Vec<u8>, LoadError> {
    let mut child = start(program, arguments, cpu_s)?;
    let input = child.stdin.take();
    let output = child.stdout.take();
    let errors = child.stderr.take();
    let served = std::thread::scope(|scope| {
        // A child that does not read its input or write its output blocks only these threads. One thread for all three
        // pipes would deadlock as soon as a pipe is full.
        let serving = || -> io::Result<_> {
            let feed = move || {
                if let Some(mut input) = input {
                    drop(input.write_all(&[task.tag()]));
                    drop(input.write_all(bytes));
                }
            };
            thread().spawn_scoped(scope, feed)?;
            let artifact = move || read(output, ARTIFACT_BYTES_MAX.saturating_add(1));
            let artifact = thread().spawn_scoped(scope, artifact)?;
            let messages = move || read(errors, STDERR_BYTES_MAX);
            Ok((artifact, thread().spawn_scoped(scope, messages)?))
        };
        match serving() {
            Ok((artifact, messages)) => {
                let exit = wait(&mut child);
                let artifact = artifact.join().unwrap_or_default();
                Ok((exit, artifact, messages.join().unwrap_or_default()))
            }
            Err(error) => {
                // Without the threads the child would wait for input forever.
                kill(&mut child, ChildExit::External);
                Err(error)
            }
        }
    });
    let (exit, artifact, messages) = served.map_err(|error| {
        LoadError::Failed(format!(
            "could not start a thread for the compiler: {error}"
        ))
    })?;
    interpret_exit(task, exit, artifact, &String::from_utf8_lossy(&messages))
}

fn thread() -> std::thread::Builder {
    std::thread::Builder::new().name("compiler".into())
}

fn read(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        drop(from.take(most).read_to_end(&mut bytes));
    }
    bytes
}

/// The way in which a child process ended.
#[derive(Clone, Copy)]
enum ChildExit {
    Success,
    /// It failed, and its standard error says why.
    Failure,
    /// The machine prevented its work, and its standard error says why.
    MachineFailure,
    /// Its memory limit: a failed allocation aborts the process.
    OutOfMemory,
    /// Its limit of processor time.
    OutOfTime,
    /// A signal from outside, such as Ctrl-C or the kernel's out-of-memory killer, or a lost process. It is not a
    /// finding about the component.
    External,
    /// The wall-clock limit: the machine was too busy for it to use up its processor time.
    Timeout,
}

fn wait(child: &mut Child) -> ChildExit {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return ChildExit::Success,
            Ok(Some(status)) => {
                return match status.signal().map(Signal::from_named_raw) {
                    None if status.code() == Some(MACHINE_FAILURE_CODE.into()) => {
                        ChildExit::MachineFailure
                    }
                    None => ChildExit::Failure,
                    Some(Some(Signal::XCPU)) => ChildExit::OutOfTime,
                    Some(Some(Signal::INT | Signal::TERM | Signal::HUP | Signal::KILL)) => {
                        ChildExit::External
                    }
                    Some(_) => ChildExit::OutOfMemory,
                };
            }
            Err(_) => return kill(child, ChildExit::External),
            Ok(None) if started.elapsed() > COMPILE_WALL => return kill(child, ChildExit::Timeout),
            Ok(None) => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

/// Kills a child process and returns the given exit.
fn kill(child: &mut Child, exit: ChildExit) -> ChildExit {
    drop(child.kill());
    drop(child.wait());
    exit
}

fn interpret_exit(
    task: ChildTask,
    exit: ChildExit,
    artifact: Vec<u8>,
    messages: &str,
) -> Result<Vec<u8>, LoadError> {
    let size = u64::try_from(artifact.len()).unwrap_or(u64::MAX);
    let lines = messages.lines();
    let (low_limits, messages): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.starts_with(LOW_LIMIT_PREFIX));
    let messages = messages.join("\n");
    // If a limit of the machine is lower than the child's own, it is unknown which of them the child reached.
    let limit_reached = |kind| match low_limits.first() {
        None => Err(task.limit_finding(kind).into()),
        Some(limit) => Err(LoadError::Failed(format!(
            "the compiler reached a limit of this machine: {}",
            limit.trim_start_matches(LOW_LIMIT_PREFIX)
        ))),
    };
    match exit {
        ChildExit::Success if size <= ARTIFACT_BYTES_MAX => Ok(artifact),
        ChildExit::Success => {
            let message = format!("it compiles to more than {ARTIFACT_BYTES_MAX} bytes of code");
            Err(Finding::new("compiles_too_large", message).into())
        }
        ChildExit::OutOfTime => limit_reached(LimitKind::Time),
        ChildExit::OutOfMemory => limit_reached(LimitKind::Memory),
        ChildExit::MachineFailure => {
            let low_limits = low_limits.join("; ");
            let cause = format!(
                "the compiler could not run: {} {low_limits}",
                messages.trim()
            );
            Err(LoadError::Failed(cause.trim_end().into()))
        }
        ChildExit::Failure if messages.trim().is_empty() => {
            Err(compile_failed("the compiler failed without a message").into())
        }
        ChildExit::Failure => Err(compile_failed(messages.trim()).into()),
        ChildExit::External => Err(LoadError::Failed(
            "the compiler was killed from outside".into(),
        )),
        ChildExit::Timeout => {
            let cause = "the compiler did not finish in time: the machine may be too busy";
            Err(LoadError::Failed(cause.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::sandbox;

    fn compile_error(program: &str, arguments: &[&str]) -> LoadError {
        let arguments = arguments.iter().map(|argument| (*argument).into());
        let compiler = Compiler::child(program.into(), arguments.collect());
        let engine = sandbox::engine(&Limits::standard()).expect("an engine");
        match compiler.compile(&engine, b"a component") {
            Ok(_) => panic!("the program is no compiler"),
            Err(error) => error,
        }
    }

    fn compile_finding(program: &str, arguments: &[&str]) -> Finding {
        match compile_error(program, arguments) {
            LoadError::Refused(mut report) => report.findings.remove(0),
            other => panic!("no finding about the component: {other}"),
        }
    }

    #[test]
    fn a_compiler_that_cannot_be_started_is_no_finding_about_the_component() {
        for program in ["/nowhere/bursar", "/"] {
            let missing = compile_error(program, &[]);
            let LoadError::Failed(message) = missing else {
                panic!("a finding about the component: {missing}");
            };
            assert!(message.contains("could not be started"), "{message}");
        }
    }

    #[test]
    fn a_child_that_fails_or_reaches_a_limit_is_a_finding() {
        let failed = compile_finding("/bin/sh", &["-c", "echo 'at offset 7: no' >&2; exit 1"]);
        assert_eq!(
            (failed.code, failed.message.as_str()),
            ("compile_failed", "at offset 7: no")
        );
        let killed = compile_finding("/bin/sh", &["-c", "kill -ABRT $$"]);
        assert_eq!(killed.code, "compiles_too_large");
        let late = compile_finding("/bin/sh", &["-c", "kill -XCPU $$"]);
        assert_eq!(late.code, "compiles_too_long");
        let silent = compile_finding("/bin/sh", &["-c", "exit 1"]);
        assert_eq!(silent.code, "compile_failed");
    }

    #[test]
    fn a_child_that_a_signal_from_outside_ends_is_no_finding_about_the_component() {
        for signal in ["INT", "TERM", "HUP", "KILL"] {
            // A shell ignores a signal that was ignored when it started, as under nohup.
            let kill = format!("kill -{signal} $$");
            let ended = compile_error("/usr/bin/env", &["--default-signal", "sh", "-c", &kill]);
            assert!(matches!(ended, LoadError::Failed(_)), "{signal}: {ended}");
        }
    }

    #[test]
    fn a_lower_limit_of_the_machine_is_no_finding_about_the_component() {
        let low_limit = format!("echo '{LOW_LIMIT_PREFIX}1048576 (RLIMIT_DATA)' >&2;");
        for ended in ["kill -ABRT $$", "kill -SEGV $$", "kill -XCPU $$", "exit 75"] {
            let failed = compile_error("/bin/sh", &["-c", &format!("{low_limit} {ended}")]);
            let LoadError::Failed(message) = failed else {
                panic!("{ended} is a finding about the component: {failed}");
            };
            assert!(
                message.contains("1048576 (RLIMIT_DATA)"),
                "{ended}: {message}"
            );
        }
        // A finding about the component is still reported.
        let refused = compile_finding(
            "/bin/sh",
            &["-c", &format!("{low_limit} echo no >&2; exit 1")],
        );
        assert_eq!(refused.message, "no");
        let failed = compile_error("/bin/sh", &["-c", "echo 'no memory' >&2; exit 75"]);
        assert!(matches!(failed, LoadError::Failed(message) if message.contains("no memory")));
    }

    #[test]
    fn a_manifest_that_a_child_cannot_parse_within_its_limits_is_rejected() {
        let try_with = |script: &str| {
            let arguments = vec!["-c".into(), script.into()];
            Compiler::child("/bin/sh".into(), arguments).try_manifest("{}")
        };
        assert_eq!(try_with("exit 0"), Ok(()));
        for (ended, expected) in [("ABRT", "more memory"), ("XCPU", "more time")] {
            let refused = try_with(&format!("kill -{ended} $$"));
            let Err(LoadError::Refused(report)) = refused else {
                panic!("{ended}: {refused:?}");
            };
            assert_eq!(report.findings[0].code, "manifest_too_costly");
            assert!(report.findings[0].message.contains(expected), "{report}");
        }
        assert!(matches!(
            try_with("kill -KILL $$"),
            Err(LoadError::Failed(_))
        ));
        // The child reads the tag of its task and then the manifest.
        assert_eq!(try_with("test \"$(cat)\" = 'm{}' || kill -ABRT $$"), Ok(()));
        assert_eq!(Compiler::InProcess.try_manifest("{}"), Ok(()));
    }

    #[test]
    fn a_child_inherits_no_environment_variables() {
        let finding = compile_finding("/bin/sh", &["-c", "echo \"home is '$HOME'\" >&2; exit 1"]);
        assert_eq!(finding.message, "home is ''");
    }

    #[test]
    fn output_of_a_child_is_read_up_to_a_limit() {
        let endless = compile_finding("/bin/sh", &["-c", "head -c 400000000 /dev/zero"]);
        assert!(
            matches!(endless.code, "compiles_too_large" | "compile_failed"),
            "{endless:?}"
        );
    }
}
