//! Work over several cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, OnceLock};

/// More threads than this gain nothing where one brings the work: they wait for it.
const MOST_HELPERS: usize = 8;

/// How many threads are worth having.
#[must_use]
pub fn workers() -> usize {
    // The system is asked once: it answers by way of many files.
    static WORKERS: OnceLock<usize> = OnceLock::new();
    *WORKERS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// How many threads are worth having beside the one that brings the work: none on a single core.
#[must_use]
pub fn helpers() -> usize {
    match workers() {
        1 => 0,
        workers => workers.min(MOST_HELPERS),
    }
}

/// Does something with each item, over several cores, in no particular order.
///
/// # Errors
/// One that `each` gave; what was not begun then is not done.
pub fn for_each<T: Sync, E: Send>(
    items: &[T],
    each: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = each(item) {
                next.store(items.len(), Ordering::Relaxed);
                keep_first(&failure, error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers().min(items.len()) {
            // A system that gives no more threads is no obstacle: fewer workers do the same.
            drop(std::thread::Builder::new().spawn_scoped(scope, work));
        }
        work();
    });
    result(failure)
}

/// So few items are not worth another thread.
const FEW: usize = 256;

/// What `each` makes of every item, in their order; over several cores when there are many.
///
/// # Errors
/// The first one in the order of the items.
pub fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    each: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let part = items.len().div_ceil(workers()).max(FEW);
    let mut parts = items.chunks(part);
    let own = parts.next().unwrap_or_default();
    let others: Vec<&[T]> = parts.collect();
    let work = |part: &[T]| part.iter().map(&each).collect::<Result<Vec<R>, E>>();
    std::thread::scope(|scope| {
        let started = others.iter().map(|part| {
            std::thread::Builder::new()
                .spawn_scoped(scope, || work(part))
                .map_err(|_no_thread| *part)
        });
        let started: Vec<_> = started.collect();
        let mut all = work(own)?;
        for part in started {
            // What a system that gives no more threads leaves over is done here.
            let made = match part {
                Ok(thread) => match thread.join() {
                    Ok(made) => made,
                    Err(panic) => std::panic::resume_unwind(panic),
                },
                Err(part) => work(part),
            };
            all.extend(made?);
        }
        Ok(all)
    })
}

/// Lets `bring` hand over one item after the other, and does something with each on so many other threads meanwhile. Few items
/// wait: twice as many as there are threads are held at most. Gives what `bring` gives.
///
/// # Errors
/// What `bring` gave, or one that `each` gave; `bring` is told by `false` that there is no use in going on.
pub fn pipeline<T: Send, R, E: Send>(
    threads: usize,
    bring: impl FnOnce(&mut dyn FnMut(T) -> bool) -> Result<R, E>,
    each: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<R, E> {
    let failure = Mutex::new(None);
    let has_failed = || failure.lock().is_ok_and(|failure| failure.is_some());
    let (sender, receiver) = sync_channel::<T>(threads);
    let receiver = Mutex::new(receiver);
    let next = || {
        receiver
            .lock()
            .ok()
            .and_then(|receiver| receiver.recv().ok())
    };
    let work = || {
        while let Some(item) = next() {
            if !has_failed()
                && let Err(error) = each(item)
            {
                keep_first(&failure, error);
            }
        }
    };
    let brought = std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..threads {
            started += usize::from(
                std::thread::Builder::new()
                    .spawn_scoped(scope, work)
                    .is_ok(),
            );
        }
        let mut hand_over = |item| {
            if started > 0 {
                return sender.send(item).is_ok() && !has_failed();
            }
            // Without threads it is done here.
            match each(item) {
                Ok(()) => true,
                Err(error) => {
                    keep_first(&failure, error);
                    false
                }
            }
        };
        let brought = bring(&mut hand_over);
        drop(sender);
        brought
    });
    result(failure)?;
    brought
}

fn keep_first<E>(failure: &Mutex<Option<E>>, error: E) {
    if let Ok(mut failure) = failure.lock() {
        failure.get_or_insert(error);
    }
}

fn result<E>(failure: Mutex<Option<E>>) -> Result<(), E> {
    let failure = failure
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn every_item_is_taken_once() {
        let sum = AtomicU64::new(0);
        let items: Vec<u64> = (0..1000).collect();
        let done = for_each(&items, |item| {
            sum.fetch_add(*item, Ordering::Relaxed);
            Ok::<(), ()>(())
        });
        assert_eq!((done, sum.into_inner()), (Ok(()), 499_500));
    }

    #[test]
    fn what_is_brought_is_taken_once_and_the_end_is_given_back() {
        let sum = AtomicU64::new(0);
        let brought = pipeline(
            2,
            |hand_over| Ok::<bool, ()>((0..1000_u64).all(hand_over)),
            |item| {
                sum.fetch_add(item, Ordering::Relaxed);
                Ok(())
            },
        );
        assert_eq!((brought, sum.into_inner()), (Ok(true), 499_500));
    }

    #[test]
    fn an_error_ends_it_and_is_what_is_given() {
        let items: Vec<u64> = (0..1000).collect();
        let only_small = |item: &u64| if *item < 500 { Ok(()) } else { Err("large") };
        assert_eq!(for_each(&items, only_small), Err("large"));
        let brought = pipeline(
            2,
            |hand_over| Ok((0..1_000_000).all(hand_over)),
            |item| only_small(&item),
        );
        assert_eq!(brought, Err("large"));
        let brought = pipeline(
            0,
            |_| Err::<(), _>("unreadable"),
            |item: u64| only_small(&item),
        );
        assert_eq!(brought, Err("unreadable"));
    }
}
