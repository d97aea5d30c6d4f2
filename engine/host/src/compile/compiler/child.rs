//! The child's side: it bounds itself, does what it was asked to do, and ends.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::work::{LOWERED, MACHINE_FAILED, Work};
use crate::limits::{Limits, UPLOAD_BYTES_MAX};
use crate::manifest::Manifest;
use crate::sandbox;

/// The reason that a child has no result.
enum ChildFailure {
    /// The component, or its manifest.
    Refused(String),
    /// The machine.
    Machine(String),
}

fn machine(error: impl std::fmt::Display) -> ChildFailure {
    ChildFailure::Machine(error.to_string())
}

/// Does the work of the child: reads from standard input what it is to do, bounds itself, does it, and writes
/// machine code to standard output. It may take so many seconds of a processor.
pub fn compile_for_parent(cpu_s: u64) -> ExitCode {
    let worked = work(cpu_s).and_then(|artifact| {
        let mut output = io::stdout();
        output.write_all(&artifact).map_err(machine)
    });
    let (complaint, code) = match worked {
        Ok(()) => return ExitCode::SUCCESS,
        Err(ChildFailure::Refused(complaint)) => (complaint, ExitCode::FAILURE),
        Err(ChildFailure::Machine(complaint)) => (complaint, MACHINE_FAILED.into()),
    };
    drop(writeln!(io::stderr(), "{complaint}"));
    code
}

fn work(cpu_s: u64) -> Result<Vec<u8>, ChildFailure> {
    let mut tag = [0];
    io::stdin().read_exact(&mut tag).map_err(machine)?;
    let work = Work::from_tag(tag[0]).ok_or_else(|| machine("it does not know what to do"))?;
    bound(cpu_s, work.data_bytes()).map_err(machine)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(UPLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    let read = io::stdin().take(most).read_to_end(&mut bytes);
    read.map_err(machine)?;
    match work {
        Work::Component => {
            let engine = sandbox::engine(&Limits::standard());
            let engine = engine.map_err(|error| machine(format!("{error:#}")))?;
            let artifact = engine.precompile_component(&bytes);
            artifact.map_err(|error| ChildFailure::Refused(format!("{error:#}")))
        }
        Work::Manifest => {
            // What is found in it is for the parent to find again, and to tell.
            drop(Manifest::parse(&String::from_utf8_lossy(&bytes)));
            Ok(Vec::new())
        }
    }
}

/// From here on this process can use up so much and no more. What wasmtime reserves and does not touch
/// does not count.
fn bound(cpu_s: u64, data_bytes: u64) -> io::Result<()> {
    // The first end of its time has a signal of its own, by which the parent knows; a second later
    // comes the one that nothing survives.
    lower(
        Resource::Cpu,
        "RLIMIT_CPU, LimitCPU",
        cpu_s,
        cpu_s.saturating_add(1),
    )?;
    lower(
        Resource::Data,
        "RLIMIT_DATA, LimitDATA",
        data_bytes,
        data_bytes,
    )?;
    lower(Resource::Core, "RLIMIT_CORE", 0, 0)?;
    lower(Resource::Fsize, "RLIMIT_FSIZE", 0, 0)?;
    // Wanted by no bound of ours: wasmtime reserves far more addresses than it uses.
    if let Some(most) = getrlimit(Resource::As).current {
        tell_lowered("RLIMIT_AS, LimitAS", most, "no such limit")?;
    }
    Ok(())
}

/// Sets a limit, or leaves the machine's own where that is lower: an unprivileged process cannot raise it.
fn lower(resource: Resource, name: &str, current: u64, maximum: u64) -> io::Result<()> {
    let machines = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit {
        current: Some(current.min(machines)),
        maximum: Some(maximum.min(machines)),
    };
    setrlimit(resource, limit)?;
    if machines < current {
        tell_lowered(name, machines, &format!("at least {current}"))?;
    }
    Ok(())
}

/// Tells the parent before the work begins: a process that a limit ends says nothing any more.
fn tell_lowered(name: &str, limit: u64, wanted: &str) -> io::Result<()> {
    writeln!(
        io::stderr(),
        "{LOWERED}{limit} ({name}) where the compiler wants {wanted}; raise it"
    )
}
