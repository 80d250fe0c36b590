//! The reasons for which WhatsApp has to deliver a body again.

/// The reason to have a body delivered again: one of its updates counts and can't be carried out yet. If several reasons
/// apply, the answer is the first in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedeliveryReason {
    /// The update's channel or its secret can't be read.
    Unavailable,
    /// The channel is not registered.
    UnknownChannel,
    /// The channel's own secret did not sign the body.
    ForeignChannel,
}
