//! The macro behind `flags.rs`: one declaration per flag, and everything that follows from it.

use super::{FleetSettings, Listen, Shard, Timeouts};

/// Declares all flags, and the settings that follow from them. A flag is declared as
///
/// ```text
/// /// Its help.
/// "--name" field: Given = "VALUE" {
///     hidden: true;                 optional: not in the help
///     key: "name";                  its key in the config file; none, one or several
///     fixed: Type = function;       the setting, if a change needs a restart ...
///     live: Type = function;        ... or if it can be reloaded; neither if the setting is a combined one
///     feature: |settings| ...;      optional: how the status page shows it, if it is not at its default
///     differs: "...";               optional: how it differs from kube-state-metrics' flag of the same name
/// }
/// ```
///
/// in this order, where `Given` implements [`super::values::Given`] and `function` turns the flag's name and a `&Given` into
/// a `Result<Type, SettingsError>`.
///
/// From this follow `Flags` (the given values, as clap reads them), `FLAGS` (a table of all flags: help, config keys, differences),
/// `Fixed` and `Live` (the validated values), and the features. Settings that depend on several flags are declared under
/// `combined`, and built in `resolve.rs`.
macro_rules! declare_flags {
    (
        $(
            $heading:literal {
                $(
                    $(#[doc = $help:literal])+
                    $flag:literal $field:ident: $given:ty = $value:literal {
                        $(hidden: $hidden:literal;)?
                        $(key: $key:literal;)*
                        $(fixed: $fixed:ty = $fixed_function:expr;)?
                        $(live: $live:ty = $live_function:expr;)?
                        $(feature: $feature:expr;)?
                        $(differs: $differs:literal;)?
                    }
                )*
            }
        )*
        combined fixed {
            $( $(#[doc = $fixed_doc:literal])+ $fixed_name:ident: $fixed_type:ty = $fixed_keys:literal; )*
        }
        combined live {
            $( $(#[doc = $live_doc:literal])+ $live_name:ident: $live_type:ty; )*
        }
    ) => {
        /// The flags as given on the command line. A flag that was not given is `None` or empty.
        #[derive(Clone, Debug, Default)]
        pub struct Flags {
            $($( $(#[doc = $help])+ pub $field: $given, )*)*
            /// klog's flags.
            pub klog: Klog,
        }

        impl FromArgMatches for Flags {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                let mut flags = Self::default();
                flags.update_from_arg_matches(matches)?;
                Ok(flags)
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                $($( Given::update(&mut self.$field, matches, stringify!($field)); )*)*
                self.klog.update_from_arg_matches(matches)
            }
        }

        /// All flags except klog's, in the order in which they are documented.
        pub(super) static FLAGS: &[Flag] = &[
            $($(
                Flag {
                    name: $flag,
                    id: stringify!($field),
                    heading: $heading,
                    value_name: $value,
                    help: &[$($help),+],
                    is_hidden: false $(|| $hidden)?,
                    keys: &[$($key),*],
                    differences: &[$($differs)?],
                    arg: <$given as Given>::arg,
                    set: |flags, value| {
                        flags.$field = Given::from_config(value)?;
                        Ok(())
                    },
                },
            )*)*
        ];

        /// The settings that hold from start to end: to change one, restart the replica.
        #[derive(Clone, Debug)]
        pub struct Fixed {
            $( $(#[doc = $fixed_doc])+ pub $fixed_name: $fixed_type, )*
            $($($( #[doc = concat!("`", $flag, "`.")] pub $field: $fixed, )?)*)*
        }

        /// The settings that a reload can change.
        #[derive(Clone, Debug)]
        pub struct Live {
            $( $(#[doc = $live_doc])+ pub $live_name: $live_type, )*
            $($($( #[doc = concat!("`", $flag, "`.")] pub $field: $live, )?)*)*
        }

        /// The settings that several flags, or flags and the environment, make up together.
        pub(super) struct Combined {
            $( pub $fixed_name: $fixed_type, )*
            $( pub $live_name: $live_type, )*
        }

        impl Settings {
            /// Validates the flags that are settings by themselves, and adds the combined ones.
            ///
            /// # Errors
            /// The value of a flag is not valid.
            pub(super) fn new(flags: &Flags, combined: Combined) -> Result<Self, SettingsError> {
                Ok(Self {
                    fixed: Fixed {
                        $( $fixed_name: combined.$fixed_name, )*
                        $($($( $field: ($fixed_function)($flag, &flags.$field)?, )?)*)*
                    },
                    live: Live {
                        $( $live_name: combined.$live_name, )*
                        $($($( $field: ($live_function)($flag, &flags.$field)?, )?)*)*
                    },
                })
            }

            /// Everything that is enabled, restricted or disabled, in the order in which the flags are documented.
            pub fn features(&self) -> Vec<Feature> {
                let mut features = Vec::new();
                $($($(
                    let shown: fn(&Settings) -> Option<String> = $feature;
                    features.extend(shown(self).map(|value| ($flag.trim_start_matches('-'), value)));
                )?)*)*
                features
            }
        }

        impl Fixed {
            /// The keys of the config file whose values differ in `other`.
            fn differing_keys(&self, other: &Self) -> Vec<&'static str> {
                let mut keys = Vec::new();
                $(
                    if self.$fixed_name != other.$fixed_name {
                        keys.extend(self.$fixed_name.differing(&other.$fixed_name, $fixed_keys));
                    }
                )*
                $($($(
                    if <$fixed as PartialEq>::ne(&self.$field, &other.$field) {
                        keys.push(key_of($flag));
                    }
                )?)*)*
                keys
            }
        }
    };
}

pub(super) use declare_flags;

/// A setting of several flags, with the keys of its flags, separated by commas.
pub(super) trait Differing: PartialEq {
    /// Returns the keys of what differs in `other`: all of them, if the setting does not know better.
    fn differing(&self, _other: &Self, keys: &'static str) -> Vec<&'static str> {
        vec![keys]
    }
}

impl Differing for Listen {
    fn differing(&self, other: &Self, keys: &'static str) -> Vec<&'static str> {
        let differs = [self.host != other.host, self.port != other.port];
        keys.split(", ").zip(differs).filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

impl Differing for Shard {}
impl Differing for Timeouts {}
impl Differing for Option<FleetSettings> {}
