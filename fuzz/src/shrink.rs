//! Shrinking a failing list: what can be left out while it still fails is left out.

/// The shortest list that deleting runs of elements from `items`, halved down to single ones, leads to. `fails` holds for it
/// when it holds for `items`.
pub fn shrink<T: Clone>(mut items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut run = items.len().div_ceil(2);
    while run > 0 {
        let before = items.len();
        let mut at = 0;
        while at < items.len() {
            let mut fewer = items.clone();
            fewer.drain(at..(at + run).min(items.len()));
            if fails(&fewer) {
                items = fewer;
            } else {
                at += run;
            }
        }
        // At single elements, what one deletion made needless goes in another round.
        if run > 1 || items.len() == before {
            run /= 2;
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_kept_in_order() {
        let matters = |items: &[u32]| items.contains(&17) && items.contains(&61);
        assert_eq!(shrink((0..100).collect(), matters), [17, 61]);
    }

    #[test]
    fn what_needs_nothing_becomes_empty() {
        assert!(shrink(vec![1, 2, 3], |_| true).is_empty());
    }
}
