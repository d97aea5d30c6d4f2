//! The requests of a load, one source for each kind of work.

use super::options::Work;
use super::sampler::{Payment, Sampler};
use super::template::{Keys, Slot, SlotValue, Template, economy_prefix};
use crate::serve::ECHO_PATH;

/// The share of reads in mixed work, in percent.
const READS_PERCENT: u32 = 70;

/// The kind of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RequestKind {
    /// A request that leaves one record.
    Move,
    /// An independent batch of this many transfers.
    Batch(u64),
    /// A request that leaves no record.
    Read,
}

impl RequestKind {
    /// Returns the number of operations of a request.
    pub(super) fn operations(self) -> u64 {
        match self {
            Self::Move | Self::Read => 1,
            Self::Batch(transfers) => transfers,
        }
    }
}

/// A source of requests.
pub(super) trait RequestSource {
    /// Writes the next request.
    fn write(&mut self, out: &mut Vec<u8>) -> RequestKind;
}

/// The parts that all requests of a run share.
#[derive(Clone, Copy)]
pub(super) struct BenchTarget<'a> {
    /// The random number of the run, which names its economies.
    pub(super) run: u32,
    /// The API key.
    pub(super) bearer: &'a str,
}

impl BenchTarget<'_> {
    /// Returns a path below an economy.
    pub(super) fn path(self, rest: &str) -> Template {
        Template::of("/v1/economies/")
            .text(&economy_prefix(self.run))
            .slot(Slot::Economy)
            .text(rest)
    }

    /// Returns a `POST` with an idempotency key.
    fn post(self, rest: &str, body: &Template) -> Template {
        Template::request("POST", &self.path(rest), self.bearer, true, body)
    }

    /// Returns a batch of transfers with these postings each.
    pub(super) fn batch(self, transfers: u64, postings: &Template) -> Template {
        let mut body = Template::of(r#"{"mode":"independent","transfers":["#);
        for number in 0..transfers {
            body = body
                .text(if number == 0 { "" } else { "," })
                .text(r#"{"idempotency_key":""#)
                .slot(Slot::Key)
                .text(r#"","postings":"#)
                .with(postings)
                .text("}");
        }
        let body = body.text("]}");
        Template::request(
            "POST",
            &self.path("/transfers/batch"),
            self.bearer,
            false,
            &body,
        )
    }
}

/// Returns the postings of a transfer between two members.
pub(super) fn postings() -> Template {
    Template::of(r#"[{"from":"user:"#)
        .slot(Slot::Payer)
        .text(r#"","to":"user:"#)
        .slot(Slot::Payee)
        .text(r#"","asset":"coin","amount":"#)
        .slot(Slot::Amount)
        .text("}]")
}

/// A source of random work.
pub(super) struct WorkSource {
    sampler: Sampler,
    keys: Keys,
    /// The request that leaves records.
    act: Template,
    kind: RequestKind,
    /// The request that reads, in mixed work.
    read: Option<Template>,
}

impl WorkSource {
    /// Creates the source of a kind of work.
    pub(super) fn new(
        work: Work,
        target: BenchTarget<'_>,
        batch: u64,
        sampler: Sampler,
        keys: Keys,
    ) -> Self {
        let transfer = Template::of(r#"{"postings":"#).with(&postings()).text("}");
        let transfer = target.post("/transfers", &transfer);
        let mut read = None;
        let mut kind = RequestKind::Move;
        let act = match work {
            Work::Transfers => transfer,
            Work::Batches => {
                kind = RequestKind::Batch(batch);
                target.batch(batch, &postings())
            }
            Work::Calls => {
                let body = Template::of(r#"{"caller":"user:"#)
                    .slot(Slot::Payer)
                    .text(r#"","arguments":{"item":"item:potion"}}"#);
                target.post("/plugins/shop/actions/buy", &body)
            }
            Work::Mixed => {
                let path = target.path("/accounts/user:").slot(Slot::Payer);
                let none = Template::default();
                read = Some(Template::request("GET", &path, target.bearer, false, &none));
                transfer
            }
        };
        Self {
            sampler,
            keys,
            act,
            kind,
            read,
        }
    }

    /// Creates the source of requests to the echo route, with the bytes of a transfer.
    pub(super) fn echo(target: BenchTarget<'_>, sampler: Sampler, keys: Keys) -> Self {
        let body = Template::of(r#"{"postings":"#).with(&postings()).text("}");
        let path = Template::of(ECHO_PATH);
        Self {
            sampler,
            keys,
            act: Template::request("POST", &path, target.bearer, true, &body),
            kind: RequestKind::Read,
            read: None,
        }
    }
}

impl RequestSource for WorkSource {
    fn write(&mut self, out: &mut Vec<u8>) -> RequestKind {
        let Self {
            sampler,
            keys,
            act,
            kind,
            read,
        } = self;
        let (template, kind) = match read {
            Some(read) if sampler.percent(READS_PERCENT) => (&*read, RequestKind::Read),
            Some(_) | None => (&*act, *kind),
        };
        let mut payment = Payment::default();
        template.write(out, |slot| match slot {
            Slot::Economy => SlotValue::Economy(sampler.economy()),
            Slot::Key => SlotValue::Key(keys.key()),
            // The payer stands first in every request.
            Slot::Payer => {
                payment = sampler.payment();
                SlotValue::Member(payment.payer)
            }
            Slot::Payee => SlotValue::Member(payment.payee),
            Slot::Amount => SlotValue::Amount(payment.amount),
        });
        kind
    }
}

/// Requests for one member after the other.
pub(super) struct MemberSource<'a> {
    target: BenchTarget<'a>,
    form: MemberForm,
    template: Template,
    keys: Keys,
    economies: u64,
    members: u64,
    economy: u64,
    member: u64,
    /// The number of members in the present request.
    width: u64,
}

/// The requests that set up a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberForm {
    /// Opens an account for each member.
    Open,
    /// Pays the starting balance to this many members in a batch.
    Fund(u64),
}

/// The account that the starting balances come from.
pub(super) const TREASURY: &str = "treasury";

/// The starting balance of each member. The sum for the largest number of members is still a valid amount.
pub(super) const STARTING_BALANCE: u64 = 100_000_000;

impl<'a> MemberSource<'a> {
    /// Creates the requests for all members of all economies.
    pub(super) fn new(
        target: BenchTarget<'a>,
        form: MemberForm,
        keys: Keys,
        economies: u64,
        members: u64,
    ) -> Self {
        Self {
            target,
            form,
            template: Template::default(),
            keys,
            economies,
            members,
            economy: 0,
            member: 0,
            width: 0,
        }
    }

    /// Returns the number of requests.
    pub(super) fn requests(&self) -> u64 {
        let each = match self.form {
            MemberForm::Open => self.members,
            MemberForm::Fund(width) => self.members.div_ceil(width.max(1)),
        };
        each.saturating_mul(self.economies)
    }

    /// Makes the template for the next members of the present economy.
    fn prepare(&mut self) {
        let left = self.members.saturating_sub(self.member);
        let width = match self.form {
            MemberForm::Open => 1,
            MemberForm::Fund(width) => width.min(left),
        };
        if self.width == width {
            return;
        }
        self.width = width;
        self.template = match self.form {
            MemberForm::Open => {
                let path = self.target.path("/accounts/user:").slot(Slot::Payee);
                let body = Template::of("{}");
                Template::request("PUT", &path, self.target.bearer, false, &body)
            }
            MemberForm::Fund(_) => {
                let postings = Template::of(&format!(r#"[{{"from":"{TREASURY}","to":"user:"#))
                    .slot(Slot::Payee)
                    .text(&format!(
                        r#"","asset":"coin","amount":{STARTING_BALANCE}}}]"#
                    ));
                self.target.batch(width, &postings)
            }
        };
    }
}

impl RequestSource for MemberSource<'_> {
    fn write(&mut self, out: &mut Vec<u8>) -> RequestKind {
        if self.member >= self.members {
            self.member = 0;
            self.economy = self.economy.saturating_add(1);
        }
        self.prepare();
        let Self {
            template,
            keys,
            economy,
            member,
            ..
        } = self;
        template.write(out, |slot| match slot {
            Slot::Economy => SlotValue::Economy(*economy),
            Slot::Key => SlotValue::Key(keys.key()),
            Slot::Payer | Slot::Payee => {
                let number = *member;
                *member = member.saturating_add(1);
                SlotValue::Member(number)
            }
            Slot::Amount => SlotValue::Amount(1),
        });
        match self.form {
            MemberForm::Open => RequestKind::Move,
            MemberForm::Fund(_) => RequestKind::Batch(self.width),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::super::sampler::Distribution;
    use super::super::template::{KeyOrder, member_name};
    use super::*;

    const TARGET: BenchTarget<'static> = BenchTarget {
        run: 1,
        bearer: "key",
    };

    fn keys() -> Keys {
        Keys::new(KeyOrder::Ordered, 1, 1)
    }

    fn source(work: Work) -> WorkSource {
        let sampler = Sampler::new(1, 1, 10, Distribution::Uniform);
        WorkSource::new(work, TARGET, 3, sampler, keys())
    }

    fn body(request: &[u8]) -> serde_json::Value {
        let text = std::str::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn a_batch_has_as_many_transfers_with_different_keys() {
        let mut out = Vec::new();
        assert_eq!(source(Work::Batches).write(&mut out), RequestKind::Batch(3));
        let body = body(&out);
        let transfers = body["transfers"].as_array().unwrap();
        assert_eq!(transfers.len(), 3);
        assert_ne!(
            transfers[0]["idempotency_key"],
            transfers[1]["idempotency_key"]
        );
        assert_eq!(transfers[2]["postings"][0]["asset"], "coin");
    }

    #[test]
    fn mixed_work_reads_in_7_of_10_requests() {
        let mut source = source(Work::Mixed);
        let mut out = Vec::new();
        let reads = (0..1_000).filter(|_| source.write(&mut out) == RequestKind::Read);
        let reads = reads.count();
        assert!((650..750).contains(&reads), "{reads}");
    }

    #[test]
    fn a_request_is_the_same_as_the_echos_but_for_its_path() {
        let mut transfer = Vec::new();
        source(Work::Transfers).write(&mut transfer);
        let mut echo = Vec::new();
        let sampler = Sampler::new(1, 1, 10, Distribution::Uniform);
        WorkSource::echo(TARGET, sampler, keys()).write(&mut echo);
        assert_eq!(
            body(&transfer)["postings"][0]["asset"],
            body(&echo)["postings"][0]["asset"]
        );
        let path = "/v1/economies/bench-00000001-0000/transfers".len() - ECHO_PATH.len();
        assert_eq!(transfer.len() - echo.len(), path);
    }

    #[test]
    fn every_member_of_every_economy_is_paid_once() {
        let mut source = MemberSource::new(TARGET, MemberForm::Fund(4), keys(), 2, 10);
        assert_eq!(source.requests(), 6);
        let mut paid = Vec::new();
        for _ in 0..6 {
            let mut out = Vec::new();
            source.write(&mut out);
            let text = String::from_utf8(out.clone()).unwrap();
            let economy = text.contains("bench-00000001-0001");
            for transfer in body(&out)["transfers"].as_array().unwrap() {
                paid.push((
                    economy,
                    transfer["postings"][0]["to"].as_str().unwrap().to_owned(),
                ));
            }
        }
        let members = [false, true]
            .into_iter()
            .flat_map(|economy| (0..10).map(move |member| (economy, member_name(member))));
        assert_eq!(paid, members.collect::<Vec<_>>());
    }
}
