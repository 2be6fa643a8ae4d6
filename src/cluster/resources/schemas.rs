//! Schemas of fields that the types alone do not give.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::plan::CACHE_RISKS;
use crate::rules::RULES;

const RESOLVER_PATTERN: &str = r"^(musl|glibc|go|uclibc|c-ares|static)( [0-9]+(\.[0-9]+){1,2})?$";
const RESOLVER_MAX: usize = 32;

/// A resolver with or without its version.
pub(super) fn resolver(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": RESOLVER_MAX, "pattern": RESOLVER_PATTERN })
}

/// The same, or null.
pub(super) fn optional_resolver(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "nullable": true, "maxLength": RESOLVER_MAX, "pattern": RESOLVER_PATTERN })
}

pub(super) fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// The same, or null.
pub(super) fn optional_date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "nullable": true })
}

/// A time in milliseconds, with fractions, or null.
pub(super) fn milliseconds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0, "nullable": true })
}

/// The number of a line, or null.
pub(super) fn line_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int64", "minimum": 1, "nullable": true })
}

/// A severity.
pub(super) fn level(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["deny", "warn", "info"] })
}

/// The generation of a resource, or null.
pub(super) fn optional_generation(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int64", "nullable": true })
}

/// A soak time, with the bounds of `Rollout::soak`.
pub(super) fn soak(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 2,
        "maxLength": 16,
        "pattern": "^([0-9]{1,3}h)?([0-9]{1,5}m)?([0-9]{1,7}s)?$",
        "x-kubernetes-validations": [{
            "rule": "duration(self) >= duration('1s') && duration(self) <= duration('336h')",
            "message": "the soak time is between 1s and 336h (14 days), such as 1h or 30m",
        }],
    })
}

/// Settings of a profile, as its spec has them. They were checked when they were the spec.
pub(super) fn stored_settings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-map-type": "atomic",
    })
}

/// A list of resolv.conf options, each named once.
pub(super) fn options(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "atomic",
        "items": { "type": "string", "maxLength": 32, "pattern": "^[a-z][a-z0-9-]*(:[0-9]{1,5})?$" },
        "x-kubernetes-validations": [
            {
                "rule": "self.all(option, !option.matches('^(timeout|attempts):0+$'))",
                "message": "timeout:0 and attempts:0 make lookups fail",
            },
            {
                "rule": "self.all(option, self.exists_one(other, other.split(':')[0] == option.split(':')[0]))",
                "message": "each option may be named only once",
            },
        ],
    })
}

/// A list of names of namespaces.
pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": { "type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
    })
}

/// A version of two or three numbers.
pub(super) fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[0-9]{1,4}(\\.[0-9]{1,4}){1,2}$" })
}

/// A list of service accounts as `namespace/name`.
pub(super) fn service_accounts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "items": {
            "type": "string",
            "maxLength": 317,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        },
    })
}

/// A list of the risks of a profile: the rules that it can make fire, and the risks of a cache on the node.
pub(super) fn risk_names(_: &mut SchemaGenerator) -> Schema {
    let rules = RULES.iter().filter(|rule| rule.can_break_names).map(|rule| rule.slug);
    let risks: Vec<&str> = rules.chain(CACHE_RISKS.iter().map(|risk| risk.slug)).collect();
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "set",
        "items": { "type": "string", "enum": risks },
    })
}
