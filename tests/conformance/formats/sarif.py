# Prints the validator's findings on SARIF logs: RELEASE LOGS VALIDATED REASONS. Ends with 1 if a finding has no reason in the file, or a
# reason no finding. A line of that file has a rule of the validator and the reason, with a tab between them.
import collections
import json
import os
import sys

release, logs, validated, reasons = sys.argv[1:]
run = json.load(open(validated))["runs"][0]
found = collections.defaultdict(collections.Counter)
for result in run["results"]:
    name = os.path.basename(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
    found[result["ruleId"].split("/")[0]][name] += 1
for invocation in run["invocations"]:
    for notification in invocation.get("toolExecutionNotifications", []) + invocation.get("toolConfigurationNotifications", []):
        if notification.get("level") == "error":
            sys.exit(f"the validator failed: {notification}")
known = dict(line.rstrip("\n").split("\t") for line in open(reasons) if not line.startswith("#"))
files = len(os.listdir(logs))
results = sum(len(json.load(open(os.path.join(logs, name)))["runs"][0]["results"]) for name in os.listdir(logs))
assert files > 5 and results > 200, (files, results)
print(f"- sarif-multitool {release}: {files} logs with {results} results, the schema and the rules for GitHub and Azure DevOps; "
      f"{len(found)} of its rules find something, each with a reason:" if set(found) <= set(known) else
      f"- sarif-multitool {release}: {files} logs with {results} results; **findings without a reason: {sorted(set(found) - set(known))}**")
for rule in sorted(found):
    print(f"  - `{rule}`: {known.get(rule, '**no reason**')}")
left = sorted(rule for rule in set(known) - set(found) if not known[rule].startswith("where there is no network"))
if left:
    print(f"reasons without a finding: {left}", file=sys.stderr)
sys.exit(1 if left or set(found) - set(known) else 0)
