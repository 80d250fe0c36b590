//! The names of everything that is counted, in one table.

/// Declares the metrics: variant, name in the logs, and the functions in whose logs the template counts it.
macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident $name:literal [$($function:literal),*],)*) => {
        /// A case that is counted by logging it with [`count!`](crate::count). Functions log no other metric.
        ///
        /// The template turns lines of those that name functions here into CloudWatch metrics of the same name. A test
        /// compares this table with the metric filters of the template, function by function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $($(#[$doc])* $variant,)*
        }

        impl Metric {
            /// All metrics.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the logs and in CloudWatch.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The functions in whose logs the template counts it. Empty for metrics that are only in the logs.
            #[must_use]
            pub const fn counted_in(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$($function),*],)*
                }
            }
        }
    };
}

metrics! {
    /// A webhook with a signature of none of our apps.
    BadSignature "bad_signature" ["webhook"],
    /// An update that can't be understood; it is left out.
    BadUpdate "bad_update" ["webhook"],
    /// A campaign could not be filtered.
    CampaignFailed "campaign_failed" ["campaign-filter"],
    /// A campaign was filtered.
    CampaignFiltered "campaign_filtered" [],
    /// A campaign's description does not hold.
    CampaignInvalid "campaign_invalid" [],
    /// A campaign was sent.
    CampaignSent "campaign_sent" [],
    /// A confirmation that is no longer true was not sent.
    ConfirmationDropped "confirmation_dropped" [],
    /// A confirmation failed for good, or came too late.
    ConfirmationFailed "confirmation_failed" ["confirmation", "webhook"],
    /// WhatsApp reported that a confirmation went out.
    ConfirmationReported "confirmation_reported" [],
    /// A confirmation was sent.
    ConfirmationSent "confirmation_sent" [],
    /// An update on a channel, signed by an app of another channel.
    ForeignChannel "foreign_channel" ["webhook"],
    /// Meta refuses the access token.
    GraphTokenRefused "graph_token_refused" ["confirmation"],
    /// A customer changed the number or the user id.
    IdChange "id_change" [],
    /// Two contacts were found to be one person.
    Merge "merge" [],
    /// A customer opted in.
    OptIn "opt_in" [],
    /// A customer opted out.
    OptOut "opt_out" [],
    /// An opt-out keyword came while the tenant has keywords switched off.
    OptOutDisabled "opt_out_disabled" ["webhook"],
    /// An opt-out keyword is older than an opt-in that stands.
    OptOutSuperseded "opt_out_superseded" ["webhook"],
    /// An opt-out is older than an opt-in that staff made without knowing of it.
    OptOutUnheeded "opt_out_unheeded" ["contacts", "webhook"],
    /// A customer resumed marketing with WhatsApp's own control.
    ProviderResume "provider_resume" [],
    /// A customer stopped marketing with WhatsApp's own control.
    ProviderStop "provider_stop" [],
    /// A secret of a WhatsApp app could not be read.
    SecretsUnavailable "secrets_unavailable" ["confirmation", "webhook"],
    /// The table could not be read or written, retries included.
    StoreUnavailable "store_unavailable" ["campaign-filter", "confirmation", "contacts", "settings", "webhook"],
    /// A sweep of the whole outbox ended, with how many confirmations are due still (`due`) and for how many seconds the
    /// oldest of them has been (`oldest_seconds`).
    Sweep "sweep" ["confirmation"],
    /// An update on a channel that is not registered.
    UnknownChannel "unknown_channel" ["webhook"],
    /// An opt-out without a sender.
    UnreadableOptOut "unreadable_opt_out" ["webhook"],
    /// A webhook without a well-formed signature. WhatsApp signs all of its own.
    Unsigned "unsigned" ["webhook"],
    /// A wish that changed nothing.
    WishWithoutEffect "wish_without_effect" [],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_variants_in_snake_case_and_in_order() {
        for metric in Metric::ALL {
            let mut name = String::new();
            for letter in format!("{metric:?}").chars() {
                if letter.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(letter.to_ascii_lowercase());
            }
            assert_eq!(metric.name(), name);
        }
        assert!(Metric::ALL.is_sorted_by_key(|metric| metric.name()), "the table is in alphabetical order");
    }
}
