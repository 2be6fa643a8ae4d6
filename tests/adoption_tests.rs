//! The interfaces for other tools: the JSON outputs and their schemas, the page on `muslin.toml`, the pre-commit hooks, the GitHub Action,
//! and completion in shells. Programs of others (pre-commit, schemas of CI systems) are real; `adoption/tools`
//! installs them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common {
    pub(crate) mod schemas;
}

mod adoption {
    pub(crate) mod action;
    pub(crate) mod ci_page;
    pub(crate) mod completion;
    pub(crate) mod configuration;
    pub(crate) mod hooks;
    pub(crate) mod outputs;
    pub(crate) mod programs;

    /// A Deployment with a finding of level `deny` on line 15: `attempts-zero`, which makes every lookup fail.
    pub(crate) const DENIED: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      containers:
        - name: app
          image: alpine:3.19
      dnsConfig:
        options:
          - name: attempts
            value: \"0\"
";

    /// An object without a pod.
    pub(crate) const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
}
