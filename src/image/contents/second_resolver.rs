//! The resolver that a process may use beside its main one: c-ares, by the followed programs and by the image's libraries. Must not
//! decide which of the two a program uses.

use super::c_ares::PATH_MAX_BYTES;
use super::facts::{Found, ImageFacts};
use super::files::c_ares::CAres;
use super::program_kind::ProgramKind;
use crate::image::fingerprint::SecondResolver;
use crate::image::reason::Reason;
use crate::resolver::{Cgo, Family, Resolver};
use crate::text::one_line;

// === impl ImageFacts ===

impl ImageFacts {
    /// Returns the c-ares that a process whose main resolver is of this family may use as well. The answer followed from these files.
    pub(super) fn c_ares_beside(&self, family: Family, files: &[String]) -> Option<SecondResolver> {
        let release = self.c_ares.as_ref().and_then(|found| found.release);
        let at = |version| Resolver { family: Family::CAres, version, cgo: Cgo::Unknown };
        let programs = || {
            files.iter().rev().filter_map(|path| match self.program_at(path) {
                Found::Program(_, kind) => Some((path, kind)),
                Found::Perhaps(_) | Found::Nothing => None,
            })
        };
        let way = programs().find_map(|(path, kind)| Some((path, kind.c_ares()?)));
        let loads_libraries = programs().find_map(|(_, kind)| match kind {
            ProgramKind::Dynamic { .. } => Some(true),
            ProgramKind::Static { .. } => Some(false),
            _ => None,
        });
        match (family, way) {
            (Family::CAres | Family::Go, _) => None,
            (_, Some((path, way))) => {
                let version = if way == CAres::Contained { None } else { release };
                let reason = format!("`/{}` {}", one_line(path, PATH_MAX_BYTES), way.predicate());
                Some(SecondResolver { resolver: at(version), in_program: true, reason: Reason::Text(reason.into()) })
            }
            // A static program loads no library.
            _ if loads_libraries == Some(false) => None,
            (Family::Static, None) => None,
            (Family::Musl | Family::Glibc | Family::Uclibc | Family::Unknown, None) => {
                let found = self.c_ares.as_ref()?;
                let reason = Reason::Text(found.reason().into());
                Some(SecondResolver { resolver: at(release), in_program: false, reason })
            }
        }
    }
}
