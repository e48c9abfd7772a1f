//! One producer, many clients: server-sent events.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

/// Hands messages to everybody who listens. Each message is made once, whatever their number; the
/// newest ones are kept until everybody has them, and who falls further behind gets one message in
/// place of all that were missed.
#[derive(Debug, Clone)]
pub struct Broadcast {
    sender: Sender<Bytes>,
    missed: Bytes,
}

/// What a client gets of a broadcast, from the moment it was made.
pub struct Subscription {
    first: Option<Bytes>,
    missed: Bytes,
    state: State,
}

type Next = Pin<Box<dyn Future<Output = (Result<Bytes, RecvError>, Receiver<Bytes>)> + Send>>;

enum State {
    Idle(Receiver<Bytes>),
    Waiting(Next),
    Over,
}

impl Broadcast {
    /// A broadcast that keeps so many messages, at least one. `missed` is what clients get in place
    /// of those that they were too slow for.
    #[must_use]
    pub fn new(kept: usize, missed: impl Into<Bytes>) -> Self {
        let (sender, _) = tokio::sync::broadcast::channel(kept.max(1));
        Self { sender, missed: missed.into() }
    }

    /// Sends a message to all who listen now.
    pub fn send(&self, message: impl Into<Bytes>) {
        // An error says that nobody listens.
        let _ = self.sender.send(message.into());
    }

    /// The number of those who listen.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Listens from now on. `first` is sent before anything else.
    #[must_use]
    pub fn subscribe(&self, first: impl Into<Bytes>) -> Subscription {
        let state = State::Idle(self.sender.subscribe());
        Subscription { first: Some(first.into()), missed: self.missed.clone(), state }
    }
}

async fn receive(mut receiver: Receiver<Bytes>) -> (Result<Bytes, RecvError>, Receiver<Bytes>) {
    (receiver.recv().await, receiver)
}

impl Subscription {
    /// The next message; `None` when the broadcast has ended.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Idle(receiver) => State::Waiting(Box::pin(receive(receiver))),
                State::Waiting(mut next) => {
                    let Poll::Ready((received, receiver)) = next.as_mut().poll(cx) else {
                        self.state = State::Waiting(next);
                        return Poll::Pending;
                    };
                    return Poll::Ready(self.take(received, receiver));
                }
                State::Over => return Poll::Ready(None),
            };
        }
    }

    fn take(
        &mut self,
        received: Result<Bytes, RecvError>,
        receiver: Receiver<Bytes>,
    ) -> Option<Bytes> {
        match received {
            Ok(message) => {
                self.state = State::Idle(receiver);
                Some(message)
            }
            Err(RecvError::Lagged(_)) => {
                // What is still kept would only be sent to be thrown away.
                self.state = State::Idle(receiver.resubscribe());
                Some(self.missed.clone())
            }
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(subscription: &mut Subscription) -> Option<String> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match subscription.poll_next(&mut cx) {
            Poll::Ready(Some(bytes)) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            Poll::Ready(None) => Some("(end)".to_owned()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn messages_come_in_order_and_who_lags_is_told_once() {
        let broadcast = Broadcast::new(4, "load anew");
        broadcast.send("nobody listens");
        let (mut quick, mut slow) = (broadcast.subscribe("hello"), broadcast.subscribe("hello"));
        assert_eq!(broadcast.clients(), 2);
        assert_eq!(next(&mut quick).as_deref(), Some("hello"));
        assert_eq!(next(&mut quick), None);
        for number in 0..9 {
            broadcast.send(number.to_string());
            assert_eq!(next(&mut quick), Some(number.to_string()));
        }
        assert_eq!(next(&mut slow).as_deref(), Some("hello"));
        assert_eq!(next(&mut slow).as_deref(), Some("load anew"));
        assert_eq!(next(&mut slow), None);
        broadcast.send("after");
        assert_eq!(next(&mut slow).as_deref(), Some("after"));
        drop(quick);
        assert_eq!(broadcast.clients(), 1);
        drop(broadcast);
        assert_eq!(next(&mut slow).as_deref(), Some("(end)"));
        assert_eq!(next(&mut slow).as_deref(), Some("(end)"));
    }
}
