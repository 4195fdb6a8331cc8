//! What the supervisor tells the child once it has its job. Each frame is a byte that names the kind, and its content.

const PRESS: u8 = 1;
const RATE: u8 = 2;

/// The longest order, without the frame's length.
pub(super) const ORDER_MAX: usize = 3;

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Press the stop switch once.
    Press,
    /// Set the dial to so many thousandths of the plan's rate.
    Rate(u16),
}

impl Order {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Press => vec![PRESS],
            Self::Rate(per_mille) => [&[RATE], &per_mille.to_le_bytes()[..]].concat(),
        }
    }

    /// `None` for what no supervisor of this version sends.
    pub(super) const fn decode(payload: &[u8]) -> Option<Self> {
        match *payload {
            [PRESS] => Some(Self::Press),
            [RATE, low, high] => Some(Self::Rate(u16::from_le_bytes([low, high]))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_as_they_were_given() {
        for order in [Order::Press, Order::Rate(100), Order::Rate(1_000), Order::Rate(10_000)] {
            let payload = order.encode();
            assert_eq!(Order::decode(&payload), Some(order));
            assert!(payload.len() <= ORDER_MAX);
        }
        for payload in [&[][..], &[0], &[3], &[PRESS, 0], &[RATE], &[RATE, 1], &[RATE, 1, 2, 3]] {
            assert_eq!(Order::decode(payload), None, "{payload:?}");
        }
    }
}
