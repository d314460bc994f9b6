//! The macros that `types.rs` consists of.

/// Defines the types of messages.
macro_rules! views {
    ($($name:ident $(<$lifetime:lifetime>)? = $message:literal {
        $($field:ident: $kind:ty = $slot:literal $json:literal,)*
    })*) => {$(
        #[doc = concat!("The fields of `", $message, "`.")]
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
        #[serde(default)]
        pub struct $name $(<$lifetime>)? {
            $(
                #[doc = concat!("`", $json, "`.")]
                #[serde(rename = $json)]
                pub $field: $kind,
            )*
        }

        impl<'a> $crate::collectors::objects::View<'a> for $name $(<$lifetime>)? {
            #[allow(unused_variables, reason = "a message may have no listed field")]
            fn set(&mut self, slot: u8, value: $crate::collectors::objects::Value<'a, '_>) {
                match slot {
                    $($slot => $crate::collectors::objects::Put::put(&mut self.$field, value),)*
                    _ => {}
                }
            }
        }
    )*};
}
pub(super) use views;

/// Marks messages as whole objects.
macro_rules! objects {
    ($($name:ident,)*) => {$(
        impl<'a> $crate::collectors::objects::Object<'a> for $name<'a> {
            fn metadata(&self) -> &ObjectMeta<'a> {
                &self.metadata
            }
        }
    )*};
}
pub(super) use objects;
