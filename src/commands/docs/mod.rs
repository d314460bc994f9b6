//! `docs`: generates the checked-in files that follow from the code, which `scripts/gen` writes, and the manual pages of a release.

mod cli_page;
pub(super) mod families;
mod markdown;
pub mod page;
mod rbac;

use std::io::{self, Write};

use super::cli;
use crate::settings::custom::{CustomResources, Kinds, json_schema};
use crate::settings::resources;
use crate::settings::{SettingsError, is_true};
use page::Page;

/// Prints a page of the reference.
pub(super) fn write(page: &Page, out: &mut dyn Write) -> Result<io::Result<()>, SettingsError> {
    let text = match page {
        Page::Families => families::page(),
        Page::Cli => cli_page::commands(),
        Page::Flags => cli_page::compatibility(),
        Page::CustomResourcesSchema => format!("{:#}\n", json_schema()),
        Page::Rbac {
            resources,
            custom_resource_state_config_file: file,
            custom_resource_state_all_kinds: all_kinds,
            custom_resource_state_only: only,
            namespace_selector,
            promote_namespace_labels,
            auth_filter,
        } => {
            let kinds = if is_true(*only) { Vec::new() } else { resources::named(resources)? };
            let custom = file
                .as_deref()
                .map(|file| CustomResources::read(file, Kinds::all(is_true(*all_kinds))))
                .transpose()
                .map_err(SettingsError::Custom)?;
            // As for `run`, an empty value turns a flag off. Here no value asks for the permission.
            let selects = namespace_selector.as_ref().is_some_and(|given| given.as_deref() != Some(""));
            let promotes = |given: &Vec<String>| given.is_empty() || given.iter().any(|labels| !labels.is_empty());
            let namespaces = selects || promote_namespace_labels.as_ref().is_some_and(promotes);
            rbac::cluster_role(&kinds, &custom.unwrap_or_default(), namespaces, is_true(*auth_filter))
        }
        Page::Man { directory } => {
            let written = clap_mangen::generate_to(cli::definition(), directory);
            return Ok(written.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", directory.display()))));
        }
    };
    Ok(out.write_all(text.as_bytes()))
}
