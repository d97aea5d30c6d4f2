//! Independent batches of 8,192 transfers through HTTP, on one connection.

use bytes::Bytes;

use crate::files::Files;
use crate::http::{Service, item};
use crate::load::runtime;
use crate::opening::remove;
use crate::options::Options;
use crate::submissions::{Random, TRANSFERS};
use crate::table::{Column, Table};
use crate::usage::Usage;

/// The transfers of each batch.
const TRANSFERS_PER_BATCH: usize = bursar_ledger::BATCH_TRANSFERS_MAX;
/// The result of each committed transfer in the response of a batch.
const COMMITTED: &[u8] = br#"{"status":201,"#;

const COLUMNS: &[Column] = &[
    ("per_second", "/s", 0),
    ("writer_us", "writer µs", 1),
    ("service_us", "service µs", 1),
    ("process_us", "process µs", 1),
    ("written_bytes", "written B", 0),
];

/// A function that chooses the accounts of a transfer.
type PairFn<'a> = &'a dyn Fn(&mut Random) -> (usize, usize);

/// Returns the body of a batch whose transfers have accounts from `pair`.
fn batch(random: &mut Random, pair: PairFn<'_>) -> Bytes {
    let mut transfer = || {
        let key = random.key();
        item(pair(random), Some(&key))
    };
    let transfers: Vec<String> = (0..TRANSFERS_PER_BATCH).map(|_| transfer()).collect();
    let transfers = transfers.join(",");
    format!(r#"{{"mode":"independent","transfers":[{transfers}]}}"#).into()
}

pub(crate) fn run(options: &Options, files: &mut Files) {
    let path = files.copy("batches");
    let service = Service::start(path.clone());
    let clients = runtime("clients");
    let title = "batches of 8,192 transfers through HTTP, on one connection";
    let table = Table::begin("batches", title, COLUMNS, options.json);
    let accounts = options.accounts;
    let uniform = |random: &mut Random| random.pair(accounts);
    // All transfers pay one account.
    let hot = |random: &mut Random| (1 + random.pair(accounts - 1).0, 0);
    let kinds: [(&str, PairFn<'_>); 2] =
        [("uniform accounts", &uniform), ("one hot account", &hot)];
    for (name, pair) in kinds {
        let mut random = Random::new();
        // One batch more than are measured: the first one opens the connection.
        let bodies = (0..=options.batches).map(|_| batch(&mut random, pair));
        let mut bodies: Vec<Bytes> = bodies.collect();
        let mut client = service.client();
        let first = bodies.pop().unwrap();
        clients.block_on(send(&mut client, first));
        let before = Usage::now();
        let mut responses = Vec::new();
        for body in bodies {
            responses.push(clients.block_on(send(&mut client, body)));
        }
        let used = before.until_now();
        let count = options.batches * TRANSFERS_PER_BATCH;
        let committed: usize = responses.iter().map(|body| committed(body)).sum();
        assert_eq!(committed, count, "each transfer is committed");
        let figures = [
            count as f64 / used.wall.as_secs_f64(),
            used.writer_us(count),
            used.thread_us("service", count),
            used.process_us(count),
            used.written_bytes(count),
        ];
        table.row(name, &figures);
    }
    service.stop();
    remove(&path);
}

async fn send(client: &mut bursar_server::client::Client, body: Bytes) -> Bytes {
    let path = format!("{TRANSFERS}/batch");
    let answer = client.send("POST", &path, None, body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.body
}

fn committed(response: &[u8]) -> usize {
    let windows = response.windows(COMMITTED.len());
    windows.filter(|window| *window == COMMITTED).count()
}
