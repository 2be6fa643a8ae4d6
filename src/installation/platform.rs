//! The platforms whose defaults differ from those of Kubernetes.

/// A platform whose defaults differ from those of Kubernetes in a way that matters to muslin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// Google Kubernetes Engine.
    ///
    /// The firewall of a private cluster lets the control plane reach nodes at the ports 443 and 10250 only, so muslin listens at 10250
    /// (cert-manager's chart, `webhook.securePort`).
    Gke,
    /// Amazon EKS.
    ///
    /// Nothing differs with Amazon's own network plugin. With another one, the control plane reaches no pod (cert-manager, "Compatibility with
    /// Kubernetes Platform Providers"), so muslin must run in the network of its nodes.
    Eks,
    /// Azure Kubernetes Service.
    ///
    /// The platform's admission enforcer rewrites the namespace selectors of webhooks, unless they carry a label (Azure, "AKS FAQ: Can admission
    /// controller webhooks impact kube-system").
    Aks,
    /// OpenShift.
    ///
    /// The security context constraint `restricted-v2` gives each namespace user ids of its own, and refuses others (Red Hat, "Managing
    /// security context constraints").
    OpenShift,
}

// === impl Platform ===

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 4] = [Self::Gke, Self::Eks, Self::Aks, Self::OpenShift];

    /// Returns the name on the command line, which is the folder in `manifests/components`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gke => "gke",
            Self::Eks => "eks",
            Self::Aks => "aks",
            Self::OpenShift => "openshift",
        }
    }
}
