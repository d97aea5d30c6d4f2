//! Import of an economy's log into a file. Each record is checked as at a start, and the import is one
//! transaction.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::BufRead;
use std::sync::Arc;

use bursar_ledger::{
    Act, Books, Digest, EconomyId, Json, Movement, Seed, Timestamp, Webhook, WebhookId, check,
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::earlier;
use super::lines::Lines;
use super::{
    ArchiveError, ArchiveLine, ClosingLine, ComponentLine, FORMAT, OpeningLine, RecordLine,
};
use crate::Request;
use crate::commit::batch::{Batch, NewRecord, encode};
use crate::commit::maintenance::leave_checkpoint;
use crate::commit::submission::{Answer, Render, Reply, Submission};
use crate::error::StorageError;
use crate::index::entries::ids_of;
use crate::log::compressor::FrameCompressor;
use crate::log::file::FileLog;
use crate::log::frame::FRAME_RECORDS_MAX;
use crate::log::store::Log;
use crate::record::{ChainLink, Record};
use crate::state::State;
use crate::time::clock::{TimeSource, is_ahead};
use crate::time::timekeeping;
use crate::webhooks::delivery::Delivery;
use crate::webhooks::notes::Note;

/// The largest accepted epoch, far above any real number of openings and far below the range of SQL integers.
pub(crate) const EPOCH_MAX: u64 = 1 << 48;

/// The clocks, the randomness and the names that an import needs.
pub struct ImportContext {
    /// The clocks of the machine. The newest record must not be far ahead of the clock of the file.
    pub time: TimeSource,
    /// The reserved economy in which components are recorded.
    pub system: EconomyId,
    /// The seed of the reserved economy, used if the import has to open it.
    pub seed: Seed,
    /// The actor that the records of imported components name.
    pub actor: String,
    /// The function that renders answers.
    pub render: Render,
}

/// The result of an import.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ImportReport {
    /// The name of the economy.
    pub economy: EconomyId,
    /// The number of its records.
    pub records: u64,
    /// The hash of its newest record, which equals the hash in the original file.
    pub head: Digest,
}

/// Imports lines into a log that no other process has open.
pub(crate) fn import(
    log: &mut FileLog,
    importing: &ImportContext,
    input: &mut dyn BufRead,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ImportReport, ArchiveError> {
    let mut state = log.load()?;
    let at = timekeeping::clock(log, &state, &importing.time)?.now();
    let mut report = None;
    let compressor = FrameCompressor::new()?;
    log.txn(|log| {
        log.begin_epoch(at)?;
        // All frames of an import are one commit.
        state.batch += 1;
        let mut importer = Importer {
            log,
            importing,
            at,
            state: &mut state,
            lines: Lines::new(input),
            components: 0,
            epoch: 0,
            waiting: Vec::new(),
            compressor,
            keys: KeySet::default(),
        };
        report = Some(importer.read_all(progress)?);
        Ok::<_, ArchiveError>(())
    })?;
    log.catch_up()?;
    leave_checkpoint(log, &state);
    report.ok_or(ArchiveError::Cut(0))
}

struct Importer<'a> {
    log: &'a mut FileLog,
    importing: &'a ImportContext,
    /// The clock of the file.
    at: Timestamp,
    state: &'a mut State,
    lines: Lines<'a>,
    components: u64,
    /// The largest epoch that an imported record names.
    epoch: u64,
    /// The records that are read and not written yet.
    waiting: Vec<NewRecord>,
    compressor: FrameCompressor,
    keys: KeySet,
}

/// The hashes of the idempotency keys that were imported. 128 random bits of hash never agree by chance.
#[derive(Default)]
struct KeySet {
    seen: HashSet<(u64, u64)>,
    first: RandomState,
    second: RandomState,
}

impl KeySet {
    /// Adds a key. Returns false if it was added before.
    fn add(&mut self, key: &str) -> bool {
        let hashes = (self.first.hash_one(key), self.second.hash_one(key));
        self.seen.insert(hashes)
    }
}

