//! Labels whose values are known when the server is built.

/// A label, or a pair of labels, with a fixed set of values.
///
/// A label never has a value that a peer chooses, such as a room or an address: each value is a time series that a scraper
/// keeps for weeks.
pub trait Label: Copy + 'static {
    /// The number of values.
    const COUNT: usize;

    /// Returns the value's place among them, below [`COUNT`](Self::COUNT).
    fn index(self) -> usize;

    /// Returns names and values, as they are exposed, of the value at a place.
    fn pairs_at(index: usize) -> Vec<(&'static str, &'static str)>;
}

impl<A: Label, B: Label> Label for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }

    fn pairs_at(index: usize) -> Vec<(&'static str, &'static str)> {
        [A::pairs_at(index / B::COUNT), B::pairs_at(index % B::COUNT)].concat()
    }
}

/// Defines an enum as the label of this name, with the text of each value.
///
/// ```
/// use synctv_actors::metrics::{Counter, Labelled, label};
///
/// label!(
///     /// The outcome of a request.
///     Outcome, "outcome" {
///         /// It was answered.
///         Ok = "ok",
///         /// It was not.
///         Error = "error",
///     }
/// );
///
/// let requests: Labelled<Outcome, Counter> = Labelled::default();
/// requests.get(Outcome::Ok).inc();
/// assert_eq!(requests.get(Outcome::Ok).get(), 1);
/// ```
#[macro_export]
macro_rules! metrics_label {
    ($(#[$doc:meta])* $name:ident, $label:literal { $($(#[$value_doc:meta])* $value:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$value_doc])* $value),+
        }

        impl $name {
            /// All values, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// Returns the value's text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text),+
                }
            }
        }

        impl $crate::metrics::Label for $name {
            const COUNT: usize = Self::ALL.len();

            fn index(self) -> usize {
                self as usize
            }

            fn pairs_at(index: usize) -> Vec<(&'static str, &'static str)> {
                Self::ALL.get(index).map(|value| ($label, value.as_str())).into_iter().collect()
            }
        }
    };
}

pub use crate::metrics_label as label;
