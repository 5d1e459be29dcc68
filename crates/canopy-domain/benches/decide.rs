//! Cost of the decision engine: `cargo bench -p canopy-domain`.
//!
//! Sizes and questions are those of [`canopy_testkit::workload`]. "Spread" asks 65,536 questions about anybody in turn, so
//! that little of what a question needs is in the cache; "hot" asks 1,024 of them again and again.

#![expect(clippy::expect_used, reason = "a benchmark may stop at the first surprise")]

use canopy_domain::access::{
    AccessIndex, Change, Decision, GrantFact, NodeFact, Question, RoleFact, SubjectFact, Target,
};
use canopy_domain::{RoleName, Timestamp};
use canopy_store_kit::change_codec::{decode, encode};
use canopy_testkit::workload::{Asked, Size, Workload};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use std::cell::RefCell;
use std::sync::LazyLock;
use uuid::Uuid;

const SPREAD: usize = 1 << 16;
const HOT: usize = 1 << 10;

/// One environment and its index.
struct Bench {
    workload: Workload,
    index: AccessIndex,
}

impl Bench {
    fn new(size: Size) -> Self {
        let workload = Workload::new(size, SPREAD);
        let index = AccessIndex::build(&workload.snapshot).expect("facts that agree");
        Self { workload, index }
    }

    fn of(size: &str) -> &'static Self {
        static ALL: [LazyLock<Bench>; 3] = [
            LazyLock::new(|| Bench::new(Size::S)),
            LazyLock::new(|| Bench::new(Size::M)),
            LazyLock::new(|| Bench::new(Size::L)),
        ];
        let place = Size::ALL.iter().position(|known| known.name == size).expect("a size");
        ALL.get(place).expect("one for each size")
    }
}

fn main() {
    if std::env::args().any(|arg| arg == "--bench") {
        wait_for_memory();
        for size in Size::ALL {
            describe(size);
        }
    }
    divan::main();
}

/// Prints the latency of a cache line that must come from memory. At size L, a check is two such waits and little else, so figures
/// of different machines, and of noisy hours, can be compared only relative to it.
#[expect(clippy::print_stdout, reason = "figures for people")]
fn wait_for_memory() {
    const LINES: usize = 1 << 20;
    const STEPS: u32 = 2_000_000;
    // Each line names the next in a walk that visits all of them in an order that no processor foresees (an LCG of full
    // period).
    let lines: Vec<[usize; 8]> = (0..LINES)
        .map(|line| [(line * 1_664_525 + 1_013_904_223) % LINES; 8])
        .collect();
    let begun = std::time::Instant::now();
    let last = (0..STEPS).fold(0_usize, |at, _| lines.get(at).map_or(0, |line| line[0]));
    black_box(last);
    println!("one wait for memory (64 MiB): {:?}", begun.elapsed() / STEPS);
}

/// Prints the size of the index and the share of allowed checks.
#[expect(clippy::cast_precision_loss, clippy::print_stdout, reason = "figures for people")]
fn describe(size: Size) {
    let Bench { workload, index } = Bench::of(size.name);
    let ask = |asked: &&Asked| index.decide(&asked.question(), workload.now).is_allowed();
    let allowed = workload.questions.iter().filter(ask).count() as f64 / SPREAD as f64;
    let bytes = index.memory_bytes() as f64 / size.assignments as f64;
    println!(
        "{}: {bytes:.1} bytes an assignment, {:.0} % of the questions allowed",
        size.name,
        allowed * 100.0
    );
}

/// Asks one question of `among` after the other.
fn ask(
    bencher: Bencher<'_, '_>,
    size: &str,
    among: usize,
    mut one: impl FnMut(&'static Bench, &Question<'static>, Timestamp) -> Decision,
) {
    let bench = Bench::of(size);
    let mut asked = bench.workload.questions.iter().take(among).cycle();
    bencher.bench_local(|| {
        let question = asked.next().expect("a cycle").question();
        one(bench, black_box(&question), bench.workload.now)
    });
}

#[divan::bench(args = ["S", "M", "L"], sample_size = 8192, sample_count = 40)]
fn decide_spread(bencher: Bencher<'_, '_>, size: &str) {
    ask(bencher, size, SPREAD, |bench, question, now| {
        bench.index.decide(question, now)
    });
}

#[divan::bench(args = ["S", "M", "L"], sample_size = 8192, sample_count = 40)]
fn decide_hot(bencher: Bencher<'_, '_>, size: &str) {
    ask(bencher, size, HOT, |bench, question, now| {
        bench.index.decide(question, now)
    });
}

