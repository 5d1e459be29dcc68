use super::{Share, TurnBounds, TurnError, Turns};
use crate::AccountId;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use uuid::Uuid;

fn tenant(number: u128) -> Share {
    AccountId::new(Uuid::from_u128(number)).into()
}

fn look<F: Future>(future: core::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_turns_go_round_the_tenants_however_many_requests_one_of_them_has() {
    let turns = Turns::new(TurnBounds::new(1, 1));
    let (busy, other) = (tenant(1), tenant(2));
    let Poll::Ready(Ok(held)) = look(pin!(turns.take(busy))) else {
        panic!("a free place");
    };
    let (mut second, mut third) = (pin!(turns.take(busy)), pin!(turns.take(busy)));
    assert!(look(second.as_mut()).is_pending());
    assert!(look(third.as_mut()).is_pending());
    let mut single = pin!(turns.take(other));
    assert!(look(single.as_mut()).is_pending());
    assert_eq!(turns.waiting(), 3);
    drop(held);
    let Poll::Ready(Ok(second)) = look(second.as_mut()) else {
        panic!("who waits longest comes first");
    };
    assert!(look(single.as_mut()).is_pending());
    drop(second);
    assert!(look(third.as_mut()).is_pending(), "it is the other tenant's turn");
    let Poll::Ready(Ok(single)) = look(single.as_mut()) else {
        panic!("the other tenant's turn");
    };
    drop(single);
    assert!(look(third.as_mut()).is_ready());
    assert_eq!(turns.waiting(), 0);
}

#[test]
fn a_tenant_holds_no_more_than_its_part_and_leaves_the_rest_to_others() {
    let turns = Turns::new(TurnBounds::new(3, 2));
    let one = tenant(1);
    let Poll::Ready(Ok(first)) = look(pin!(turns.take(one))) else {
        panic!("a free place");
    };
    let _second = look(pin!(turns.take(one)));
    let mut third = pin!(turns.take(one));
    assert!(look(third.as_mut()).is_pending(), "one place is for the others");
    assert!(look(pin!(turns.take(tenant(2)))).is_ready());
    assert!(look(third.as_mut()).is_pending());
    drop(first);
    assert!(look(third.as_mut()).is_ready());
}

#[test]
fn a_request_that_gives_up_leaves_the_queue_and_passes_on_a_place_it_was_given() {
    let turns = Turns::new(TurnBounds::new(1, 1));
    let Poll::Ready(Ok(held)) = look(pin!(turns.take(tenant(1)))) else {
        panic!("a free place");
    };
    let mut last = pin!(turns.take(tenant(3)));
    {
        let mut given_up = pin!(turns.take(tenant(2)));
        assert!(look(given_up.as_mut()).is_pending());
        let mut granted = pin!(turns.take(tenant(2)));
        assert!(look(granted.as_mut()).is_pending());
        assert!(look(last.as_mut()).is_pending());
        drop(held);
    }
    assert!(look(last.as_mut()).is_ready());
    assert_eq!(turns.waiting(), 0);
}

#[test]
fn nobody_gets_a_turn_at_what_is_closed() {
    let turns = Turns::new(TurnBounds::new(1, 1));
    let held = look(pin!(turns.take(tenant(1))));
    let mut waiting = pin!(turns.take(tenant(2)));
    assert!(look(waiting.as_mut()).is_pending());
    turns.close();
    assert!(matches!(look(waiting.as_mut()), Poll::Ready(Err(TurnError::Closed))));
    drop(held);
    assert!(matches!(
        look(pin!(turns.take(tenant(2)))),
        Poll::Ready(Err(TurnError::Closed))
    ));
}

#[test]
fn a_request_beyond_the_queue_is_refused() {
    let turns = Turns::new(TurnBounds {
        waiting_of_one: 1,
        waiting: 2,
        ..TurnBounds::new(1, 1)
    });
    let held = look(pin!(turns.take(tenant(1))));
    let mut first = pin!(turns.take(tenant(1)));
    assert!(look(first.as_mut()).is_pending());
    assert!(matches!(
        look(pin!(turns.take(tenant(1)))),
        Poll::Ready(Err(TurnError::Crowded { waiting: 1 }))
    ));
    let mut second = pin!(turns.take(tenant(2)));
    assert!(look(second.as_mut()).is_pending());
    assert!(matches!(
        look(pin!(turns.take(tenant(3)))),
        Poll::Ready(Err(TurnError::Crowded { waiting: 2 }))
    ));
    assert_eq!(turns.load(), 3);
    drop(held);
}

#[test]
fn a_turn_is_passed_on_to_another_party_alone_and_comes_back() {
    let turns = Turns::new(TurnBounds::new(1, 1));
    let Poll::Ready(Ok(mut held)) = look(pin!(turns.take(tenant(1)))) else {
        panic!("a free place");
    };
    let mut own = pin!(turns.take(tenant(1)));
    assert!(look(own.as_mut()).is_pending());
    assert!(!held.pass_on(), "nobody else waits");
    let mut other = Box::pin({
        let turns = turns.clone();
        async move { turns.take(tenant(2)).await }
    });
    assert!(look(other.as_mut()).is_pending());
    let passing = std::thread::spawn(move || {
        assert!(held.pass_on());
        held
    });
    let other = loop {
        if let Poll::Ready(other) = look(other.as_mut()) {
            break other.unwrap();
        }
        std::thread::yield_now();
    };
    assert_eq!(turns.load(), 3);
    drop(other);
    let held = passing.join().unwrap();
    assert!(
        look(own.as_mut()).is_pending(),
        "what has begun comes before what has not"
    );
    drop(held);
    assert!(look(own.as_mut()).is_ready());
}
