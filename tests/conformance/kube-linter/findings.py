# Prints what kube-linter finds: RELEASE MANIFESTS REASONS REPORT... Ends with 1 if a finding has no reason in the file, or a reason no
# finding. A line of that file has a check, an object (KIND/NAME, or * for all) and the reason, with tabs between them.
import collections
import json
import sys

release, manifests, reasons, *reports = sys.argv[1:]
assert len(reports) == int(manifests), (len(reports), manifests)
known = {}
for line in open(reasons):
    if not line.startswith("#"):
        check, of, reason = line.rstrip("\n").split("\t")
        known[check, of] = reason
found, unknown = collections.Counter(), collections.Counter()
checks, objects = set(), 0
for report in reports:
    document = json.load(open(report))
    checks |= {check["name"] for check in document["Checks"]}
    for finding in document["Reports"] or []:
        meta = finding["Object"]["K8sObject"]
        of = f'{meta["GroupVersionKind"]["Kind"]}/{meta["Name"]}'
        key = next((key for key in [(finding["Check"], of), (finding["Check"], "*")] if key in known), None)
        if key:
            found[key] += 1
        else:
            unknown[finding["Check"], of, finding["Diagnostic"]["Message"]] += 1
assert len(checks) > 50, checks
print(f"- kube-linter {release}: {len(checks)} checks on {manifests} manifests; {len(unknown)} findings without a reason"
      f"{', and with one:' if found else ''}")
for check, of in sorted(found):
    print(f"  - `{check}`, {'all objects' if of == '*' else f'`{of}`'}: {known[check, of]}")
for (check, of, message), times in sorted(unknown.items()):
    print(f"  - **`{check}`, `{of}`, {times} times: {message}**")
left = sorted(set(known) - set(found))
if left:
    print(f"reasons without a finding: {left}", file=sys.stderr)
sys.exit(1 if unknown or left else 0)
