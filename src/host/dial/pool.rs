//! Many endpoints at once.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Stack of one thread. A handshake with its certificates needs about 60 KiB in a debug build; 256 threads take 64 MiB of address
/// space, not of memory.
const STACK: usize = 256 << 10;

/// `f` of each item, at most `jobs` at a time (at least one), in the order of the items. A panic in `f` is passed on.
pub fn in_order<T: Sync, R: Send>(items: &[T], jobs: usize, f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let jobs = jobs.clamp(1, items.len().max(1));
    if jobs == 1 {
        return items.iter().map(f).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    let work = || {
        while let Some((index, item)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?))) {
            let result = f(item);
            done.lock().unwrap_or_else(|e| e.into_inner()).push((index, result));
        }
    };
    thread::scope(|scope| {
        for number in 1..jobs {
            let thread = thread::Builder::new().name(format!("look {number}")).stack_size(STACK);
            // No more threads: those that there are do the work.
            if thread.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(|e| e.into_inner());
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order() {
        let items: Vec<u64> = (0..500).collect();
        let slow_first = |n: &u64| {
            if n.is_multiple_of(7) {
                thread::sleep(std::time::Duration::from_micros(300));
            }
            n * 2
        };
        assert_eq!(in_order(&items, 16, slow_first), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(in_order(&items, 0, |n| *n), items);
        assert_eq!(in_order(&[] as &[u64], 8, |n| *n), Vec::<u64>::new());
    }
}