#[divan::bench(args = ["S", "M", "L"], sample_size = 8192, sample_count = 40)]
fn decide_with_roles_spread(bencher: Bencher<'_, '_>, size: &str) {
    let mut roles = Vec::new();
    ask(bencher, size, SPREAD, |bench, question, now| {
        bench.index.decide_with_roles(question, now, &mut roles)
    });
}

#[divan::bench(args = ["S", "M", "L"], sample_size = 8192, sample_count = 40)]
fn decide_app_wide_spread(bencher: Bencher<'_, '_>, size: &str) {
    ask(bencher, size, SPREAD, |bench, question, now| {
        bench.index.decide(
            &Question {
                target: Target::AppWide,
                ..*question
            },
            now,
        )
    });
}

#[divan::bench(args = ["S", "M", "L"], sample_size = 256, sample_count = 40)]
fn effective_permissions(bencher: Bencher<'_, '_>, size: &str) {
    let bench = Bench::of(size);
    let mut asked = bench.workload.questions.iter().cycle();
    bencher.bench_local(|| {
        let one = asked.next().expect("a cycle");
        bench
            .index
            .effective_permissions(one.identity, Some(one.node), bench.workload.now)
            .len()
    });
}

#[divan::bench(args = ["S", "M", "L"], sample_size = 256, sample_count = 40)]
fn explain(bencher: Bencher<'_, '_>, size: &str) {
    let bench = Bench::of(size);
    let mut asked = bench.workload.questions.iter().cycle();
    bencher.bench_local(|| {
        let one = asked.next().expect("a cycle");
        bench
            .index
            .explain(&one.question(), bench.workload.now)
            .near_misses
            .len()
    });
}

/// The first part of the nodes at which somebody holds a permission.
#[divan::bench(args = ["S", "M", "L"], sample_size = 1, sample_count = 200)]
fn nodes_where(bencher: Bencher<'_, '_>, size: &str) {
    let bench = Bench::of(size);
    let mut asked = bench.workload.questions.iter().cycle();
    bencher.bench_local(|| {
        let one = asked.next().expect("a cycle");
        let permission = one.question().permission;
        let part = bench
            .index
            .nodes_where(one.identity, permission, bench.workload.now, None, 50);
        part.items.len()
    });
}

/// The first part of the identities that hold a permission at a node.
#[divan::bench(args = ["S", "M", "L"], sample_size = 1, sample_count = 200)]
fn who_can(bencher: Bencher<'_, '_>, size: &str) {
    let bench = Bench::of(size);
    let mut asked = bench.workload.questions.iter().cycle();
    bencher.bench_local(|| {
        let one = asked.next().expect("a cycle");
        let permission = one.question().permission;
        let part = bench.index.who_can(permission, one.node, bench.workload.now, None, 50);
        part.items.len()
    });
}

#[divan::bench(args = ["S", "M", "L"], sample_size = 1, sample_count = 9)]
fn build(bencher: Bencher<'_, '_>, size: &str) {
    let bench = Bench::of(size);
    bencher.bench_local(|| AccessIndex::build(&bench.workload.snapshot));
}

/// Measures the second copy of the index, which the first write after a load creates.
#[divan::bench(args = ["S", "M", "L"], sample_size = 1, sample_count = 9)]
fn copy(bencher: Bencher<'_, '_>, size: &str) {
    let bench = Bench::of(size);
    bencher.bench_local(|| bench.index.clone());
}

const CHANGES: usize = 1_000;

/// Applies a thousand changes of one kind, each alone; `there` and what takes them `back` are applied by turns, and only
/// `there` is timed.
fn apply(bencher: Bencher<'_, '_>, size: &str, make: impl Fn(&Workload, usize) -> (Change, Vec<Change>)) {
    let bench = Bench::of(size);
    let (there, back): (Vec<Change>, Vec<Vec<Change>>) =
        (0..CHANGES).map(|number| make(&bench.workload, number)).unzip();
    let back = back.concat();
    let index = RefCell::new(bench.index.clone());
    let apply = |changes: &[Change]| {
        let mut index = index.borrow_mut();
        for change in changes {
            let next = index.revision().next();
            index
                .apply(next, std::slice::from_ref(change))
                .expect("a change that fits");
        }
    };
    // Once there and back, so that growing is not measured: it is rare.
    apply(&there);
    bencher
        .counter(ItemsCount::new(CHANGES))
        .with_inputs(|| apply(&back))
        .bench_local_values(|()| apply(&there));
}

/// Spreads a thousand numbers over as many things as there are.
fn pick<T>(things: &[T], number: usize) -> &T {
    things.get(number * 7_919 % things.len()).expect("not empty")
}

fn new_id<T: From<Uuid>>(number: usize) -> T {
    Uuid::from_u128(0x019e_0000_0000_7000_8000_0000_0000_0000 + number as u128 * 0x0001_0000_0000_0001).into()
}