impl Importer<'_> {
    fn read_all(
        &mut self,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<ImportReport, ArchiveError> {
        let (economy, format) = self.opening()?;
        if format == earlier::FORMAT {
            let mut head = Digest::ZERO;
            return self.read_lines(&economy, progress, |importer, line| {
                let hash = line.hash;
                importer.add_earlier(&economy, line, head)?;
                head = hash;
                Ok(hash)
            });
        }
        self.read_lines(&economy, progress, |importer, line| {
            importer.add_line(&economy, line)
        })
    }

    /// Reads all lines after the first. `add` adds a record and returns the hash that the next one names.
    fn read_lines(
        &mut self,
        economy: &EconomyId,
        progress: &mut dyn FnMut(u64, u64),
        mut add: impl FnMut(&mut Self, RecordLine) -> Result<Digest, ArchiveError>,
    ) -> Result<ImportReport, ArchiveError> {
        let mut next = self.lines.next()?;
        while let Some(ArchiveLine::Component(component)) = next {
            self.add_component(&component)?;
            next = self.lines.next()?;
        }
        let mut records = 0;
        let mut head = Digest::ZERO;
        while let Some(ArchiveLine::Record(record)) = next {
            head = add(self, *record)?;
            records += 1;
            progress(records, 0);
            next = self.lines.next()?;
        }
        match next {
            Some(ArchiveLine::End(closing)) => self.close(economy.clone(), records, head, &closing),
            Some(ArchiveLine::Economy(_) | ArchiveLine::Component(_) | ArchiveLine::Record(_)) => {
                Err(self.lines.wrong("it is out of order"))
            }
            None => Err(ArchiveError::Cut(self.lines.line)),
        }
    }

    /// Reads the first line. Returns the economy and the format of its records.
    fn opening(&mut self) -> Result<(EconomyId, u32), ArchiveError> {
        let Some(ArchiveLine::Economy(OpeningLine {
            format,
            version,
            economy,
        })) = self.lines.next()?
        else {
            return Err(self.lines.wrong("this is not the first line of an export"));
        };
        if format != FORMAT && format != earlier::FORMAT {
            let what = format!(
                "its format is {format}, and this version knows {FORMAT}: use bursar {version}"
            );
            return Err(self.lines.wrong(what));
        }
        if economy == self.importing.system {
            return Err(ArchiveError::Reserved(economy));
        }
        if self.state.books(&economy).is_some() {
            return Err(ArchiveError::Exists(economy));
        }
        Ok((economy, format))
    }

    /// Registers a component as a server does, unless the file has it.
    fn add_component(&mut self, line: &ComponentLine) -> Result<(), ArchiveError> {
        let bytes = line.decoded().map_err(|what| self.lines.wrong(what))?;
        self.components += 1;
        let act = Act::AddComponent {
            digest: line.digest,
            bytes: bytes.len() as u64,
            name: line.name.clone(),
            version: line.version.clone(),
        };
        let component = Some((line.digest, Bytes::from(bytes)));
        let body = json!({ "component": line.digest });
        if !self.record_in_system(vec![(act, component)], &body)? {
            return Err(self.lines.wrong("the component cannot be registered"));
        }
        Ok(())
    }

    /// Marks all imported events as delivered, because the original file has sent them to the webhooks.
    fn note_deliveries(&mut self, economy: &EconomyId, books: &Books) -> Result<(), ArchiveError> {
        let note = |(id, webhook): (&WebhookId, &Arc<Webhook>)| {
            let delivery = Delivery {
                done: books.seq(),
                ..Delivery::new(webhook.start())
            };
            Note::of((economy.clone(), id.clone()), delivery)
        };
        let notes: Vec<Note> = books.webhooks().iter().map(note).collect();
        Ok(self.log.insert_notes(&notes)?)
    }

    /// Decides and records an act in the reserved economy, as a server does. Returns false if it was
    /// rejected.
    fn record_in_system(
        &mut self,
        mut acts: Vec<(Act, Option<(Digest, Bytes)>)>,
        body: &Value,
    ) -> Result<bool, ArchiveError> {
        if self.state.books(&self.importing.system).is_none() {
            let seed = self.importing.seed;
            acts.insert(0, (Act::OpenEconomy { seed }, None));
        }
        let submissions: Vec<Submission> = acts
            .into_iter()
            .map(|(act, component)| Submission {
                economy: self.importing.system.clone(),
                actor: self.importing.actor.clone(),
                key: None,
                request: Request::new("IMPORT", "/", body),
                act,
                component,
            })
            .collect();
        let batch = Batch::new(
            self.state.clone(),
            self.at,
            self.log.epoch(),
            self.importing.render,
        );
        let asked: Vec<&Submission> = submissions.iter().collect();
        let (batch, replies) = batch.decide_all(&asked, &mut |_, _, _| Ok(None))?;
        let done = |reply: &Result<Reply, _>| matches!(reply, Ok(Reply::Answered(Answer { status, .. })) if *status < 300);
        if !replies.iter().all(done) {
            return Ok(false);
        }
        *self.state = batch.state;
        self.write(&batch.appended)?;
        Ok(true)
    }

    /// Writes records that are applied to the state.
    fn write(&mut self, records: &[NewRecord]) -> Result<(), StorageError> {
        let commit = encode(self.state, records, &mut self.compressor)?;
        self.log.insert(commit.frames, commit.components)
    }

    fn add_line(&mut self, economy: &EconomyId, line: RecordLine) -> Result<Digest, ArchiveError> {
        self.check_epoch(line.epoch)?;
        let read = line.into_record(economy.clone());
        let (record, chain, named) = read.map_err(|what| self.lines.wrong(what))?;
        self.add_record(economy, record, chain, &named)
    }

    fn check_epoch(&mut self, epoch: u64) -> Result<(), ArchiveError> {
        if epoch > EPOCH_MAX || epoch < self.epoch {
            return Err(self.lines.wrong("it names an opening that cannot be"));
        }
        self.epoch = epoch;
        Ok(())
    }

    /// Adds a record of format 1, whose movements have no numbers yet, to a new chain.
    fn add_earlier(
        &mut self,
        economy: &EconomyId,
        line: RecordLine,
        previous: Digest,
    ) -> Result<(), ArchiveError> {
        self.check_epoch(line.epoch)?;
        let read = earlier::into_record(line, economy.clone(), previous);
        let (mut record, named) = read.map_err(|what| self.lines.wrong(what))?;
        let books = self.state.books(economy);
        let head = books.map_or(Digest::ZERO, |books| books.head());
        let numbered = self.state.number_movements(&record, &named);
        record.movements = numbered.map_err(|error| self.lines.wrong(error))?;
        let chain = record.link(head);
        self.add_record(economy, record, chain, &named).map(drop)
    }

    /// Applies a record and keeps it until its frame is full. Returns its hash.
    fn add_record(
        &mut self,
        economy: &EconomyId,
        mut record: Record,
        link: ChainLink,
        named: &[Movement],
    ) -> Result<Digest, ArchiveError> {
        // A line that another parser reads differently would prove nothing.
        for text in [&record.request, &record.act, &record.changes] {
            Json::parse(text.as_bytes()).map_err(|error| self.lines.wrong(error))?;
        }
        // A record that cannot be read again could never be audited.
        let act: Act = serde_json::from_str(&record.act)
            .map_err(|error| self.lines.wrong(format!("its act: {error}")))?;
        match self.state.adopt(&mut record, &link) {
            Ok(()) => {}
            Err(StorageError::Damaged { what, .. }) => return Err(self.lines.wrong(what)),
            Err(error) => return Err(error.into()),
        }
        let books = self.state.books(economy);
        let found = books.and_then(|books| record.named_movements(books).ok());
        if found.as_deref() != Some(named) {
            return Err(self
                .lines
                .wrong("its movements are not those of its numbers"));
        }
        if let Some(key) = &record.key
            && !self.keys.add(key)
        {
            return Err(self.lines.wrong("its idempotency key was used before"));
        }
        self.waiting.push(NewRecord {
            ids: ids_of(&act, record.outcome),
            record,
            link,
            component: None,
        });
        if self.waiting.len() >= FRAME_RECORDS_MAX {
            self.flush()?;
        }
        Ok(link.hash)
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        let waiting = std::mem::take(&mut self.waiting);
        Ok(self.write(&waiting)?)
    }

    fn close(
        &mut self,
        economy: EconomyId,
        records: u64,
        head: Digest,
        closing: &ClosingLine,
    ) -> Result<ImportReport, ArchiveError> {
        self.flush()?;
        let digest = self.lines.digest();
        let books = self.state.books(&economy).cloned();
        let Some(books) = books.filter(|_| {
            closing.records == records
                && closing.components == self.components
                && closing.head == head
                && closing.digest == digest
        }) else {
            return Err(self
                .lines
                .wrong("it counts other lines than there were: some are missing or were altered"));
        };
        // Records of a clock that was ahead are accepted if a later record sets the clock back. A small
        // difference between the clocks of two machines is corrected by the next start.
        if is_ahead(books.recorded_at(), self.at) {
            return Err(ArchiveError::Future(economy));
        }
        // Balances may be beyond lowered or forced limits. Any other violation is an error.
        let wrong = check(&books)
            .into_iter()
            .find(|violation| !violation.is_of_limits());
        if let Some(violation) = wrong {
            return Err(self.lines.wrong(violation));
        }
        if self.lines.next()?.is_some() {
            return Err(self.lines.wrong("it comes after the last line"));
        }
        for (id, plugin) in books.plugins() {
            let mut known = self.state.economies().values();
            if !known.any(|books| {
                books
                    .components()
                    .contains_key(&plugin.installation.component)
            }) {
                let what = format!("the component of the plugin `{id}` is in no line before it");
                return Err(self.lines.wrong(what));
            }
        }
        self.note_deliveries(&economy, &books)?;
        // Later epochs of this file must be greater than those of the imported records.
        self.log.pass_epoch(self.epoch, self.at)?;
        let head = books.head();
        Ok(ImportReport {
            economy,
            records,
            head,
        })
    }
}
