//! The arguments of `docs`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::settings::GoBool;

/// A page of the reference.
#[derive(Clone, Debug, Subcommand)]
pub(in crate::commands) enum Page {
    /// Every metric family, by resource (docs/metrics.md)
    Families,
    /// Every command and flag (docs/cli.md)
    Cli,
    /// Every flag of kube-state-metrics and its effect here (a table of docs/compatibility.md)
    Flags,
    /// The JSON schema of a config of custom resources, for editors (docs/custom-resources.schema.json)
    CustomResourcesSchema,
    /// The ClusterRole for the enabled resources (manifests/base/clusterrole.yaml)
    #[command(
        mut_arg("custom_resource_state_all_kinds", GoBool::flag),
        mut_arg("custom_resource_state_only", GoBool::flag),
        mut_arg("auth_filter", GoBool::flag)
    )]
    Rbac {
        /// Resources to serve, in the form of --resources. Default: the resources that are served by default.
        #[arg(long, value_name = "LIST")]
        resources: Vec<String>,
        /// Configuration of the custom resources to serve as well, as for the flag of `run` with this name.
        #[arg(long, value_name = "FILE")]
        custom_resource_state_config_file: Option<PathBuf>,
        /// That configuration may name kinds without a CustomResourceDefinition, as for the flag of `run` with this name.
        #[arg(long, value_name = "BOOL")]
        custom_resource_state_all_kinds: Option<GoBool>,
        /// Only the custom resources.
        #[arg(long, value_name = "BOOL")]
        custom_resource_state_only: Option<GoBool>,
        /// Also the permission for --namespace-selector, to list and watch Namespaces. With or without a value.
        #[arg(long, value_name = "SELECTOR")]
        namespace_selector: Option<Option<String>>,
        /// Also the permission for --promote-namespace-labels, to list and watch Namespaces. With or without a value.
        #[arg(long, num_args = 0..=1, value_name = "LIST")]
        promote_namespace_labels: Option<Vec<String>>,
        /// Also the permissions for --auth-filter: token and access reviews, and requests between replicas.
        #[arg(long, value_name = "BOOL")]
        auth_filter: Option<GoBool>,
    },
    /// The manual pages of all commands: `docs man DIRECTORY` writes them into a folder that exists
    Man {
        /// The folder.
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
    },
}