fn new_grant(workload: &Workload, number: usize) -> GrantFact {
    let grant = pick(&workload.snapshot.grants, number);
    GrantFact {
        id: new_id(number),
        ..grant.clone()
    }
}

#[divan::bench_group(sample_size = 1, sample_count = 25)]
mod apply_1000 {
    use super::{Bencher, CHANGES, Change, NodeFact, RoleFact, RoleName, SubjectFact, apply, new_grant, new_id, pick};

    #[divan::bench(args = ["S", "M", "L"])]
    fn grant_put(bencher: Bencher<'_, '_>, size: &str) {
        apply(bencher, size, |workload, number| {
            (
                Change::GrantPut(new_grant(workload, number)),
                vec![Change::GrantRemoved(new_id(number))],
            )
        });
    }

    #[divan::bench(args = ["S", "M", "L"])]
    fn grant_removed(bencher: Bencher<'_, '_>, size: &str) {
        apply(bencher, size, |workload, number| {
            let grant = pick(&workload.snapshot.grants, number).clone();
            (Change::GrantRemoved(grant.id), vec![Change::GrantPut(grant)])
        });
    }

    #[divan::bench(args = ["S", "M", "L"])]
    fn node_made(bencher: Bencher<'_, '_>, size: &str) {
        apply(bencher, size, |workload, number| {
            let parent = pick(&workload.snapshot.nodes, number);
            let node = NodeFact {
                id: new_id(number),
                parent: Some(parent.id),
                ..parent.clone()
            };
            (Change::NodePut(node), vec![Change::NodeRemoved(new_id(number))])
        });
    }

    #[divan::bench(args = ["S", "M", "L"])]
    fn node_moved_to_root(bencher: Bencher<'_, '_>, size: &str) {
        apply(bencher, size, |workload, number| {
            let root = workload
                .snapshot
                .nodes
                .iter()
                .find(|node| node.parent.is_none())
                .expect("a root");
            let inner = workload.snapshot.nodes.iter().filter(|node| node.parent.is_some());
            let node = inner.cycle().nth(number * 31 % 997).expect("a node");
            (
                Change::NodePut(NodeFact {
                    parent: Some(root.id),
                    ..node.clone()
                }),
                vec![Change::NodePut(node.clone())],
            )
        });
    }

    #[divan::bench(args = ["S", "M", "L"])]
    fn role_edited(bencher: Bencher<'_, '_>, size: &str) {
        apply(bencher, size, |workload, number| {
            let role = pick(&workload.snapshot.roles, number);
            let name = RoleName::parse("Renamed").expect("a good name");
            (
                Change::RolePut(RoleFact { name, ..role.clone() }),
                vec![Change::RolePut(role.clone())],
            )
        });
    }

    #[divan::bench(args = ["S", "M", "L"])]
    fn permission_removed(bencher: Bencher<'_, '_>, size: &str) {
        apply(bencher, size, |workload, number| {
            let permission = pick(&workload.snapshot.permissions, number);
            let mut back = vec![Change::PermissionPut(permission.clone())];
            if number + 1 == CHANGES {
                // All permissions are there again, so the roles can bundle them again.
                back.extend(workload.snapshot.roles.iter().cloned().map(Change::RolePut));
            }
            (Change::PermissionRemoved(permission.id), back)
        });
    }

    #[divan::bench(args = ["S", "M", "L"])]
    fn subject_switched(bencher: Bencher<'_, '_>, size: &str) {
        apply(bencher, size, |workload, number| {
            let subject = pick(&workload.snapshot.subjects, number);
            (
                Change::SubjectPut(SubjectFact {
                    is_active: false,
                    ..*subject
                }),
                vec![Change::SubjectPut(*subject)],
            )
        });
    }
}

/// A bulk call: ten thousand assignments of one role at one node.
fn bulk() -> Vec<Change> {
    let grants = &Bench::of("M").workload.snapshot.grants;
    let first = grants.first().expect("an assignment");
    grants
        .iter()
        .take(10_000)
        .map(|grant| {
            let key = canopy_domain::AssignmentKey {
                identity: grant.key.identity,
                ..first.key
            };
            Change::GrantPut(GrantFact {
                id: grant.id,
                key,
                window: first.window,
            })
        })
        .collect()
}

#[divan::bench(sample_size = 1, sample_count = 25)]
fn encode_10000_grants(bencher: Bencher<'_, '_>) {
    let changes = bulk();
    bencher.bench_local(|| encode(&changes));
}

#[divan::bench(sample_size = 1, sample_count = 25)]
fn decode_10000_grants(bencher: Bencher<'_, '_>) {
    let bytes = encode(&bulk());
    bencher.bench_local(|| decode(&bytes));
}
