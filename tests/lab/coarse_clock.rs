//! musl with a coarse clock, which advances once per kernel tick, as on machines without a fine clock source. musl derives query
//! ids from the time, so before 1.2.4 the two queries of a pair then have the same id. A copy of the library gets a `clock_gettime`
//! that reads the kernel's coarse clock; everything else is as Debian built it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hickory_proto::rr::RecordType;
use muslin::resolver::musl;
use object::{Object as _, ObjectSegment as _, ObjectSymbol as _};

use crate::Topic;
use crate::common::harness::tests;
use crate::lab::network::{Lab, server};
use crate::lab::resolvers::Program;
use crate::lab::server::{Script, Then, a};
use crate::lab::world::World;

pub(crate) const TESTS: Topic = tests![equal_ids_cost_old_musl_an_answer, new_musl_has_distinct_ids_by_any_clock];

/// `clock_gettime` for x86-64: `CLOCK_REALTIME` (0) becomes `CLOCK_REALTIME_COARSE` (5), and the kernel is asked (system call 228).
const CLOCK_GETTIME: [u8; 17] = [
    0x85, 0xff, // test edi, edi
    0x75, 0x05, // jnz over the next
    0xbf, 5, 0, 0, 0, // mov edi, 5
    0xb8, 228, 0, 0, 0, // mov eax, 228
    0x0f, 0x05, // syscall
    0xc3, // ret
];

/// Creates a copy of a musl with a coarse clock in this folder.
pub(crate) fn with_coarse_clock(program: &Program, folder: &Path) -> Result<Program> {
    ensure!(cfg!(target_arch = "x86_64"), "the replacement is written for x86-64");
    let mut library = std::fs::read(program.loader()?)?;
    let file = object::File::parse(&*library)?;
    let symbol = file.dynamic_symbols().find(|symbol| symbol.name() == Ok("clock_gettime"));
    let symbol = symbol.context("a musl without clock_gettime")?;
    ensure!(symbol.size() >= CLOCK_GETTIME.len() as u64, "clock_gettime has {} bytes", symbol.size());
    let offset = file.segments().find_map(|segment| {
        let within = symbol.address().checked_sub(segment.address())?;
        let (start, length) = segment.file_range();
        (within < length).then_some(start + within)
    });
    let offset = usize::try_from(offset.context("clock_gettime is not in the file")?)?;
    library[offset..offset + CLOCK_GETTIME.len()].copy_from_slice(&CLOCK_GETTIME);
    let path = folder.join("libc.so");
    std::fs::write(&path, library)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    program.with_loader(path)
}

const NAMES: usize = 20;

/// Returns how many of [`NAMES`] pairs had one id, and how many lookups found only IPv6 addresses, when the first A query for each
/// name is lost.
fn pairs(world: &World, program: &Program) -> Result<(usize, usize)> {
    let folder = tempfile::tempdir()?;
    let program = with_coarse_clock(program, folder.path())?;
    let lab = Lab::new(world)?;
    let script = Script::new().name("*.example.com", ["203.0.113.7", "2001:db8:9::7"]).rule(a().nth(1), Then::Drop);
    let dns = lab.server(server(1), script)?;
    let client = lab.client(&format!("nameserver {}\noptions timeout:2 attempts:4\n", dns.address()))?;
    let names: Vec<String> = (0..NAMES).map(|number| format!("n{number}.example.com")).collect();
    let found = program.look_up(&client, &names)?;
    let id = |name: &str, kind: RecordType| dns.seen_of(name).iter().find(|seen| seen.kind == kind).map(|seen| seen.id);
    let equal = names.iter().filter(|name| id(name, RecordType::A) == id(name, RecordType::AAAA)).count();
    // musl counts the one answer twice.
    Ok((equal, found.iter().filter(|found| matches!(found.families(), (0, 1..))).count()))
}

/// Section 6 of dns-lab: musl takes the answer to AAAA for both, and never sends the A query again.
fn equal_ids_cost_old_musl_an_answer(world: &World) -> Result<()> {
    let (equal, halved) = pairs(world, world.musl(|version| version < musl::DISTINCT_IDS_SINCE)?)?;
    // The clock can tick between the two queries.
    ensure!(equal > NAMES * 3 / 4 && halved == equal, "{equal} equal ids, {halved} of {NAMES} without IPv4");
    Ok(())
}

fn new_musl_has_distinct_ids_by_any_clock(world: &World) -> Result<()> {
    let (equal, halved) = pairs(world, world.musl(|version| version >= musl::DISTINCT_IDS_SINCE)?)?;
    ensure!((equal, halved) == (0, 0), "{equal} equal ids, {halved} of {NAMES} without IPv4");
    Ok(())
}
