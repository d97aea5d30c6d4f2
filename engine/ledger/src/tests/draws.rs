//! Draws: equal in every attempt, different for any other input, and uniform.

use expect_test::expect;

use super::script::{World, call_request, id};
use crate::draw::below;
use crate::{
    ClientSeedText, DRAW_BYTES_MAX, Digest, Draft, Draw, HostRequest, HostResponse, Seed, Timestamp,
};

const SEED: [u8; 32] = [42; 32];

/// Returns a draw whose inputs a test changes one by one.
fn draw<'a>(server_seed: &'a Seed, component: &'a Digest) -> Draw<'a> {
    Draw {
        server_seed,
        component,
        client_seed: "user:1",
        nonce: 7,
        mixed: "",
        label: "side",
        index: 0,
    }
}

/// Later versions repeat recorded draws, so their results must never change.
#[test]
fn draws_are_the_same_for_ever() {
    let seed = Seed::new(SEED);
    let component = Digest::of(b"coinflip");
    let draw = draw(&seed, &component);
    let die = |index| Draw { index, ..draw }.below(6);
    expect![[r#"
        "[2, 4, 2, 4, 4, 5, 1, 2]"
    "#]]
    .assert_debug_eq(&format!("{:?}", [0, 1, 2, 3, 4, 5, 6, 7].map(die)));
    expect![[r#"
        2876428379
    "#]]
    .assert_debug_eq(&draw.below(u32::MAX));
    expect![[r#"
        "[3, 5, 6, 9, 7, 8, 0, 2, 1, 4]"
    "#]]
    .assert_debug_eq(&format!("{:?}", draw.shuffle(10)));
    expect![[r#"
        "958a7a6915e855f20dc535c51ec3956712a742c3e90ffd228c64abf699b41c4d1b7bdd50631bce49"
    "#]]
    .assert_debug_eq(&hex::encode(draw.bytes(40)));
    expect![[r#"
        1795416ef3f4e13d5c0fcd2b234d94ba6e2c058a5048e234338d8b21300dce96
    "#]]
    .assert_debug_eq(&seed.server_seed(1).commitment());
}

#[test]
fn any_other_input_gives_other_draws() {
    let seed = Seed::new(SEED);
    let component = Digest::of(b"coinflip");
    let other_seed = Seed::new([43; 32]);
    let other = Digest::of(b"dice");
    let draw = draw(&seed, &component);
    let others = [
        draw,
        Draw {
            server_seed: &other_seed,
            ..draw
        },
        Draw {
            component: &other,
            ..draw
        },
        Draw {
            client_seed: "user:2",
            ..draw
        },
        Draw { nonce: 8, ..draw },
        Draw { mixed: "m", ..draw },
        Draw {
            label: "slide",
            ..draw
        },
        Draw { index: 1, ..draw },
        // Texts have lengths: moving a character to the next text gives another draw.
        Draw {
            client_seed: "user:1s",
            label: "ide",
            ..draw
        },
        Draw {
            client_seed: "user:",
            mixed: "1",
            ..draw
        },
        Draw {
            mixed: "s",
            label: "ide",
            ..draw
        },
    ];
    let mut all: Vec<_> = others.iter().map(|draw| draw.bytes(16)).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), others.len(), "two of them are equal");
}

#[test]
fn call_numbers_its_draws_from_zero() {
    let world = World::after("account user:1; plugin coinflip component=a enabled=true");
    let request = call_request("key-1", "coinflip", "user:1");
    let mut draft = Draft::open(&world.books, &request, Timestamp(0)).expect("it is enabled");
    draft.draw_from(world.books.draw_origin(&request.caller, 1));
    let server_seed = world.books.seed().server_seed(1);
    for (index, range) in [(0, 6), (1, 1_000), (2, u32::MAX), (3, 6)] {
        let ask = HostRequest::Draw {
            range,
            label: "draw".into(),
        };
        assert_eq!(draft.has_drawn(), index > 0);
        let drawn = Draw {
            server_seed: &server_seed,
            component: &draft.component(),
            client_seed: "user:1",
            nonce: 1,
            mixed: "",
            label: "draw",
            index,
        }
        .below(range);
        assert_eq!(draft.answer(ask), HostResponse::Drawn(drawn));
    }
}

#[test]
fn draw_stays_below_its_range() {
    let seed = Seed::new(SEED);
    let component = Digest::ZERO;
    let draw = draw(&seed, &component);
    let below = |index, range| Draw { index, ..draw }.below(range);
    for index in 0..1_000 {
        assert_eq!(below(index, 0), 0, "a range of nothing is taken for one");
        assert_eq!(below(index, 1), 0);
        assert!(below(index, 2) < 2);
        assert!(below(index, 3) < 3);
        assert!(below(index, u32::MAX - 1) < u32::MAX - 1);
        assert!(below(index, u32::MAX) < u32::MAX);
    }
    // Both halves of the largest range are reached.
    let half = u32::MAX / 2;
    let upper = (0..1_000).filter(|index| below(*index, u32::MAX) >= half);
    assert!((400..600).contains(&upper.count()));
}

/// Statistics could not show this, because fewer of the 2^64 words than the range would bias a draw.
#[test]
fn words_that_would_bias_a_draw_are_skipped() {
    for range in [3, 6, 52, 1_000, u32::MAX - 1, u32::MAX] {
        let unfair_from = u64::MAX - u64::MAX % u64::from(range);
        let words = [u64::MAX, unfair_from, unfair_from - 1, 0];
        let mut words = words.into_iter();
        let drawn = below(range, || words.next().expect("a word"));
        assert_eq!(drawn, range - 1, "the last of those that are even");
        assert_eq!(words.next(), Some(0), "one word was enough after that");
    }
}

/// Chi-square test of a die: with five degrees of freedom, one fair die in a thousand exceeds 20.5.
/// The seed is fixed, so the result is the same in every run.
#[test]
fn a_die_is_uniform() {
    let seed = Seed::new(SEED);
    let component = Digest::ZERO;
    let draw = draw(&seed, &component);
    let mut faces = [0_u64; 6];
    for index in 0..60_000 {
        faces[Draw { index, ..draw }.below(6) as usize] += 1;
    }
    let squares: u64 = faces.iter().map(|seen| seen.abs_diff(10_000).pow(2)).sum();
    // The sum of (seen - 10,000)^2 / 10,000, in tenths so that it stays whole.
    assert!(squares / 1_000 < 205, "{faces:?}");
}

/// A byte modulo 52 would put the first four cards on top too often.
#[test]
fn each_card_of_a_shuffle_is_first_equally_often() {
    let seed = Seed::new(SEED);
    let component = Digest::ZERO;
    let draw = draw(&seed, &component);
    let mut firsts = [0_u64; 52];
    for index in 0..52_000 {
        let order = Draw { index, ..draw }.shuffle(52);
        firsts[order[0] as usize] += 1;
    }
    let mut sorted = draw.shuffle(52);
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        (0..52).collect::<Vec<_>>(),
        "each card is there once"
    );
    // With 51 degrees of freedom, one fair deck in a thousand exceeds 87.
    let squares: u64 = firsts.iter().map(|seen| seen.abs_diff(1_000).pow(2)).sum();
    assert!(squares / 1_000 < 87, "{firsts:?}");
}

#[test]
fn the_requested_number_of_bytes_is_drawn() {
    let seed = Seed::new(SEED);
    let component = Digest::ZERO;
    let draw = draw(&seed, &component);
    let most = draw.bytes(DRAW_BYTES_MAX);
    for count in 0..=DRAW_BYTES_MAX {
        let bytes = draw.bytes(count);
        assert_eq!(bytes.len(), count as usize);
        assert!(most.starts_with(&bytes), "more of them begin alike");
    }
}

#[test]
fn client_seeds_end_at_their_limits() {
    let text = |text: String| ClientSeedText::try_from(text).is_ok();
    assert!(text("x".repeat(64)) && text(" ~".into()));
    assert!(!text("x".repeat(65)) && !text(String::new()));
    assert!(!text("ä".into()) && !text("a\n".into()) && !text("\u{7f}".into()));
}

#[test]
fn a_seed_is_text_and_never_printed() {
    let seed = Seed::new(SEED);
    assert_eq!(format!("{seed:?}"), "Seed(secret)");
    let text = String::from(seed);
    assert_eq!(text, "2a".repeat(32));
    assert_eq!(Seed::try_from(text), Ok(seed));
    assert!(Seed::try_from("2a".repeat(31)).is_err());
    assert_eq!(id::<Digest>(&"0".repeat(64)), Digest::ZERO);
    assert!("A".repeat(64).parse::<Digest>().is_err());
}
