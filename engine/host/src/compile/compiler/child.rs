//! The child process: it limits itself, does its task and exits.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::task::{ChildTask, LOW_LIMIT_PREFIX, MACHINE_FAILURE_CODE};
use crate::limits::{Limits, UPLOAD_BYTES_MAX};
use crate::manifest::Manifest;
use crate::sandbox;

/// The cause of a child's failure.
enum ChildFailure {
    /// The component or its manifest.
    Refused(String),
    /// The machine.
    Machine(String),
}

fn machine(error: impl std::fmt::Display) -> ChildFailure {
    ChildFailure::Machine(error.to_string())
}

/// Runs the task of a child process: reads it from standard input, limits the process, and writes machine code to
/// standard output. `cpu_s` is the limit of processor time in seconds.
pub fn compile_for_parent(cpu_s: u64) -> ExitCode {
    let result = run_task(cpu_s).and_then(|artifact| {
        let mut output = io::stdout();
        output.write_all(&artifact).map_err(machine)
    });
    let (message, code) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(ChildFailure::Refused(message)) => (message, ExitCode::FAILURE),
        Err(ChildFailure::Machine(message)) => (message, MACHINE_FAILURE_CODE.into()),
    };
    drop(writeln!(io::stderr(), "{message}"));
    code
}

fn run_task(cpu_s: u64) -> Result<Vec<u8>, ChildFailure> {
    let mut tag = [0];
    io::stdin().read_exact(&mut tag).map_err(machine)?;
    let task = ChildTask::from_tag(tag[0]).ok_or_else(|| machine("the task is unknown"))?;
    limit_resources(cpu_s, task.data_bytes()).map_err(machine)?;
    let mut bytes = Vec::new();
    let max = u64::try_from(UPLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    let read = io::stdin().take(max).read_to_end(&mut bytes);
    read.map_err(machine)?;
    match task {
        ChildTask::Component => {
            let engine = sandbox::engine(&Limits::standard());
            let engine = engine.map_err(|error| machine(format!("{error:#}")))?;
            let artifact = engine.precompile_component(&bytes);
            artifact.map_err(|error| ChildFailure::Refused(format!("{error:#}")))
        }
        ChildTask::Manifest => {
            // The parent parses the manifest again and reports its findings.
            drop(Manifest::parse(&String::from_utf8_lossy(&bytes)));
            Ok(Vec::new())
        }
    }
}

/// Limits the processor time and the memory of this process.
fn limit_resources(cpu_s: u64, data_bytes: u64) -> io::Result<()> {
    // The soft limit sends SIGXCPU, by which the parent recognises the cause. The hard limit, a second later, sends
    // SIGKILL. See setrlimit(2).
    set_limit(
        Resource::Cpu,
        "RLIMIT_CPU, LimitCPU",
        cpu_s,
        cpu_s.saturating_add(1),
    )?;
    set_limit(
        Resource::Data,
        "RLIMIT_DATA, LimitDATA",
        data_bytes,
        data_bytes,
    )?;
    set_limit(Resource::Core, "RLIMIT_CORE", 0, 0)?;
    set_limit(Resource::Fsize, "RLIMIT_FSIZE", 0, 0)?;
    // RLIMIT_DATA counts memory that is used. RLIMIT_AS would count the address space that wasmtime reserves and never
    // touches, so it is not set here, but a limit of the machine on it is reported.
    if let Some(max) = getrlimit(Resource::As).current {
        report_low_limit("RLIMIT_AS, LimitAS", max, "no such limit")?;
    }
    Ok(())
}

/// Sets a limit, or keeps the machine's hard limit if that is lower. An unprivileged process cannot raise it.
fn set_limit(resource: Resource, name: &str, current: u64, maximum: u64) -> io::Result<()> {
    let hard_limit = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit {
        current: Some(current.min(hard_limit)),
        maximum: Some(maximum.min(hard_limit)),
    };
    setrlimit(resource, limit)?;
    if hard_limit < current {
        report_low_limit(name, hard_limit, &format!("at least {current}"))?;
    }
    Ok(())
}

/// Reports a low limit to the parent, before the task begins: a process that a limit kills can report nothing.
fn report_low_limit(name: &str, limit: u64, required: &str) -> io::Result<()> {
    writeln!(
        io::stderr(),
        "{LOW_LIMIT_PREFIX}{limit} ({name}) but the compiler needs {required}; raise it"
    )
}
